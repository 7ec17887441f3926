import { spreadOf, type Spread } from './statistics.ts'

/** What one kind of work showed in one round. */
export interface Sample {
  /** Pieces of work per second. */
  readonly rate: number
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** Processor time per piece in the process that does the work, in microseconds. */
  readonly ownUs?: number
  /** The same in all processes of PostgreSQL together. */
  readonly postgresUs?: number
}

/** The samples of one kind of work, in the order of the rounds. */
export interface Series {
  readonly name: string
  readonly samples: readonly Sample[]
}

/** One of the numbers of a sample over all rounds; undefined where it was not measured. */
export function spreadOfFigure(series: Series, figure: keyof Sample): Spread | undefined {
  const known = series.samples.flatMap((sample) => sample[figure] ?? []).filter(Number.isFinite)
  return known.length > 0 ? spreadOf(known) : undefined
}

/** One figure of two kinds of work, divided round by round: what disturbed a round disturbed both. */
export function ratioOf(above: Series, below: Series, figure: 'rate' | 'p99Ms' = 'rate'): Spread {
  const ratios = above.samples.map((sample, round) => {
    return (sample[figure] ?? Number.NaN) / (below.samples[round]?.[figure] ?? Number.NaN)
  })
  return spreadOf(ratios)
}
