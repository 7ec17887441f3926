import { randomBytes } from 'node:crypto'
import type { AccountKind } from '../accounts/account.ts'
import {
  createKindsApplication,
  type KindsApplication,
  type MessageEnd,
} from './demo-kinds-application.ts'
import { castKinds, type Play } from './demo-kinds-world.ts'
import type { Progress } from './demo-story.ts'
import { waitFor } from './demo-wait.ts'
import type { DemoWorld } from './demo-world.ts'

/** What the database says about one kind of account when its small story is over. */
export interface KindRow {
  readonly kind: AccountKind
  /** In the event log. */
  readonly pushes: number
  readonly scope: string
  /** The state of the consent before and behind the end; null where the ledger has nothing. */
  readonly before: string | null
  readonly after: string | null
  /** Null for what sends by its tenants alone. */
  readonly channel: string | null
  /** What became of the message before the end, and of the one behind it. */
  readonly first: MessageEnd | null
  readonly second: MessageEnd | null
}

export interface KindsTally {
  readonly rows: readonly KindRow[]
  /** Messages that the gateway calls sent, and that the platform received. */
  readonly sent: { readonly gateway: number; readonly sandbox: number }
  /** Whether each kind was heard, wrote once, and was stopped. */
  readonly holds: boolean
}

const ARRIVED = new Set(['sent', 'delivered'])
const STOPPED = new Set(['blocked', 'cancelled'])
const MOST_EVENTS = 200

/**
 * Plays a small story for one account of each kind: somebody agrees, is written to, takes it back (or
 * the tenant leaves), and the next message is stopped.
 */
export async function playKinds(world: DemoWorld, progress: Progress): Promise<KindsTally> {
  const plays = await castKinds(world)
  const { key } = await world.gateway.parts.applications.add({
    name: `kinds-${randomBytes(3).toString('hex')}`,
    accountNames: plays.map(({ account }) => account),
  })
  const application = createKindsApplication({ url: world.gatewayUrl, key })
  const began = await Promise.all(plays.map((play) => begin(world, play, application)))
  progress(1, 3)
  // One after the other: the tenants come last, and their end ends what they allowed.
  for (const { takeBack } of plays) await takeBack()
  progress(2, 3)
  const rows = await Promise.all(began.map((play) => end(world, play, application)))
  progress(3, 3)
  return {
    rows,
    sent: {
      gateway: rows.filter(({ first }) => first && ARRIVED.has(first.status)).length,
      sandbox: countReceived(world, plays),
    },
    holds: rows.every(endsWell),
  }
}

interface Begun {
  readonly play: Play
  readonly before: string
  readonly first: MessageEnd | null
  /** The id of a message that waits, where the account will be no more. */
  readonly waiting: string | null
}

/** Somebody agrees and is written to. */
async function begin(world: DemoWorld, play: Play, application: KindsApplication): Promise<Begun> {
  const { account, send } = play
  await play.agree()
  const before = await waitFor('a consent', () => stateOf(world, play))
  if (send === null) return { play, before, first: null, waiting: null }
  const first = await application.endOf(await application.ask(account, send))
  const waiting = play.end === 'erased' ? await application.ask(account, send, 'later') : null
  return { play, before, first, waiting }
}

/** The application asks once more, and the story is told from the database. */
async function end(
  world: DemoWorld,
  { play, before, first, waiting }: Begun,
  application: KindsApplication,
): Promise<KindRow> {
  const { kind, account, consent, send } = play
  const after = await waitFor('the end of a consent', async () => {
    const state = await stateOf(world, play)
    return hasEnded(play, state) ? { state } : null
  })
  const second =
    send && (await application.endOf(waiting ?? (await application.ask(account, send))))
  const { id } = await world.gateway.parts.accounts.show(account)
  const pushes = await world.gateway.parts.events.list({
    ...{ accountIds: [id], withDocument: false, limit: MOST_EVENTS },
  })
  return {
    ...{ kind, pushes: pushes.length, scope: consent.scope, before },
    after: after.state,
    channel: send?.channel ?? null,
    ...{ first, second },
  }
}

function hasEnded({ end }: Play, state: string | null): boolean {
  switch (end) {
    case 'taken_back':
      return state !== 'granted'
    case 'tenant_gone':
      return true
    case 'erased':
      return state === null
  }
}

async function stateOf({ gateway }: DemoWorld, { consent }: Play): Promise<string | null> {
  const { id } = await gateway.parts.accounts.show(consent.account)
  const { consents } = await gateway.parts.consents.show(id, consent.subject)
  return consents.find(({ scope }) => scope === consent.scope)?.state ?? null
}

function countReceived({ sandbox }: DemoWorld, plays: readonly Play[]): number {
  const { accounts } = sandbox.report()
  return plays.reduce((sum, { ownerId }) => sum + (accounts[ownerId]?.['sent'] ?? 0), 0)
}

/** Heard, written to once, and stopped. */
function endsWell({ pushes, before, channel, first, second }: KindRow): boolean {
  if (pushes === 0 || before !== 'granted') return false
  if (channel === null) return true
  return ARRIVED.has(first?.status ?? '') && STOPPED.has(second?.status ?? '')
}
