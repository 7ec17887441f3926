import type { CallCount } from './quota-store.ts'
import { mustRest, roomOf, usedOf, type QuotaTally } from './quota.ts'

/** One API of one account on one day, as this process knows it. */
export interface QuotaPlace {
  readonly accountId: number
  readonly day: string
  readonly path: string
  /** Counted here and not written down yet. A call counts from its beginning: other processes see it. */
  pending: number
  /** Of `pending`, what is being written down. */
  writing: number
  /** Written down for calls that then never left; the next ones are counted already. */
  spare: number
  /** What all processes had written down when we last did. */
  tally: QuotaTally | null
  marginPercent: number
  /** The platform has said 45009 here; `told` once it is written down. */
  full: 'no' | 'yes' | 'told'
  /** Read anew although nothing was counted: calls are held back, or the platform was asked. */
  isWanted: boolean
  /** Before the first call what is known is read, and the platform asked. */
  isOpen: boolean
  opening: Promise<void> | null
  /** The platform is not asked again before, unless a mark is passed or it refuses; our clock. */
  askAgainMs: number
}

/** From so few calls on the processes tell each other more often. */
const NEARLY_FULL = 500

export function emptyPlace(accountId: number, day: string, path: string): QuotaPlace {
  const counted = { pending: 0, writing: 0, spare: 0, tally: null, marginPercent: 0 }
  const asked = { isWanted: false, isOpen: false, opening: null, askAgainMs: 0 }
  return { accountId, day, path, ...counted, full: 'no', ...asked }
}

export function isToWrite({ pending, isWanted, full }: QuotaPlace): boolean {
  return pending > 0 || isWanted || full === 'yes'
}

export function countOf({ accountId, day, path, pending: calls, full }: QuotaPlace): CallCount {
  return { accountId, day, path, calls, isFull: full === 'yes' }
}

/** What was written down waits no longer, and what all have counted is known. */
export function settle(
  place: QuotaPlace,
  tallies: readonly QuotaTally[],
  added: CallCount | undefined,
) {
  const tally = tallies.find((one) => isOf(one, place))
  place.writing = 0
  place.isWanted = false
  if (!tally || !added) return []
  place.tally = tally
  if (tally.refusedUsed !== null) place.full = 'told'
  else if (place.full === 'told') place.full = 'no'
  return [{ place, tally, added }]
}

/** A call that never left: it is not counted, or if that is written down another is not. */
export function takeBack(place: QuotaPlace): void {
  if (place.pending > 0) place.pending -= 1
  else place.spare += 1
}

/** What counts towards the limit, as far as this process knows. */
function usedHere({ tally, pending, writing, spare }: QuotaPlace): number {
  return (tally ? usedOf(tally) : 0) + pending + writing - spare
}

/** Whether further calls rest: by what all have counted, and by what this process is about to. */
export function isResting(place: QuotaPlace): boolean {
  if (place.full === 'yes') return true
  return place.tally !== null && mustRest(place.tally, place.marginPercent, usedHere(place))
}

export function isNearlyFull(place: QuotaPlace): boolean {
  if (!place.tally) return false
  const room = roomOf(place.tally, place.marginPercent, usedHere(place))
  return room !== null && room < NEARLY_FULL
}

function isOf(tally: QuotaTally, place: QuotaPlace): boolean {
  return tally.accountId === place.accountId && tally.day === place.day && tally.path === place.path
}
