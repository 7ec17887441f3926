import { Agent, request } from 'undici'
import type { Clock } from '../foundation/clock.ts'
import type { PushRules } from './options.ts'
import type { TryRecord } from './record.ts'

/** Makes requests to callbacks, as the platform does. */
export interface PushClient {
  /** One POST, or a GET when there is no body; every failure is a value. */
  ask(url: string, body: string | null, copy: number): Promise<TryRecord>
  close(): Promise<void>
}

/** As observed in the platform's pushes (callbacks.md §5.1). */
const HEADERS = { 'content-type': 'text/xml', 'user-agent': 'Mozilla/4.0' }
/** What the record keeps of an answer; a right one is at most seven letters long. */
const KEPT_ANSWER = 200

/** @param clock its monotonic half says when an answer had arrived completely. */
export function createPushClient(
  rules: Pick<PushRules, 'concurrency' | 'answerTimeoutMs'>,
  clock: Clock,
): PushClient {
  const agent = new Agent({ connections: rules.concurrency })
  const slots = createSlots(rules.concurrency)

  const exchange = async (url: string, body: string | null, signal: AbortSignal) => {
    const method = body === null ? 'GET' : 'POST'
    const answer = await request(url, { dispatcher: agent, method, body, headers: HEADERS, signal })
    return { status: answer.statusCode, text: await answer.body.text() }
  }

  const ask = async (url: string, body: string | null, copy: number): Promise<TryRecord> => {
    const started = { copy, started_ms: clock.monotonicMs() }
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), rules.answerTimeoutMs)
    try {
      const { status, text } = await exchange(url, body, deadline.signal)
      const ended_ms = clock.monotonicMs()
      const problem = isAcknowledgement(status, text) ? null : 'wrong_answer'
      return { ...started, ended_ms, status, answer: text.slice(0, KEPT_ANSWER), problem }
    } catch {
      // Why the connection failed does not matter to the platform, only whether it was too slow.
      const problem = deadline.signal.aborted ? 'timeout' : 'no_connection'
      return { ...started, ended_ms: clock.monotonicMs(), status: null, answer: null, problem }
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    async ask(url, body, copy) {
      const release = await slots()
      try {
        return await ask(url, body, copy)
      } finally {
        release()
      }
    },
    close: () => agent.destroy(),
  }
}

/** Status 200 and exactly `success`, or nothing; no quotes, no JSON, no 201 (callbacks.md §5.1). */
function isAcknowledgement(status: number, text: string): boolean {
  return status === 200 && (text === 'success' || text === '')
}

/** At most so many holders at once; the others wait in line. Give back what you get by calling it. */
function createSlots(count: number): () => Promise<() => void> {
  let free = count
  const line: (() => void)[] = []
  const release = () => {
    const next = line.shift()
    if (next) next()
    else free += 1
  }
  return async () => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => line.push(resolve))
    return release
  }
}
