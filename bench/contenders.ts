import type { Plan } from './plan.ts'
import type { Sample, Series } from './sample.ts'

const WARM_UP_MS = 1_000

/** One kind of work: does it for some time and says how it went. */
export interface Contender {
  readonly key: string
  readonly name: string
  run(ms: number): Promise<Sample>
}

/**
 * Runs the contenders one after the other, round by round, each round beginning with another one.
 * The round before the first only warms up, for a second where the plan does not say otherwise.
 */
export async function inTurn(
  contenders: readonly Contender[],
  plan: Pick<Plan, 'rounds' | 'roundMs'> & { readonly warmUpMs?: number },
): Promise<Record<string, Series>> {
  const { warmUpMs = Math.min(WARM_UP_MS, plan.roundMs) } = plan
  for (const contender of contenders) await contender.run(warmUpMs)
  const samples = new Map<string, Sample[]>(contenders.map(({ key }) => [key, []]))
  for (let round = 0; round < plan.rounds; round++) {
    const first = round % contenders.length
    const order = [...contenders.slice(first), ...contenders.slice(0, first)]
    for (const contender of order) {
      samples.get(contender.key)?.push(await contender.run(plan.roundMs))
    }
  }
  return Object.fromEntries(
    contenders.map(({ key, name }) => [key, { name, samples: samples.get(key) ?? [] }]),
  )
}
