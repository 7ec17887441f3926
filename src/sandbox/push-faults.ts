import type { z } from 'zod'
import type { pushFaultSchema, Tampering } from './inputs.ts'

/** What happens to one push. */
export interface PushPlan {
  readonly duplicate: number
  readonly concurrent: boolean
  readonly delayMs: number
  readonly drop: boolean
  readonly tamper: Tampering | undefined
  /** The push waits for the others of its window; undefined when it does not. */
  readonly shuffle:
    { readonly group: number; readonly size: number; readonly windowMs: number } | undefined
}

/** The faults that wait for pushes to meet. */
export interface PushFaults {
  add(fault: z.output<typeof pushFaultSchema>): number
  clear(): void
  /** What all matching faults together do to this push; each is used up by one. */
  take(push: { readonly appId: string; readonly event: string }): PushPlan
}

interface Waiting {
  readonly id: number
  readonly fault: z.output<typeof pushFaultSchema>
  left: number
}

/** An empty list of faults. */
export function createPushFaults(): PushFaults {
  let waiting: Waiting[] = []
  let lastId = 0

  return {
    add(fault) {
      lastId += 1
      waiting.push({ id: lastId, fault, left: fault.times })
      return lastId
    },
    clear() {
      waiting = []
    },
    take(push) {
      const met = waiting.filter(
        ({ fault }) =>
          (fault.app_id ?? push.appId) === push.appId && (fault.event ?? push.event) === push.event,
      )
      for (const fault of met) fault.left -= 1
      waiting = waiting.filter(({ left }) => left > 0)
      return plan(met)
    },
  }
}

function plan(met: readonly Waiting[]): PushPlan {
  const faults = met.map(({ fault }) => fault)
  const shuffle = met.find(({ fault }) => fault.shuffle_ms !== undefined)
  return {
    duplicate: faults.reduce((sum, fault) => sum + (fault.duplicate ?? 0), 0),
    concurrent: faults.some((fault) => fault.concurrent),
    delayMs: faults.reduce((sum, fault) => sum + (fault.delay_ms ?? 0), 0),
    drop: faults.some((fault) => fault.drop === true),
    tamper: faults.find((fault) => fault.tamper !== undefined)?.tamper,
    shuffle: shuffle && {
      group: shuffle.id,
      size: shuffle.fault.times,
      windowMs: shuffle.fault.shuffle_ms ?? 0,
    },
  }
}
