import type { Channel } from './opt-outs.ts'
import type { Tampering } from './inputs.ts'
import type { PlaceKind } from './push-place.ts'
import { createRing, type Ring } from './ring.ts'

/*
 * What happened, as the control API answers it. `at` is the sandbox's wall clock; every `…_ms` is
 * one monotonic clock, so that arrivals and acknowledgements can be compared.
 */

/** One API call. Tokens and secrets are never kept. */
export interface CallRecord {
  readonly kind: 'call'
  readonly id: number
  readonly at: string
  /** When the request's headers reached us. */
  readonly arrived_ms: number
  /** When our answer had left completely; null while it has not, or when the connection was reset. */
  answered_ms: number | null
  readonly method: string
  readonly path: string
  app_id: string | null
  /** The agent of WeCom whose token was used. */
  agent_id: string | null
  openid: string | null
  template_id: string | null
  client_msg_id: string | null
  msgid: string | null
  errcode: number | null
  http_status: number | null
  /** The request repeated a `client_msg_id`: nothing was sent again. */
  repeated: boolean
  /** What a fault of the sandbox did to it. */
  fault: 'errcode' | 'http_status' | 'reset_before' | 'reset_after' | 'delay' | null
}

/** One request of a push. */
export interface TryRecord {
  /** 0 for the push itself, 1 and more for the copies of a `duplicate` fault. */
  readonly copy: number
  readonly started_ms: number
  readonly ended_ms: number
  readonly status: number | null
  /** The beginning of the answer's body. */
  readonly answer: string | null
  readonly problem: 'timeout' | 'no_connection' | 'wrong_answer' | null
}

export type PushOutcome =
  'waiting' | 'acknowledged' | 'given_up' | 'dropped' | 'tampered' | 'no_callback_url'

/** One push with everything that was tried for it. */
export interface PushRecord {
  readonly kind: 'push'
  readonly id: number
  readonly at: string
  /** The owner of the callback: an appid, a corpid or a suite id. */
  readonly app_id: string
  readonly to: PlaceKind
  readonly openid: string | null
  readonly event: string
  readonly document: string
  readonly tampered: Tampering | null
  outcome: PushOutcome
  /** When the first right answer had arrived completely. */
  acknowledged_at: string | null
  acknowledged_ms: number | null
  /** The message that the person got with the answer (被动回复), opened. */
  reply: string | null
  readonly tries: TryRecord[]
}

/** A message that a person really received. */
export interface MessageRecord {
  readonly kind: 'message'
  readonly id: number
  readonly at: string
  readonly arrived_ms: number
  readonly app_id: string
  readonly openid: string
  readonly channel: Channel
  /** Who sent it, in WeCom: the agent, the member, the customer-service account or the robot. */
  readonly from: string | null
  readonly template_id: string | null
  readonly client_msg_id: string | null
  readonly msgid: string | null
  /** The request's body without recipient and `client_msg_id`. */
  readonly content: Readonly<Record<string, unknown>>
}

/** A send that arrived although its opt-out was known. */
export interface BrokenOptOut {
  readonly call_id: number
  readonly app_id: string
  readonly openid: string
  readonly channel: Channel
  readonly template_id: string | null
  readonly because: string
  readonly learned_from: 'push' | 'answer'
  readonly learned_at: string
  readonly learned_ms: number
  readonly arrived_at: string
  readonly arrived_ms: number
  /** How long after; a network may delay a send that began before by a few milliseconds. */
  readonly late_ms: number
}

/** Everything of one sandbox; each list keeps its newest entries. */
export interface SandboxRecord {
  readonly calls: Ring<CallRecord>
  readonly pushes: Ring<PushRecord>
  readonly messages: Ring<MessageRecord>
  readonly broken: Ring<BrokenOptOut>
  /** Exact counts, by account and name, that no full ring can shorten. */
  readonly counts: Map<string, Map<string, number>>
  nextId(): number
  count(appId: string, name: string): void
  clear(): void
}

/** @param limit how many entries each list keeps. */
export function createRecord(limit: number): SandboxRecord {
  let lastId = 0
  const counts = new Map<string, Map<string, number>>()
  const rings = {
    calls: createRing<CallRecord>(limit),
    pushes: createRing<PushRecord>(limit),
    messages: createRing<MessageRecord>(limit),
    broken: createRing<BrokenOptOut>(limit),
  }
  return {
    ...rings,
    counts,
    nextId: () => (lastId += 1),
    count(appId, name) {
      const ofAccount = counts.get(appId) ?? new Map<string, number>()
      counts.set(appId, ofAccount.set(name, (ofAccount.get(name) ?? 0) + 1))
    },
    clear() {
      for (const ring of Object.values(rings)) ring.clear()
      counts.clear()
    },
  }
}
