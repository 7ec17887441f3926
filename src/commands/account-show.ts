import { KIND_RULES } from '../accounts/account-kinds.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import { OPERATOR_SECRETS, SECRET_NAMES } from '../accounts/secret-store.ts'
import {
  accountAnswer,
  accountWarnings,
  addressAnswer,
  addressLines,
  identityRows,
} from './account-options.ts'
import type { Command } from './command.ts'
import { readSendingState, sendingAnswer, sendingWarnings } from './sending-state.ts'
import { textTable } from './text-table.ts'
import type { Say } from './words.ts'

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
      const state = await readSendingState(parts)
      const quietUntil = (await parts.sending.quietEnd(account.id))?.toISOString() ?? null
      output.answer(
        {
          ...accountAnswer(account, say),
          ...addressAnswer(publicBaseUrl, account),
          sending: { ...sendingAnswer(account, state), quiet_until: quietUntil },
        },
        textTable([
          [say('name'), account.name],
          [say('kind'), account.kind],
          ...identityRows(account, say),
          [say('mode'), account.mode],
          [say('data_format'), account.bodyFormat],
          [say('state'), say(account.disabledAt ? 'disabled' : 'in_service')],
          ...addressLines(publicBaseUrl, account, say).map(({ what, url }) => [what, url]),
          ...secretRows(account, say),
          ...Object.entries(account.settings).map(([name, value]) => [name, JSON.stringify(value)]),
        ]),
      )
      const warnings = [
        ...accountWarnings(account, say),
        ...sendingWarnings(account, state, say),
        ...(quietUntil === null
          ? []
          : [say('quiet_now', { name: account.name, time: quietUntil })]),
      ]
      for (const warning of warnings) output.note(warning)
    })
  },
}

/** The secrets that are stored, and of those an operator gives also which are not. */
function secretRows({ kind, secrets }: AccountOverview, say: Say): string[][] {
  const expected = KIND_RULES[kind].madeBy === 'operator' ? OPERATOR_SECRETS : []
  return SECRET_NAMES.filter((name) => secrets.includes(name) || expected.includes(name)).map(
    (name) => [name, say(secrets.includes(name) ? 'configured' : 'not_configured')],
  )
}
