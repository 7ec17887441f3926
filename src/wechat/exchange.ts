import type { Agent, Dispatcher } from 'undici'
import { setCoarseTimer } from '../foundation/coarse-timer.ts'

/** An HTTP request; its answer is small enough to be held as a whole. */
export interface ExchangeRequest {
  readonly origin: string
  /** With its query. */
  readonly path: string
  readonly method: 'GET' | 'POST'
  /** JSON; null: the request has no body. */
  readonly body: string | null
  /** From here to the last byte of the answer, give or take 50 ms. */
  readonly timeoutMs: number
  /** Asked at the moment before the first byte is written: no holds the request back. */
  readonly mayBegin: () => boolean
}

/** What came back, or why nothing did, and whether the other side can have acted on it. */
export type Exchanged =
  | {
      readonly kind: 'answer'
      readonly status: number
      /** Its `Date` header. */
      readonly date: string | null
      readonly text: string
    }
  /** Not one byte was written to an open connection. */
  | { readonly kind: 'not_sent'; readonly error: Error }
  | { readonly kind: 'lost'; readonly error: Error }

/** Why a request did not leave that `mayBegin` held back. */
export class HeldBackError extends Error {
  override readonly name = 'HeldBackError'
}

const JSON_HEADERS = { 'content-type': 'application/json' }
const BYTE_ORDER_MARK = 0xfeff

/**
 * Makes one request and reads its answer, with undici's own handlers: a stream and an abort signal for
 * each of a few hundred bytes cost more than the call itself. Never rejects.
 *
 * `onRequestStart` is the moment before the first byte is written to an open connection. Until then
 * nothing can have arrived, whatever went wrong: a refused connection, a name that does not resolve, a
 * failed TLS handshake, a queue that was too long. No list of error codes says this as surely.
 */
export function exchange(agent: Agent, request: ExchangeRequest): Promise<Exchanged> {
  const { origin, path, method, body, timeoutMs, mayBegin } = request
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | undefined
    let error: Error | undefined
    let answer: { readonly status: number; readonly date: string | null } | undefined
    const chunks: Buffer[] = []

    const giveUp = (why: Error) => {
      error ??= why
      takeBack()
      resolve({ kind: controller ? 'lost' : 'not_sent', error })
    }
    const takeBack = setCoarseTimer(timeoutMs, () => {
      const late = Object.assign(new Error('the answer took too long'), { name: 'TimeoutError' })
      controller?.abort(late)
      giveUp(late)
    })

    agent.dispatch(
      { origin, path, method, body, headers: body === null ? null : JSON_HEADERS },
      {
        onRequestStart(begun) {
          error ??= mayBegin() ? undefined : new HeldBackError('it would have begun too late')
          if (error) begun.abort(error)
          else controller = begun
        },
        onResponseStart(_controller, status, { date }) {
          answer = { status, date: typeof date === 'string' ? date : null }
        },
        onResponseData: (_controller, chunk) => void chunks.push(chunk),
        onResponseEnd() {
          takeBack()
          if (answer) resolve({ kind: 'answer', ...answer, text: textOf(chunks) })
        },
        onResponseError: (_controller, why) => giveUp(why),
      },
    )
  })
}

function textOf(chunks: readonly Buffer[]): string {
  const text = (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))?.toString() ?? ''
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text
}
