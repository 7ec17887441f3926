import { aliasBody } from '../api/template-routes.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import type { Parts } from '../compose.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import { readInput } from '../messages/input-faults.ts'
import { aliasBodySchema, type FieldSource } from '../templates/alias.ts'
import { TEMPLATE_CHANNELS, templateChannelsOf } from '../wechat/template-lists.ts'
import type { Arguments, Command, CommandContext } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { ACTOR_OPTION, actorOf } from './person.ts'
import { aliasLine } from './templates-list.ts'

export const templatesAlias: Command = {
  name: 'templates alias',
  summary: {
    en: 'Set the template and the fallbacks behind a name that applications send by, or show it.',
    zh: '设置或查看别名：业务应用以别名发送，由网关换成模板及其备用模板。',
  },
  words: ['ACCOUNT', 'ALIAS'],
  options: {
    template: {
      type: 'text',
      value: 'id',
      help: {
        en: 'The template; without it the alias is shown.',
        zh: '模板 ID；不填则查看该别名。',
      },
    },
    channel: {
      type: 'text',
      value: 'channel',
      help: {
        en: `One of ${TEMPLATE_CHANNELS.join(', ')}; the account’s first one by default.`,
        zh: `${TEMPLATE_CHANNELS.join('、')} 之一，默认为该帐号的第一个。`,
      },
    },
    fallback: {
      type: 'text',
      value: 'id',
      multiple: true,
      help: {
        en: 'The template that takes over when the one before is refused; in this order.',
        zh: '前一个模板被拒绝时接替的模板，按顺序尝试。',
      },
    },
    map: {
      type: 'text',
      value: 'new=old,new:=text',
      multiple: true,
      help: {
        en: 'Fields of the fallback from fields of the first template, or with a fixed text; the first --map belongs to the first --fallback, and so on; - keeps the names.',
        zh: '备用模板的字段取自首个模板的哪个字段，或固定文字；第一个 --map 对应第一个 --fallback，以此类推；- 表示字段名不变。',
      },
    },
    remove: {
      type: 'flag',
      help: { en: 'Take the alias away.', zh: '删除该别名。' },
    },
    actor: ACTOR_OPTION,
  },

  async run(context) {
    const { args, withGateway } = context
    await withGateway(async ({ parts }) => {
      const account = await parts.accounts.show(args.word(0))
      if (args.flag('remove')) return remove(context, parts, account)
      if (args.text('template') === undefined) return show(context, parts, account)
      return put(context, parts, account)
    })
  },
}

async function put({ args, output }: CommandContext, parts: Parts, account: AccountOverview) {
  const typed = bodyOf(args, account)
  try {
    const alias = await parts.templates.putAlias(
      { id: account.id, facts: account },
      {
        name: args.word(1),
        body: readInput(aliasBodySchema, typed, 'bad_arguments'),
        actor: actorOf(args.text('actor')),
      },
    )
    output.answer({ account: account.name, ...aliasBody(alias) }, aliasLine(alias))
  } catch (error) {
    throw error instanceof InvalidInputError ? asTyped(error) : error
  }
}

async function remove(
  { args, say, output }: CommandContext,
  parts: Parts,
  account: AccountOverview,
) {
  const alias = await parts.templates.removeAlias(account.id, args.word(1))
  output.answer(
    { account: account.name, removed: true, ...aliasBody(alias) },
    say('alias_removed', { alias: alias.name }),
  )
}

async function show({ args, output }: CommandContext, parts: Parts, account: AccountOverview) {
  const { aliases } = await parts.templates.show(account.id)
  const alias = aliases.find(({ name }) => name === args.word(1))
  if (!alias) return refuseArgument('--template', (speak) => speak('alias_needs_template'))
  output.answer({ account: account.name, ...aliasBody(alias) }, aliasLine(alias))
}

/** The body that an application would send. */
function bodyOf(args: Arguments, account: AccountOverview) {
  const fallbacks = args.texts('fallback') ?? []
  const maps = args.texts('map') ?? []
  if (maps.length > fallbacks.length) {
    refuseArgument('--map', (speak) => speak('map_without_fallback'))
  }
  return {
    channel: args.text('channel') ?? templateChannelsOf(account)[0],
    template_id: args.text('template'),
    fallbacks: fallbacks.map((template_id, index) => {
      const map = maps[index]
      return { template_id, ...(map !== undefined && map !== '-' && { map: readMap(map) }) }
    }),
  }
}

/** `thing2=thing1,phrase3:=已发货`; a fixed text has no comma. */
function readMap(text: string): Record<string, FieldSource> {
  return Object.fromEntries(
    text.split(',').map((pair): [string, FieldSource] => {
      const [, name = '', sign, from = ''] = /^\s*(\w+)(:?=)(.+)$/u.exec(pair) ?? []
      if (name === '') return refuseArgument('--map', (speak) => speak('bad_map'))
      return [name, sign === '=' ? from.trim() : { value: from }]
    }),
  )
}

/** The faults of the body under the names of the options that it was made of. */
function asTyped({ faults }: InvalidInputError): InvalidInputError {
  const named = faults.map(({ field, rule }) => ({ field: optionOf(field), rule }))
  return new InvalidInputError('bad_arguments', named)
}

function optionOf(field: string): string {
  if (field === 'channel') return '--channel'
  if (field === 'template_id') return '--template'
  if (field === 'alias') return 'ALIAS'
  const [, index, part] = /^fallbacks\.(\d+)\.(.+)$/.exec(field) ?? []
  if (index === undefined || part === undefined) return '--fallback'
  const nth = Number(index) + 1
  return part.startsWith('map') ? `--map ${nth} ${part.slice(4)}` : `--fallback ${nth}`
}
