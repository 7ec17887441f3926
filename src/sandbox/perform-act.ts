import { InvalidInputError } from '../foundation/errors.ts'
import { ACTS, actsOf, type ActName } from './acts.ts'
import { accountPlace } from './components.ts'
import type { DocumentHead } from './documents.ts'
import { newFollower } from './followers.ts'
import { unixSeconds } from './movable-clock.ts'
import { beginOptOut, learnFrom } from './opt-outs.ts'
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
  const acts = actsOf(account.config.kind)
  if (!acts.includes(act.name)) {
    const rule = `nobody does this to a ${account.config.kind}; expected one of ${acts.join(', ')}`
    throw new InvalidInputError('invalid_sandbox_input', [{ field: act.name, rule }])
  }
  const follower = account.followers.get(openid) ?? newFollower(openid)
  const now = world.clock.now()
  const head = documentHead(world, account, { openid, at: unixSeconds(now) })
  const person = { world, account, follower, head, nowMs: now.getTime() }
  const effect = ACTS[act.name](person, act.details)
  account.followers.set(openid, follower)
  if (!effect || act.silent) return null
  const { event: because, document, optOuts = [] } = effect
  const begun = optOuts.map((scope) =>
    beginOptOut(follower, { scope, because, learnedFrom: 'push' }),
  )
  return pusher.push({
    place: () => accountPlace(world, account),
    openid,
    event: because,
    document,
    onAcknowledged: learnFrom(begun),
  })
}

/** The head of a document as this account gets it: in JSON where it chose that. */
export function documentHead(
  world: World,
  account: Account,
  who: Pick<DocumentHead, 'openid' | 'at'>,
): DocumentHead {
  const { format } = accountPlace(world, account)
  const { jsonLists } = world.platform
  return { ...who, originalId: account.config.original_id, format, jsonLists }
}
