import type { ClaimedMessage } from './dispatch-store.ts'
import { roomFor, type Places } from './places.ts'

/** What a claim may bring: `rooms` for the accounts named, `otherRoom` for each of all others. */
export interface Offer {
  readonly accountIds: readonly number[]
  readonly rooms: readonly number[]
  /** What they have in hand already, waiting or called for: who has less goes first. */
  readonly held: readonly number[]
  readonly otherRoom: number
}

interface LineOffer extends Offer {
  readonly limit: number
}

/** A message whose turn has come. `leave` gives its place back; the second time does nothing. */
export interface Turn {
  readonly message: ClaimedMessage
  readonly leave: () => void
}

/**
 * The messages that a process has claimed and that wait for a place. Because they wait here, a claim
 * and a begin are statements for many messages, and no place is empty while the next claim is made.
 */
export interface Line {
  readonly size: number
  /** What the next claim may bring, at most `limit` in all. */
  offer(): LineOffer
  /** What it brought: who filled the room that was offered probably has more. */
  claimed(offer: LineOffer, messages: readonly ClaimedMessage[]): void
  /** Whose turn it is: of the account with the fewest calls under way among those with a place. */
  next(): Turn | null
  /** Takes those out that are to wait in the queue instead. */
  takeOut(isMeant: (message: ClaimedMessage) => boolean): ClaimedMessage[]
}

interface AccountLine {
  readonly waiting: ClaimedMessage[]
  /** Those that go behind. */
  readonly behind: ClaimedMessage[]
  /** How many have gone past those behind. */
  passed: number
  mark: Mark
}

/** How many waited after the last claim, if it left some behind. */
type Mark = { readonly filled: number } | null

/** A line holds so many times the places. */
const PER_PLACE = 2
/** The next claim is made when this share of what waited is left: it is worth a statement by then. */
const LOW_SHARE = 2 / 3
/** Messages of one claim. */
const MAX_CLAIM = 200
/** Of those behind one goes after so many others, as in the claim: they never stand still. */
const MOST_PASSED = 7
/** No account has this id: what holds for it holds for everybody of whom nothing is known. */
const NOBODY = 0

/** @param onLow called when messages left behind by the last claim could come now. */
export function createLine(
  size: number,
  parts: {
    readonly places: Pick<Places, 'isOpenFor' | 'take' | 'heldBy' | 'limitOf' | 'view'>
    readonly onLow: () => void
  },
): Line {
  const { places } = parts
  const capacity = PER_PLACE * size
  const accounts = new Map<number, AccountLine>()
  let count = 0
  let mark: Mark = null
  /** The next claim is asked for, or under way. */
  let isAsked = false

  function roomOf(accountId: number): number {
    return roomFor({
      held: waitingOf(accounts.get(accountId)),
      limit: PER_PLACE * places.limitOf(accountId),
      free: capacity - count,
    })
  }

  function isLow(): boolean {
    if (mark && count <= mark.filled * LOW_SHARE) return true
    for (const [id, line] of accounts) {
      const isEmptying = line.mark && waitingOf(line) <= line.mark.filled * LOW_SHARE
      if (isEmptying && roomOf(id) > 0) return true
    }
    return false
  }

  function askForMore(): void {
    if (isAsked || !isLow()) return
    isAsked = true
    parts.onLow()
  }

  function lineOf(accountId: number): AccountLine {
    const known = accounts.get(accountId)
    if (known) return known
    const line: AccountLine = { waiting: [], behind: [], passed: 0, mark: null }
    accounts.set(accountId, line)
    return line
  }

  /** Forgets lines that nothing is known of. */
  function tidy(): void {
    for (const [id, line] of accounts) {
      if (waitingOf(line) === 0 && line.mark === null) accounts.delete(id)
    }
  }

  function nextAccount(): number | null {
    let next: number | null = null
    let fewest = Infinity
    for (const [id, line] of accounts) {
      const held = waitingOf(line) > 0 ? places.heldBy(id) : Infinity
      if (held >= fewest || !places.isOpenFor(id)) continue
      next = id
      fewest = held
    }
    return next
  }

  /** A claim compares each with each that has something due: only those that make a difference. */
  function notable(): readonly number[] {
    const otherRoom = roomOf(NOBODY)
    const known = new Set([...accounts.keys(), ...places.view().map(({ accountId }) => accountId)])
    return [...known].filter(
      (id) => accounts.has(id) || places.heldBy(id) > 0 || roomOf(id) < otherRoom,
    )
  }

  return {
    get size() {
      return count
    },
    offer() {
      isAsked = true
      tidy()
      const accountIds = notable()
      return {
        limit: Math.min(capacity - count, MAX_CLAIM),
        accountIds,
        rooms: accountIds.map(roomOf),
        held: accountIds.map((id) => places.heldBy(id) + waitingOf(accounts.get(id))),
        otherRoom: roomOf(NOBODY),
      }
    },
    claimed(offer, messages) {
      isAsked = false
      const brought = new Map<number, number>()
      for (const message of messages) {
        const line = lineOf(message.accountId)
        const part = message.goesBehind ? line.behind : line.waiting
        part.push(message)
        brought.set(message.accountId, (brought.get(message.accountId) ?? 0) + 1)
      }
      count += messages.length
      mark = messages.length >= offer.limit ? { filled: count } : null
      const rooms = new Map(offer.accountIds.map((id, place) => [id, offer.rooms[place] ?? 0]))
      for (const [id, line] of accounts) {
        const room = rooms.get(id) ?? offer.otherRoom
        // with no room it was not asked: what was known about it still holds
        if (room === 0) continue
        line.mark = (brought.get(id) ?? 0) >= room ? { filled: waitingOf(line) } : null
      }
    },
    next() {
      const id = nextAccount()
      const line = id === null ? undefined : accounts.get(id)
      const message = line && takeFirst(line)
      if (!message) return null
      count -= 1
      askForMore()
      return { message, leave: places.take(message.accountId) }
    },
    takeOut(isMeant) {
      const out: ClaimedMessage[] = []
      for (const part of [...accounts.values()].flatMap((line) => [line.waiting, line.behind])) {
        const meant = part.filter(isMeant)
        if (meant.length === 0) continue
        out.push(...meant)
        part.splice(0, part.length, ...part.filter((one) => !isMeant(one)))
      }
      count -= out.length
      return out
    },
  }
}

function waitingOf(line: AccountLine | undefined): number {
  return line ? line.waiting.length + line.behind.length : 0
}

function takeFirst(line: AccountLine): ClaimedMessage | undefined {
  const isTurnBehind = line.waiting.length === 0 || line.passed >= MOST_PASSED
  if (isTurnBehind && line.behind.length > 0) {
    line.passed = 0
    return line.behind.shift()
  }
  line.passed += 1
  return line.waiting.shift()
}
