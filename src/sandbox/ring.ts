/** The last so many items, oldest first; adding one more lets the oldest go. */
export interface Ring<T> {
  add(item: T): void
  /** Oldest first. */
  list(): T[]
  /** How many were let go because the ring was full. */
  dropped(): number
  clear(): void
}

/** @param limit how many items it keeps, at least 1. */
export function createRing<T>(limit: number): Ring<T> {
  let slots: T[] = []
  let added = 0
  return {
    add(item) {
      slots[added % limit] = item
      added += 1
    },
    list() {
      if (added <= limit) return [...slots]
      const oldest = added % limit
      return [...slots.slice(oldest), ...slots.slice(0, oldest)]
    },
    dropped: () => Math.max(0, added - limit),
    clear() {
      slots = []
      added = 0
    },
  }
}
