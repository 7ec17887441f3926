import { ACTS, type ActName } from './acts.ts'
import { newFollower } from './followers.ts'
import { unixSeconds } from './movable-clock.ts'
import { beginOptOut } from './opt-outs.ts'
import type { Pusher } from './pushes.ts'
import type { PushRecord } from './record.ts'
import type { Account, World } from './world.ts'

/** What came of an act: the finished push, or null where nothing was pushed. */
export type ActResult = PushRecord | null

/**
 * Lets a person do something: changes their state, then pushes what the platform would push and
 * waits for the outcome. An openid the account never met is a new person.
 *
 * @param act.silent the push is lost on the way: the state changes and nobody hears of it.
 * @throws InvalidInputError when the details are not the act's.
 */
export async function performAct(
  world: World,
  pusher: Pusher,
  act: {
    readonly account: Account
    readonly openid: string
    readonly name: ActName
    readonly details: unknown
    readonly silent: boolean
  },
): Promise<ActResult> {
  const { account, openid } = act
  const follower = account.followers.get(openid) ?? newFollower(openid)
  const now = world.clock.now()
  const head = { originalId: account.config.original_id, openid, at: unixSeconds(now) }
  const person = { world, account, follower, head, nowMs: now.getTime() }
  const effect = ACTS[act.name](person, act.details)
  account.followers.set(openid, follower)
  if (!effect || act.silent) return null
  const { event: because, document, optOuts = [] } = effect
  const begun = optOuts.map((scope) =>
    beginOptOut(follower, { scope, because, learnedFrom: 'push' }),
  )
  return pusher.push({
    account,
    openid,
    event: because,
    document,
    onAcknowledged({ acknowledged_ms, acknowledged_at }) {
      for (const optOut of begun) {
        optOut.learnedMs = acknowledged_ms ?? undefined
        optOut.learnedAt = acknowledged_at ?? undefined
      }
    },
  })
}
