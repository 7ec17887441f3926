import { SECRET_NAMES } from '../accounts/secret-store.ts'
import { accountAnswer, accountWarnings, callbackLine, callbackUrl } from './account-options.ts'
import type { Command } from './command.ts'
import { textTable } from './text-table.ts'

export const accountShow: Command = {
  name: 'account show',
  summary: {
    en: 'Show one account: ids, mode, settings, which secrets are set.',
    zh: '查看一个帐号：ID、模式、设置以及已配置的密钥。',
  },
  words: ['NAME'],

  async run({ args, say, output, withGateway }) {
    await withGateway(async ({ parts }, config) => {
      const account = await parts.accounts.show(args.word(0))
      const { publicBaseUrl } = config.http
      output.answer(
        { ...accountAnswer(account, say), callback_url: callbackUrl(publicBaseUrl, account.name) },
        textTable([
          [say('name'), account.name],
          [say('kind'), account.kind],
          [say('app_id'), account.appId],
          [say('original_id'), account.originalId],
          [say('mode'), account.mode],
          [say('state'), say(account.disabledAt ? 'disabled' : 'in_service')],
          [say('callback_address'), callbackLine(publicBaseUrl, account.name, say)],
          ...SECRET_NAMES.map((name) => [
            name,
            say(account.secrets.includes(name) ? 'configured' : 'not_configured'),
          ]),
          ...Object.entries(account.settings).map(([name, value]) => [name, JSON.stringify(value)]),
        ]),
      )
      for (const warning of accountWarnings(account, say)) output.note(warning)
    })
  },
}
