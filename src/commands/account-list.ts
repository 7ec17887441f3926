import { accountAnswer, accountWarnings } from './account-options.ts'
import type { Command } from './command.ts'
import { textTable } from './text-table.ts'

export const accountList: Command = {
  name: 'account list',
  summary: { en: 'List the accounts.', zh: '列出所有帐号。' },

  async run({ say, output, withGateway }) {
    const accounts = await withGateway(({ parts }) => parts.accounts.list())
    const rows = accounts.map((account) => [
      account.name,
      account.kind,
      account.appId,
      account.mode,
      say(account.disabledAt ? 'disabled' : 'in_service'),
    ])
    const heading = [say('name'), say('kind'), say('app_id'), say('mode'), say('state')]
    output.answer(
      { accounts: accounts.map((account) => accountAnswer(account, say)) },
      accounts.length === 0 ? say('no_accounts') : textTable([heading, ...rows]),
    )
    for (const warning of accounts.flatMap((account) => accountWarnings(account, say))) {
      output.note(warning)
    }
  },
}
