import { afterCall, firstLimit, LEAST_LIMIT, type CallLimit } from './call-limit.ts'

/** The calls that a process may have under way at once, by account. */
export interface Places {
  /** Whether the account may have another call under way. */
  isOpenFor(accountId: number): boolean
  /** Takes a place for a call. What it answers gives the place back; the second time does nothing. */
  take(accountId: number): () => void
  /** How many calls of the account are under way. */
  heldBy(accountId: number): number
  /** How many may be, by what its calls have taken so far. */
  limitOf(accountId: number): number
  /** A call is over: how many more the account may have under way follows from it. */
  called(
    accountId: number,
    call: { readonly latencyMs: number; readonly isOverload: boolean },
  ): void
  /** The accounts with calls under way, or lately; the others are forgotten by it. */
  view(): readonly { readonly accountId: number; readonly limit: number; readonly held: number }[]
}

interface AccountPlaces {
  held: number
  limit: CallLimit
  usedAtMs: number
}

/**
 * An account may hold three times what it leaves free. So there is always room for another one, also
 * while several of them hang; and one alone has three quarters.
 */
const HELD_PER_FREE = 3
/** What is known about an account that has sent nothing for so long is forgotten. */
const FORGET_AFTER_MS = 600_000

/** @param size places in all. @param onFree called when a place is given back. */
export function createPlaces(
  size: number,
  parts: { readonly monotonicMs: () => number; readonly onFree: () => void },
): Places {
  const accounts = new Map<number, AccountPlaces>()
  const first = Math.floor(firstLimit(size, 0).limit)
  let free = size

  function accountOf(id: number): AccountPlaces {
    const known = accounts.get(id)
    if (known) return known
    const atMs = parts.monotonicMs()
    const account = { held: 0, limit: firstLimit(size, atMs), usedAtMs: atMs }
    accounts.set(id, account)
    return account
  }

  function leave(account: AccountPlaces): void {
    free += 1
    account.held -= 1
    account.usedAtMs = parts.monotonicMs()
    parts.onFree()
  }

  function forgetOld(): void {
    const beforeMs = parts.monotonicMs() - FORGET_AFTER_MS
    for (const [id, account] of accounts) {
      if (account.held === 0 && account.usedAtMs < beforeMs) accounts.delete(id)
    }
  }

  return {
    isOpenFor(accountId) {
      const account = accounts.get(accountId)
      const limit = account ? Math.floor(account.limit.limit) : first
      return roomFor({ held: account?.held ?? 0, limit, free }) > 0
    },
    take(accountId) {
      const account = accountOf(accountId)
      free -= 1
      account.held += 1
      let isHeld = true
      return () => {
        if (isHeld) leave(account)
        isHeld = false
      }
    },
    heldBy: (accountId) => accounts.get(accountId)?.held ?? 0,
    limitOf(accountId) {
      const account = accounts.get(accountId)
      return account ? Math.floor(account.limit.limit) : first
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
