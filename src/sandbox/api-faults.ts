import type { z } from 'zod'
import type { apiFaultSchema } from './inputs.ts'

export type ApiFault = z.output<typeof apiFaultSchema>

/** The faults that wait for API calls to meet. */
export interface ApiFaults {
  add(fault: ApiFault): number
  clear(): void
  /** The first fault that meets this call; one use of it is gone then. */
  take(call: FaultyCall): ApiFault | undefined
}

interface FaultyCall {
  readonly appId: string | undefined
  readonly path: string
  readonly openid: string | undefined
}

/** @param fraction a number 0 ≤ x < 1, for faults that have a probability. */
export function createApiFaults(fraction: () => number): ApiFaults {
  let waiting: { fault: ApiFault; left: number }[] = []
  let lastId = 0

  return {
    add(fault) {
      lastId += 1
      waiting.push({ fault, left: fault.times ?? Infinity })
      return lastId
    },
    clear() {
      waiting = []
    },
    take(call) {
      const met = waiting.find(({ fault }) => meets(fault, call) && fraction() < fault.probability)
      if (!met) return undefined
      met.left -= 1
      waiting = waiting.filter(({ left }) => left > 0)
      return met.fault
    },
  }
}

function meets(fault: ApiFault, call: FaultyCall): boolean {
  return (
    (fault.path === undefined || fault.path === call.path) &&
    (fault.app_id === undefined || fault.app_id === call.appId) &&
    (fault.openid === undefined || fault.openid === call.openid)
  )
}
