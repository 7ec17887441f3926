import { TAMPERINGS } from '../sandbox/inputs.ts'
import type { SandboxAccount } from '../sandbox/sandbox-account.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { NOTICE_TEMPLATE, SUBSCRIPTION_TEMPLATE } from './demo-world.ts'

/** The people of the demo, by what becomes of them. Groups do not overlap unless said. */
export interface People {
  /** Everybody who ever followed. */
  readonly all: readonly string[]
  /** Never followed: nothing is known about them. */
  readonly strangers: readonly string[]
  readonly subscribers: readonly string[]
  /** Accepted the subscription, then took it back. */
  readonly undecided: readonly string[]
  readonly talkers: readonly string[]
  /** Left; the gateway was told. */
  readonly leavers: readonly string[]
  /** Left and came back. */
  readonly returners: readonly string[]
  /** Left, but the push was lost: the platform alone knows. */
  readonly lostLeavers: readonly string[]
  /** Refused the notice's template on their phone: no push exists for that. */
  readonly refusers: readonly string[]
  /** Switched the account's messages off: only a receipt will tell. */
  readonly blockers: readonly string[]
  /** Will leave while the sends are under way. */
  readonly lateLeavers: readonly string[]
}

/** Acts of so many people at once; a crowd, not a queue. */
const CROWD = 24

/** Called after each act, with how many are done and how many there are. */
export type Progress = (done: number, total: number) => void

/** Deals the parts: each group is a share of those who follow. */
export function castPeople(account: SandboxAccount, followers: number): People {
  const all = Array.from({ length: followers }, () => account.newOpenid())
  let dealt = 0
  const share = (part: number) => all.slice(dealt, (dealt += Math.round(followers * part)))
  return {
    all,
    strangers: Array.from({ length: Math.round(followers / 15) }, () => account.newOpenid()),
    leavers: share(0.12),
    returners: share(0.04),
    lostLeavers: share(0.05),
    refusers: share(0.04),
    blockers: share(0.04),
    lateLeavers: share(0.15),
    talkers: share(0.1),
    subscribers: share(0.3),
    undecided: share(0.05),
  }
}

/** Everybody follows; the platform repeats some pushes, delays and shuffles others. */
export async function everybodyFollows(
  stage: { sandbox: Sandbox; account: SandboxAccount; people: People },
  progress: Progress,
): Promise<void> {
  const { sandbox, account, people } = stage
  sandbox.addPushFault({ event: 'subscribe', times: 30, duplicate: 2, concurrent: true })
  sandbox.addPushFault({ event: 'subscribe', times: 20, shuffle_ms: 200 })
  await crowd(people.all, (openid) => account.follow(openid), { progress })
}

/** They accept, refuse, talk, leave and come back. */
export async function lifeGoesOn(
  stage: { account: SandboxAccount; people: People },
  progress: Progress,
): Promise<void> {
  const { account, people } = stage
  const accept = (openid: string) => account.accept(openid, [SUBSCRIPTION_TEMPLATE])
  const acts: (() => Promise<unknown>)[] = [
    ...people.subscribers.map((openid) => () => accept(openid)),
    ...people.undecided.map((openid) => async () => {
      await accept(openid)
      await account.switchOff(openid, SUBSCRIPTION_TEMPLATE)
    }),
    ...people.talkers.map((openid) => () => account.say(openid, '你好')),
    ...people.leavers.map((openid) => () => account.unfollow(openid)),
    ...people.lostLeavers.map((openid) => () => account.unfollow(openid, { silent: true })),
    ...people.refusers.map((openid) => () => account.refuseTemplate(openid, NOTICE_TEMPLATE)),
    ...people.blockers.map((openid) => () => account.block(openid)),
    ...people.returners.map((openid) => () => leaveAndReturn(account, openid)),
  ]
  await crowd(acts, (act) => act(), { progress })
}

/** The platform's clock counts whole seconds, and in one second the refusal wins: so a pause. */
async function leaveAndReturn(account: SandboxAccount, openid: string): Promise<void> {
  await account.unfollow(openid)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  await account.follow(openid)
}

/** Pushes of somebody who is not the platform. Every one of them would opt a stranger in. */
export async function forgersTry(
  stage: { sandbox: Sandbox; account: SandboxAccount; people: People },
  progress: Progress,
): Promise<void> {
  let done = 0
  for (const [index, openid] of stage.people.strangers.entries()) {
    const tamper = TAMPERINGS[index % TAMPERINGS.length]
    if (tamper) stage.sandbox.addPushFault({ times: 1, tamper })
    await stage.account.follow(openid)
    await stage.account.unfollow(openid, { silent: true })
    progress((done += 1), stage.people.strangers.length)
  }
}

/** Leaves one after the other while sends are under way. */
export async function someLeave(stage: { account: SandboxAccount; people: People }): Promise<void> {
  await crowd(stage.people.lateLeavers, (openid) => stage.account.unfollow(openid), { atOnce: 4 })
}

/** Does an act for each of many, so many at a time. */
export async function crowd<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<unknown>,
  { progress = () => {}, atOnce = CROWD }: { progress?: Progress; atOnce?: number },
): Promise<void> {
  const rest = items.entries()
  let done = 0
  const walker = async () => {
    for (const [, item] of rest) {
      await act(item)
      progress((done += 1), items.length)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, walker))
}
