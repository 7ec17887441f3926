import { templatesBody, aliasBody } from '../api/template-routes.ts'
import type { TemplateAlias } from '../templates/alias.ts'
import { aliasesUsing } from '../templates/drift.ts'
import { fieldsOf } from '../templates/template.ts'
import type { Command } from './command.ts'
import { textTable } from './text-table.ts'

export const templatesList: Command = {
  name: 'templates list',
  summary: {
    en: 'Show the templates of an account as the platform last listed them, and its aliases.',
    zh: '查看帐号的模板（以平台最近一次返回的列表为准）及其别名。',
  },
  words: ['ACCOUNT'],

  async run({ args, say, output, withGateway }) {
    await withGateway(async ({ parts }) => {
      const { id, name } = await parts.accounts.show(args.word(0))
      const stored = await parts.templates.show(id)
      const { templates, aliases } = stored
      const headings = [
        'template',
        'channel',
        'template_title',
        'state',
        'fields',
        'aliases',
      ] as const
      const rows = templates.map((one) => [
        one.templateId,
        one.channel,
        one.title,
        say(`template_${one.status}`),
        fieldsOf(one.content)
          .map((field) => field.name)
          .join(' '),
        aliasesUsing(aliases, one).join(' '),
      ])
      output.answer(
        { ...templatesBody(name, stored), aliases: aliases.map(aliasBody) },
        [
          rows.length === 0
            ? say('no_templates', { name })
            : textTable([headings.map((heading) => say(heading)), ...rows]),
          ...aliases.map(aliasLine),
        ].join('\n'),
      )
    })
  },
}

/** `@order_shipped (template_message): T1 → T2 {thing2=thing1} → T3` */
export function aliasLine({ name, channel, steps }: TemplateAlias): string {
  const shown = steps.map(({ templateId, map }) => {
    const pairs = Object.entries(map ?? {}).map(([field, from]) =>
      typeof from === 'string' ? `${field}=${from}` : `${field}:=${from.value}`,
    )
    return pairs.length === 0 ? templateId : `${templateId} {${pairs.join(', ')}}`
  })
  return `@${name} (${channel}): ${shown.join(' → ')}`
}
