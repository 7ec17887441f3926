import type { Randomness } from './randomness.ts'

/** Lets pushes of one group through in another order than they came. */
export interface Shuffler {
  /**
   * Waits for the others of the group, at most `windowMs` after the first, then for its own turn.
   *
   * @returns call it when done: the next one goes then.
   */
  waitForTurn(shuffle: {
    readonly group: number
    readonly size: number
    readonly windowMs: number
  }): Promise<() => void>
  /** Lets everybody go. */
  close(): void
}

interface Waiter {
  readonly go: (done: () => void) => void
}

interface Group {
  readonly waiters: Waiter[]
  readonly timer: NodeJS.Timeout
}

/** @param random decides the order; with two or more it is never the order of arrival. */
export function createShuffler(random: Randomness): Shuffler {
  const groups = new Map<number, Group>()

  const open = async (id: number) => {
    const group = groups.get(id)
    if (!group) return
    groups.delete(id)
    clearTimeout(group.timer)
    for (const waiter of random.shuffle(group.waiters)) {
      await new Promise<void>((resolve) => waiter.go(resolve))
    }
  }

  return {
    waitForTurn({ group: id, size, windowMs }) {
      const group = groups.get(id) ?? {
        waiters: [],
        timer: setTimeout(() => void open(id), windowMs),
      }
      groups.set(id, group)
      return new Promise((resolve) => {
        group.waiters.push({ go: resolve })
        if (group.waiters.length >= size) void open(id)
      })
    },
    close() {
      for (const id of [...groups.keys()]) void open(id)
    },
  }
}
