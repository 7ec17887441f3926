import { hasFollowers } from '../accounts/account-kinds.ts'
import { readAccountState, type TokenState } from '../accounts/account-state-store.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import type { Gateway } from '../compose.ts'
import { accountWarnings, addressAnswer, addressLines } from './account-options.ts'
import type { Command } from './command.ts'
import { describeFollowers, followersAnswer } from './follower-state.ts'
import { deathsAnswer, deathWarnings, recentDeaths } from './token-deaths.ts'
import { textTable } from './text-table.ts'
import { hasTickets, ticketWarnings } from './ticket-warnings.ts'
import { type Say } from './words.ts'

export const accountCheck: Command = {
  name: 'account check',
  summary: {
    en: 'Check one account: secrets, callback address, access token, ticket, last push.',
    zh: '检查一个帐号：密钥、回调 URL、access_token、ticket、最近推送。',
  },
  words: ['NAME'],
  options: {
    online: {
      type: 'flag',
      help: {
        en: 'Ask the platform for a token too, and explain its refusal.',
        zh: '同时向平台获取 access_token，并解释失败原因。',
      },
    },
  },

  async run({ args, say, output, withGateway }) {
    return withGateway(async (gateway, config) => {
      const { accounts } = gateway.parts
      const account = await accounts.show(args.word(0))
      // Opens every secret, or throws what does not open.
      for (const name of account.secrets) await accounts.openSecret(account.id, name)
      const opened = account.disabledAt ? undefined : await accounts.findByName(account.name)
      const online = args.flag('online') ? await askForToken(gateway, account, say) : undefined
      const { token, lastPushAt, ticketAt } = await readAccountState(gateway.parts.db, account.id)
      const followers = hasFollowers(account) && (await gateway.parts.followers.latest(account.id))
      const deaths = await recentDeaths(gateway.parts, account)
      const warnings = [
        ...accountWarnings(account, say),
        ...ticketWarnings(account, ticketAt, say),
        ...deathWarnings(account.name, deaths, say),
      ]
      const previous = account.secrets.includes('previous_callback_token')
      const { publicBaseUrl } = config.http
      output.answer(
        {
          name: account.name,
          mode: account.mode,
          disabled: account.disabledAt !== null,
          ...addressAnswer(publicBaseUrl, account),
          secrets_open: opened !== undefined || account.disabledAt !== null,
          previous_key: previous,
          last_push_at: lastPushAt?.toISOString() ?? null,
          ...(hasTickets(account) && { ticket_at: ticketAt?.toISOString() ?? null }),
          access_token: tokenAnswer(token),
          ...(followers !== false && { follower_sync: followersAnswer(followers) }),
          early_deaths: deathsAnswer(deaths),
          ...(online ? { online } : {}),
          warnings,
        },
        textTable([
          [say('name'), account.name],
          [say('kind'), account.kind],
          [say('state'), say(account.disabledAt ? 'disabled' : 'in_service')],
          [say('mode'), account.mode],
          ...addressLines(publicBaseUrl, account, say).map(({ what, url }) => [what, url]),
          [say('secrets'), say('secrets_open')],
          [say('previous_key'), say(previous ? 'still_accepted' : 'not_configured')],
          [say('last_push'), lastPushAt?.toISOString() ?? say('never')],
          ...(hasTickets(account) ? [[say('ticket'), describeTicket(ticketAt, say)]] : []),
          [say('access_token'), describeToken(token, say)],
          ...(followers === false ? [] : [[say('followers'), describeFollowers(followers, say)]]),
          ...(online ? [[say('online'), online.message]] : []),
        ]),
      )
      for (const warning of warnings) output.note(warning)
      return online?.ok === false ? 1 : 0
    })
  },
}

function describeTicket(ticketAt: Date | null, say: Say): string {
  return ticketAt ? say('ticket_from', { time: ticketAt.toISOString() }) : say('never')
}

interface OnlineResult {
  readonly ok: boolean
  readonly errcode: string | null
  readonly message: string
}

async function askForToken(
  { parts }: Gateway,
  { id, name }: AccountOverview,
  say: Say,
): Promise<OnlineResult> {
  const account = await parts.accounts.findByName(name)
  if (!account) return { ok: false, errcode: null, message: say('disabled') }
  const answer = await parts.tokens.getToken(account)
  if (answer.kind === 'token') return { ok: true, errcode: null, message: say('online_ok') }
  const { token } = await readAccountState(parts.db, id)
  const errcode = token?.breakerErrcode ?? null
  const reason = explainErrcode(errcode, say) ?? answer.reason
  return { ok: false, errcode, message: say('online_failed', { reason }) }
}

/** What a refusal of the token endpoint asks the operator to do. */
function explainErrcode(errcode: string | null, say: Say): string | undefined {
  switch (errcode) {
    case '40001':
      return say('errcode_40001')
    case '40013':
      return say('errcode_40013')
    case '40125':
      return say('errcode_40125')
    case '40164':
      return say('errcode_40164')
    case '40243':
      return say('errcode_40243')
    case '50004':
      return say('errcode_50004')
    case '50007':
      return say('errcode_50007')
    default:
      return errcode ?? undefined
  }
}

function describeToken(token: TokenState | null, say: Say): string {
  const now = new Date()
  if (token?.breakerUntil && token.breakerUntil > now) {
    const time = token.breakerUntil.toISOString()
    const { breakerErrcode: errcode, breakerReason } = token
    if (errcode !== null) return say('breaker_open', { errcode, time })
    return say('token_rests', { reason: breakerReason ?? '–', time })
  }
  if (!token?.expiresAt) return say('token_none')
  const time = token.expiresAt.toISOString()
  return token.expiresAt > now ? say('token_valid', { time }) : say('token_expired', { time })
}

function tokenAnswer(token: TokenState | null) {
  return (
    token && {
      fetched_at: token.fetchedAt?.toISOString() ?? null,
      expires_at: token.expiresAt?.toISOString() ?? null,
      breaker_until: token.breakerUntil?.toISOString() ?? null,
      breaker_errcode: token.breakerErrcode,
      breaker_reason: token.breakerReason,
      failures: token.failures,
    }
  )
}
