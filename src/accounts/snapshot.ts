import { sleep, type Clock } from '../foundation/clock.ts'
import { UnavailableError } from '../foundation/errors.ts'

/** How often a key that is not in the copy, or a source that fails, may cause another try. */
const PAUSE_MS = 1_000

/** How long a question waits for a newer copy while an older one could answer. */
const PATIENCE_MS = 500

/** How old a copy may be when the source cannot be read: an outage is not “unknown account”. */
const MAX_STALE_MS = 10 * 60_000

/**
 * A copy of a small table, held in memory and read by key.
 *
 * The whole table is loaded at once, by one caller at a time. The copy is replaced when it is older
 * than `maxAgeMs`, after `invalidate`, and, at most once a second, when a key is not in it. When
 * loading fails, a copy of up to ten minutes serves on.
 */
export interface Snapshot<Copy> {
  /** The copy, where a question would be answered from it at once; undefined where one has to wait. */
  fresh(): Copy | undefined
  /** @throws UnavailableError when nothing could be loaded and no copy is young enough. */
  find<Found>(look: (copy: Copy) => Found | undefined): Promise<Found | undefined>
  /** The next question loads again. */
  invalidate(): void
}

export function createSnapshot<Copy>(parts: {
  readonly load: () => Promise<Copy>
  readonly clock: Clock
  readonly maxAgeMs: number
  /** Code and message of the error when there is nothing to answer from. */
  readonly unavailable: { readonly code: string; readonly message: string }
}): Snapshot<Copy> {
  /** Counts invalidations; a copy loaded before the last one is out of date. */
  let generation = 0
  let held: { copy: Copy; loadedAt: number; generation: number } | undefined
  let loading: { promise: Promise<void>; generation: number } | undefined
  let triedAt = -Infinity

  const since = (time: number) => parts.clock.monotonicMs() - time
  const isUsable = () => held !== undefined && since(held.loadedAt) <= MAX_STALE_MS
  const isRested = () => since(triedAt) >= PAUSE_MS

  function mustLoad(): boolean {
    if (!held || held.generation !== generation || !isUsable()) return true
    // While the source fails, one question a second tries it; the others join or use the copy.
    return since(held.loadedAt) >= parts.maxAgeMs && (loading !== undefined || isRested())
  }

  async function read(startedGeneration: number): Promise<void> {
    triedAt = parts.clock.monotonicMs()
    const loadedAt = triedAt
    const copy = await parts.load()
    if (held && held.generation > startedGeneration) return
    held = { copy, loadedAt, generation: startedGeneration }
  }

  /** Joins a load under way, unless it began before the last `invalidate`. */
  function load(): Promise<void> {
    if (loading?.generation === generation) return loading.promise
    const started = {
      generation,
      promise: read(generation).finally(() => {
        if (loading === started) loading = undefined
      }),
    }
    loading = started
    return started.promise
  }

  /** While there is a usable copy, nobody waits long for a newer one: it will serve those who follow. */
  async function loadInTime(): Promise<void> {
    const loaded = load()
    if (!isUsable()) return loaded
    const patience = new AbortController()
    loaded.catch(() => undefined)
    await Promise.race([loaded, sleep(PATIENCE_MS, patience.signal)]).finally(() =>
      patience.abort(),
    )
  }

  async function refresh(): Promise<void> {
    try {
      await loadInTime()
    } catch (cause) {
      if (isUsable()) return
      throw new UnavailableError(parts.unavailable.code, parts.unavailable.message, { cause })
    }
  }

  return {
    fresh: () => (mustLoad() ? undefined : held?.copy),

    async find(look) {
      if (mustLoad()) await refresh()
      const found = held && look(held.copy)
      if (found !== undefined || !isRested()) return found
      await refresh()
      return held && look(held.copy)
    },

    invalidate() {
      generation += 1
    },
  }
}
