import { afterCall, firstLimit, LEAST_LIMIT, type CallLimit } from './call-limit.ts'

/** What a claim may take: `rooms` for the accounts named, `otherRoom` for each of all others. */
export interface Offer {
  readonly accountIds: readonly number[]
  readonly rooms: readonly number[]
  /** What they have in hand already: who has less goes first. */
  readonly held: readonly number[]
  readonly otherRoom: number
}

/** The messages a process has in hand at once, by account, and the waiting for room. */
export interface Places {
  readonly free: number
  /** What the next claim may take of each account. */
  offer(): Offer
  /** What a claim brought: an account that used all its room probably has more waiting. */
  claimed(offer: Offer, accountIds: readonly number[]): void
  /** Holds a place while the work runs; never throws. */
  hold(accountId: number, work: Promise<void>): void
  /** A call is over: how many more the account may have under way follows from it. */
  called(
    accountId: number,
    call: { readonly latencyMs: number; readonly isOverload: boolean },
  ): void
  /** The accounts with messages in hand, or lately; the others are forgotten by it. */
  view(): readonly { readonly accountId: number; readonly limit: number; readonly held: number }[]
  /**
   * Waits for room, and for enough of it that a claim brings more than one message; but not longer
   * than a moment once there is any, because the work in the others may hang.
   */
  untilWorthwhile(signal: AbortSignal): Promise<void>
  /** Resolves when nothing is in hand. */
  untilEmpty(): Promise<void>
}

interface AccountPlaces {
  held: number
  limit: CallLimit
  /** Its last claim took all there was room for. */
  hasMore: boolean
  usedAtMs: number
}

/** A claim is one statement, for one message or for many: it waits for a quarter of the places. */
const WORTHWHILE_SHARE = 4
const WORTHWHILE_WAIT_MS = 10
/** How long to wait at a time while no place is free; the end of any work wakes earlier. */
const FULL_WAIT_MS = 500
/**
 * An account may hold three times what it leaves free. So there is always room for another one, also
 * while several of them hang; and one alone has three quarters.
 */
const HELD_PER_FREE = 3
/** What is known about an account that has sent nothing for so long is forgotten. */
const FORGET_AFTER_MS = 600_000

/**
 * @param size places in all.
 * @param onRoom called when an account that has more waiting has room for it.
 */
export function createPlaces(
  size: number,
  parts: { readonly monotonicMs: () => number; readonly onRoom: () => void },
): Places {
  const held = new Set<Promise<void>>()
  const accounts = new Map<number, AccountPlaces>()
  const free = () => size - held.size
  let waiting: { readonly count: number; readonly wake: () => void } | undefined
  let rooming: NodeJS.Timeout | undefined

  function accountOf(id: number): AccountPlaces {
    const known = accounts.get(id)
    if (known) return known
    const atMs = parts.monotonicMs()
    const account = { held: 0, limit: firstLimit(size, atMs), hasMore: false, usedAtMs: atMs }
    accounts.set(id, account)
    return account
  }

  function roomOf(account: Pick<AccountPlaces, 'held' | 'limit'>): number {
    return roomFor({ held: account.held, limit: Math.floor(account.limit.limit), free: free() })
  }

  function release(accountId: number): void {
    const account = accountOf(accountId)
    account.held -= 1
    account.usedAtMs = parts.monotonicMs()
    if (waiting && free() >= waiting.count) waiting.wake()
    if (!account.hasMore) return
    const room = roomOf(account)
    if (room >= Math.ceil(account.limit.limit / WORTHWHILE_SHARE)) parts.onRoom()
    else if (room > 0) rooming ??= setTimeout(tellOfRoom, WORTHWHILE_WAIT_MS).unref()
  }

  function tellOfRoom(): void {
    rooming = undefined
    parts.onRoom()
  }

  /** Waits for so many free places, but no longer. */
  async function untilFree(count: number, ms: number, signal: AbortSignal): Promise<void> {
    if (free() >= count || ms <= 0) return
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', resolve)
    waiting = { count, wake: () => resolve(undefined) }
    await promise
    waiting = undefined
    signal.removeEventListener('abort', resolve)
    clearTimeout(timer)
  }

  function forgetOld(): void {
    const beforeMs = parts.monotonicMs() - FORGET_AFTER_MS
    for (const [id, account] of accounts) {
      if (account.held === 0 && account.usedAtMs < beforeMs) accounts.delete(id)
    }
  }

  return {
    get free() {
      return free()
    },
    offer() {
      const otherRoom = roomOf({ held: 0, limit: firstLimit(size, 0) })
      // a claim compares each with each that has something due: only those that make a difference
      const known = [...accounts].filter(
        ([, account]) => account.held > 0 || account.hasMore || roomOf(account) < otherRoom,
      )
      return {
        accountIds: known.map(([id]) => id),
        rooms: known.map(([, account]) => roomOf(account)),
        held: known.map(([, account]) => account.held),
        otherRoom,
      }
    },
    claimed(offer, accountIds) {
      const counts = new Map<number, number>()
      for (const id of accountIds) counts.set(id, (counts.get(id) ?? 0) + 1)
      const rooms = new Map(offer.accountIds.map((id, place) => [id, offer.rooms[place] ?? 0]))
      for (const id of new Set([...counts.keys(), ...rooms.keys()])) {
        const room = rooms.get(id) ?? offer.otherRoom
        // with no room it was not asked: what was known about it still holds
        if (room > 0) accountOf(id).hasMore = (counts.get(id) ?? 0) >= room
      }
    },
    hold(accountId, work) {
      accountOf(accountId).held += 1
      const holding = work.finally(() => {
        held.delete(holding)
        release(accountId)
      })
      held.add(holding)
    },
    called(accountId, call) {
      const account = accountOf(accountId)
      const ended = { ...call, atMs: parts.monotonicMs(), inHand: account.held }
      account.limit = afterCall(account.limit, ended, size)
    },
    view() {
      forgetOld()
      return [...accounts].map(([accountId, account]) => ({
        accountId,
        limit: Math.floor(account.limit.limit),
        held: account.held,
      }))
    },
    async untilWorthwhile(signal) {
      while (free() === 0 && !signal.aborted) await untilFree(1, FULL_WAIT_MS, signal)
      if (!signal.aborted) {
        await untilFree(Math.ceil(size / WORTHWHILE_SHARE), WORTHWHILE_WAIT_MS, signal)
      }
    },
    async untilEmpty() {
      await Promise.all(held)
    },
  }
}

/**
 * What one account may take at this moment: up to its limit, and so that three times what is free
 * afterwards is not less than what it holds. Never less than the smallest limit, while there is room.
 */
export function roomFor(account: {
  readonly held: number
  readonly limit: number
  readonly free: number
}): number {
  const { held, limit, free } = account
  const fair = Math.floor((HELD_PER_FREE * free - held) / (HELD_PER_FREE + 1))
  const room = Math.min(limit - held, Math.max(fair, LEAST_LIMIT - held))
  return Math.max(0, Math.min(room, free))
}
