import { Agent, request } from 'undici'
import type { Clock } from '../foundation/clock.ts'
import type { PushRules } from './options.ts'
import type { TryRecord } from './record.ts'

/** Makes requests to callbacks, as the platform does. */
export interface PushClient {
  /** One POST, or a GET when there is no body; every failure is a value. */
  ask(question: PushQuestion): Promise<TryRecord>
  close(): Promise<void>
}

/** One request to a callback. */
export interface PushQuestion {
  readonly url: string
  readonly body: string | null
  readonly copy: number
  readonly timeoutMs: number
  readonly isRight: (answer: { readonly status: number; readonly text: string }) => boolean
}

/** As observed in the platform's pushes (callbacks.md §5.1). */
const USER_AGENT = 'Mozilla/4.0'
/** What the record keeps of an answer: an encrypted reply fits. */
const KEPT_ANSWER = 2000

/** @param clock its monotonic half says when an answer had arrived completely. */
export function createPushClient(rules: Pick<PushRules, 'concurrency'>, clock: Clock): PushClient {
  const agent = new Agent({ connections: rules.concurrency })
  const slots = createSlots(rules.concurrency)

  const exchange = async ({ url, body }: PushQuestion, signal: AbortSignal) => {
    const method = body === null ? 'GET' : 'POST'
    const type = body?.startsWith('{') ? 'application/json' : 'text/xml'
    const headers = { 'content-type': type, 'user-agent': USER_AGENT }
    const answer = await request(url, { dispatcher: agent, method, body, headers, signal })
    return { status: answer.statusCode, text: await answer.body.text() }
  }

  const ask = async (question: PushQuestion): Promise<TryRecord> => {
    const started = { copy: question.copy, started_ms: clock.monotonicMs() }
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), question.timeoutMs)
    try {
      const answer = await exchange(question, deadline.signal)
      const ended_ms = clock.monotonicMs()
      const problem = question.isRight(answer) ? null : 'wrong_answer'
      const { status, text } = answer
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
    async ask(question) {
      const release = await slots()
      try {
        return await ask(question)
      } finally {
        release()
      }
    },
    close: () => agent.destroy(),
  }
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
