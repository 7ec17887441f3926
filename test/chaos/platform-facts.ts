import { PATHS } from '../support/send-road.ts'
import type { Ground } from './ground.ts'
import { tagIn, type Asked } from './play-story.ts'

/** A call of a channel, as the platform saw it. */
export interface Call {
  readonly id: number
  readonly path: string
  /** On the clock of acknowledgements. */
  readonly arrivedMs: number
  /** On the wall clock, in milliseconds. */
  readonly atMs: number
}

/** What the sandbox has recorded of a run. */
export interface PlatformFacts {
  /** How often the person has a message. */
  readonly copiesOf: (asked: Asked) => number
  /** Whether the platform took it; it may tell later that it could not deliver it. */
  readonly wasTaken: (asked: Asked) => boolean
  /** Calls to a person at any channel, in the order of their arrival. */
  readonly callsTo: (person: string) => readonly Call[]
  /** The message of a call where it was received, else the number of the call. */
  readonly nameOf: (callId: number) => string
  readonly counts: Readonly<Record<string, number>>
}

export function readPlatform(
  { sandbox, accounts, fleet }: Ground,
  asked: readonly Asked[],
): PlatformFacts {
  const received = accounts.flatMap(({ people }) => people.messages())
  const copies = Map.groupBy(received, ({ content }) => tagIn(content))
  const tagOfCall = new Map(received.map(({ id, content }) => [id, tagIn(content)]))
  const idOfTag = new Map(asked.map(({ id, tag }) => [tag, id]))
  const paths = new Set<string>(Object.values(PATHS))
  const entries = sandbox
    .log({ kind: 'call', limit: Infinity })
    .entries.flatMap((entry) => (entry.kind === 'call' && paths.has(entry.path) ? [entry] : []))
  const calls = Map.groupBy(
    entries.map(({ id, path, openid, arrived_ms: arrivedMs, at }) => {
      return { id, path, arrivedMs, atMs: Date.parse(at), person: openid ?? '' }
    }),
    ({ person }) => person,
  )
  // a call that names a message says so also when its person never received it
  const taken = new Set(
    entries.flatMap(({ client_msg_id: id, msgid }) => (msgid === null ? [] : (id ?? []))),
  )
  const refused = entries.filter(({ errcode }) => errcode !== null && errcode !== 0)
  const met = (fault: (typeof entries)[number]['fault']) =>
    entries.filter((entry) => entry.fault === fault).length
  return {
    copiesOf: ({ tag }) => copies.get(tag)?.length ?? 0,
    wasTaken: ({ id, tag }) => copies.has(tag) || taken.has(id),
    callsTo: (person) => calls.get(person) ?? [],
    nameOf: (callId) => idOfTag.get(tagOfCall.get(callId) ?? '') ?? `call ${callId}`,
    counts: {
      'messages received at the platform': received.length,
      'calls at the platform': entries.length,
      '… answered with an errcode': refused.length,
      '… different errcodes': new Set(refused.map(({ errcode }) => errcode)).size,
      '… cut off before the platform acted': met('reset_before'),
      '… cut off after the platform acted': met('reset_after'),
      '… repeats that the platform dropped': entries.filter(({ repeated }) => repeated).length,
      'processes killed': fleet.dead.length,
    },
  }
}
