/** How much work is under way, and when it is all over. */
export interface UnderWay {
  readonly count: number
  begin(): void
  end(): void
  /** Resolves when nothing is under way, nor has begun in the moment when the last work ended. */
  none(): Promise<void>
}

/** Counts work under way. A set of its promises would know no more, and cost the collector more. */
export function createUnderWay(): UnderWay {
  let count = 0
  let waiting: (() => void)[] = []

  return {
    get count() {
      return count
    },
    begin() {
      count += 1
    },
    end() {
      count -= 1
      if (count > 0) return
      const told = waiting
      waiting = []
      for (const tell of told) tell()
    },
    async none() {
      while (count > 0) await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}
