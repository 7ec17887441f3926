import { KIND_RULES } from '../accounts/account-kinds.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import type { Parts } from '../compose.ts'
import type { OpenBreaker } from '../dispatch/breaker-store.ts'
import type { SendPace } from '../dispatch/pace-store.ts'
import type { RestingChannel } from '../dispatch/pause-store.ts'
import { channelsOf } from '../wechat/channels.ts'
import type { Say } from './words.ts'

/** What holds the sends of accounts back at this moment. */
export interface SendingState {
  readonly breakers: readonly OpenBreaker[]
  readonly paces: readonly SendPace[]
  readonly pauses: readonly RestingChannel[]
}

export async function readSendingState({ sending }: Pick<Parts, 'sending'>): Promise<SendingState> {
  return {
    breakers: await sending.breakers(),
    paces: await sending.paces(),
    pauses: await sending.pauses(),
  }
}

type Sender = Pick<AccountOverview, 'id' | 'name' | 'kind' | 'serves'>

/**
 * For `--json`: the breaker that rests the account's sends, its pace, those of its channels, and
 * which of its channels rest.
 */
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
    rests: pausesOf(account, state).map(({ channel, reason, errcode, until }) => ({
      channel,
      reason,
      errcode,
      until: until.toISOString(),
    })),
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
    ...restWarnings(account, state, say),
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

/** One line for all channels that rest for the same reason, until the same moment. */
function restWarnings(account: Sender, state: SendingState, say: Say): string[] {
  const rests = Map.groupBy(
    pausesOf(account, state),
    ({ reason, errcode, until }) => `${reason} ${errcode} ${until.toISOString()}`,
  )
  return [...rests.values()].flatMap((resting) => {
    const [first] = resting
    if (!first) return []
    const { reason, errcode, until } = first
    return say('channel_rests', {
      name: account.name,
      channels: resting.map(({ channel }) => channel).join(', '),
      time: until.toISOString(),
      reason: errcode === null ? reason : `${reason}, ${errcode}`,
    })
  })
}

/** Of the account's own channels: a blocked account rests them all, whoever has them. */
function pausesOf(account: Sender, { pauses }: SendingState): readonly RestingChannel[] {
  const channels = channelsOf(account.kind, account.serves)
  return pauses.filter(
    ({ accountId, channel }) => accountId === account.id && channels.includes(channel),
  )
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
