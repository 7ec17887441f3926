import { readBodyFormat, readMode, readSettings } from '../accounts/account-input.ts'
import { valueOf } from '../accounts/account-rules.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import {
  accountAnswer,
  accountWarnings,
  refuseBadWelcome,
  refuseUnknownChannels,
  SETTING_OPTIONS,
  settingsInput,
} from './account-options.ts'
import type { Command, CommandContext } from './command.ts'
import { argumentFault } from './parse-arguments.ts'

/** Options of which one says the opposite of the other. */
const OPPOSITES = [
  ['enable', 'disable'],
  ['templates-strict', 'templates-lenient'],
  ['keep-templates-on-unfollow', 'end-templates-on-unfollow'],
  ['keep-data-on-cancellation', 'erase-on-cancellation'],
  ['erase-on-unfollow', 'keep-data-on-unfollow'],
  ['empty-receive-id', 'require-receive-id'],
] as const

export const accountSet: Command = {
  name: 'account set',
  summary: {
    en: 'Change an account’s mode or settings, or take it out of service.',
    zh: '修改帐号的模式或设置，或停用帐号。',
  },
  words: ['NAME'],
  options: {
    mode: {
      type: 'text',
      value: 'safe|compatible|plain',
      help: { en: 'The mode on the platform’s page.', zh: '平台页面上的加解密方式。' },
    },
    'data-format': {
      type: 'text',
      value: 'xml|json',
      help: {
        en: 'The data format on a mini_program’s page.',
        zh: '小程序页面上的数据格式。',
      },
    },
    ...SETTING_OPTIONS,
    'end-templates-on-unfollow': {
      type: 'flag',
      help: {
        en: 'An unfollow ends template rights (the default).',
        zh: '取消关注即终止模板授权（默认）。',
      },
    },
    'keep-data-on-unfollow': {
      type: 'flag',
      help: {
        en: 'An unfollow ends consent and erases nothing (the default).',
        zh: '取消关注只终止授权，不删除数据（默认）。',
      },
    },
    'erase-on-cancellation': {
      type: 'flag',
      help: {
        en: 'A cancellation erases the person (the default).',
        zh: '注销即删除数据（默认）。',
      },
    },
    'require-receive-id': {
      type: 'flag',
      help: {
        en: 'Take only pushes sealed with the right receive id (the default).',
        zh: '只接受 ReceiveId 正确的推送（默认）。',
      },
    },
    'templates-lenient': {
      type: 'flag',
      help: {
        en: 'Take sends by templates that are not known (the default).',
        zh: '允许使用未登记的模板（默认）。',
      },
    },
    disable: {
      type: 'flag',
      help: { en: 'Take no pushes and make no sends.', zh: '停用：不接收推送，也不发送。' },
    },
    enable: { type: 'flag', help: { en: 'Serve it again.', zh: '重新启用。' } },
  },

  async run(context) {
    const { args, say, output, withGateway } = context
    const name = args.word(0)
    refuseContradictions(context)
    const modeText = args.text('mode')
    const mode = modeText === undefined ? undefined : valueOf(readMode(modeText))
    const formatText = args.text('data-format')
    const bodyFormat = formatText === undefined ? undefined : valueOf(readBodyFormat(formatText))
    const settings = {
      ...valueOf(readSettings(await settingsInput(context))),
      ...(args.flag('end-templates-on-unfollow') ? { keep_templates_on_unfollow: false } : {}),
      ...(args.flag('erase-on-cancellation') ? { erase_on_cancellation: true } : {}),
      ...(args.flag('keep-data-on-unfollow') ? { erase_on_unfollow: false } : {}),
      ...(args.flag('templates-lenient') ? { templates_strict: false } : {}),
      ...(args.flag('require-receive-id') ? { empty_receive_id: false } : {}),
    }
    refuseBadWelcome(settings)
    refuseUnknownChannels(settings)
    await withGateway(async ({ parts: { accounts } }) => {
      // asked at night, and then nobody reads that there is none
      if (settings.archive_account) await accounts.show(settings.archive_account)
      if (mode !== undefined) await accounts.setMode(name, mode)
      if (bodyFormat !== undefined) await accounts.setBodyFormat(name, bodyFormat)
      if (Object.keys(settings).length > 0) await accounts.updateSettings(name, settings)
      if (args.flag('disable')) await accounts.disable(name)
      if (args.flag('enable')) await accounts.enable(name)
      const account = await accounts.show(name)
      output.answer(accountAnswer(account, say), say('account_changed', { name }))
      for (const warning of accountWarnings(account, say)) output.note(warning)
    })
  },
}

/** @throws InvalidInputError `bad_arguments` for opposites, and where nothing is to be changed. */
function refuseContradictions({ args }: Pick<CommandContext, 'args'>): void {
  const faults = OPPOSITES.filter(([one, other]) => args.flag(one) && args.flag(other)).map(
    ([one, other]) => argumentFault(`--${one}`, (say) => say('opposite', { other: `--${other}` })),
  )
  const options = Object.keys(accountSet.options ?? {})
  if (!options.some((option) => args.flag(option) || args.text(option) !== undefined)) {
    faults.push(argumentFault('account set', (say) => say('nothing_to_set')))
  }
  if (faults.length > 0) throw new InvalidInputError('bad_arguments', faults)
}
