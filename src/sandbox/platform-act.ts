import type { z } from 'zod'
import { readInput } from './inputs.ts'
import { beginOptOut, learnFrom, type OptOutHolder } from './opt-outs.ts'
import type { PushPlace } from './push-place.ts'
import type { Pusher } from './pushes.ts'
import type { PushRecord } from './record.ts'
import type { World } from './world.ts'

/** What an act comes to: what is pushed, and what somebody holds in their hands afterwards. */
export interface PlatformEffect {
  readonly push?: {
    readonly place: () => PushPlace
    readonly event: string
    readonly document: string
    readonly person?: string
    readonly timeoutMs?: number
  }
  /** Who opted out of everything by it; known from the acknowledgement on. */
  readonly optOut?: OptOutHolder
  /** Codes and ids that the act made. */
  readonly made?: Readonly<Record<string, string>>
}

/** What an act that is not a follower's came to. */
export interface PlatformActResult {
  /** Null where nothing is pushed, or the push was lost by wish. */
  readonly push: PushRecord | null
  readonly made: Readonly<Record<string, string>>
}

/** One act on an owner, with its details checked. */
export type PlatformAct<Owner> = (
  scene: { readonly world: World; readonly owner: Owner; readonly now: Date },
  details: unknown,
) => PlatformEffect

/** An act whose details are what a schema says. */
export function platformAct<Owner, Details>(
  schema: z.ZodType<Details>,
  act: (
    scene: { readonly world: World; readonly owner: Owner; readonly now: Date },
    details: Details,
  ) => PlatformEffect,
): PlatformAct<Owner> {
  return (scene, details) => act(scene, readInput(schema, details ?? {}))
}

/**
 * Lets something happen at an owner: changes the state, then pushes and waits for the outcome.
 *
 * @param options.silent the state changes and the push is lost.
 * @throws InvalidInputError when the details are not the act's.
 */
export async function performPlatformAct<Owner>(
  stage: { readonly world: World; readonly pusher: Pusher; readonly owner: Owner },
  act: PlatformAct<Owner>,
  options: { readonly details: unknown; readonly silent: boolean },
): Promise<PlatformActResult> {
  const { world, pusher, owner } = stage
  const effect = act({ world, owner, now: world.clock.now() }, options.details)
  const made = effect.made ?? {}
  const { push, optOut } = effect
  if (!push || options.silent) return { push: null, made }
  const { event, person: openid, ...rest } = push
  const begun = optOut && [
    beginOptOut(optOut, { scope: { kind: 'everything' }, because: event, learnedFrom: 'push' }),
  ]
  const finished = await pusher.push({
    ...rest,
    event,
    openid,
    ...(begun ? { onAcknowledged: learnFrom(begun) } : {}),
  })
  return { push: finished, made }
}
