import { KIND_RULES } from '../accounts/account-kinds.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import type { Parts } from '../compose.ts'
import type { OpenBreaker } from '../dispatch/breaker-store.ts'
import type { SendPace } from '../dispatch/pace-store.ts'
import type { Say } from './words.ts'

/** What holds the sends of accounts back at this moment. */
export interface SendingState {
  readonly breakers: readonly OpenBreaker[]
  readonly paces: readonly SendPace[]
}

export async function readSendingState({ sending }: Pick<Parts, 'sending'>): Promise<SendingState> {
  return { breakers: await sending.breakers(), paces: await sending.paces() }
}

type Sender = Pick<AccountOverview, 'id' | 'name' | 'kind'>

/** For `--json`: the breaker that rests the account's sends, its pace, and those of its channels. */
export function sendingAnswer(account: Sender, state: SendingState) {
  const breaker = breakerOf(account, state)
  const paces = pacesOf(account, state)
  const pace = paces.find(({ channel }) => channel === null)
  return {
    breaker: breaker && {
      of: breaker.owner.kind,
      reason: breaker.reason,
      opened_at: breaker.openedAt.toISOString(),
      until: breaker.until.toISOString(),
    },
    per_second: pace?.perSecond ?? null,
    slowed: pace?.isSlowed ?? false,
    channels: paces.flatMap(({ channel, perSecond, isSlowed }) =>
      channel === null ? [] : [{ channel, per_second: perSecond, slowed: isSlowed }],
    ),
  }
}

/** The same in words; none is the normal case. */
export function sendingWarnings(account: Sender, state: SendingState, say: Say): string[] {
  const breaker = breakerOf(account, state)
  return [
    ...(breaker
      ? [
          say(breaker.owner.kind === 'host' ? 'host_breaker_open' : 'send_breaker_open', {
            name: account.name,
            reason: breaker.reason,
            since: breaker.openedAt.toISOString(),
            time: breaker.until.toISOString(),
          }),
        ]
      : []),
    ...pacesOf(account, state)
      .filter(({ isSlowed }) => isSlowed)
      .map(({ channel, perSecond }) =>
        say('sends_slowed', {
          name: channel === null ? account.name : `${account.name} (${channel})`,
          rate: Math.round(perSecond * 10) / 10,
        }),
      ),
  ]
}

function breakerOf({ id, kind }: Sender, { breakers }: SendingState): OpenBreaker | null {
  const host = KIND_RULES[kind].platform === 'wecom' ? 'wecom' : 'wechat'
  return (
    breakers.find(({ owner }) =>
      owner.kind === 'host' ? owner.host === host : owner.accountId === id,
    ) ?? null
  )
}

function pacesOf({ id }: Sender, { paces }: SendingState): readonly SendPace[] {
  return paces.filter(({ accountId }) => accountId === id)
}
