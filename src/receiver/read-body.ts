import type { IncomingMessage } from 'node:http'
import { setCoarseTimer } from '../foundation/coarse-timer.ts'
import { InvariantError } from '../foundation/errors.ts'

export type BodyResult =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly reason: 'too_large' | 'slow_body' | 'incomplete_body' }

/**
 * The bytes of a request as they came, whatever its Content-Type says.
 *
 * Stops at the first byte over the limit and lets go of what it has; the caller answers and then
 * decides about the rest of the stream, which is left paused.
 *
 * @throws InvariantError when something in front has read the body: then no signature can be checked.
 */
export async function readBody(
  req: IncomingMessage,
  limits: { readonly maxBytes: number; readonly timeoutMs: number },
): Promise<BodyResult> {
  if (Number(req.headers['content-length'] ?? 0) > limits.maxBytes) {
    return { ok: false, reason: 'too_large' }
  }
  if (req.readableEnded) throw new InvariantError('a body parser runs before the callback routes')
  if (req.destroyed) return { ok: false, reason: 'incomplete_body' }
  return collect(req, limits)
}

function collect(
  req: IncomingMessage,
  limits: { readonly maxBytes: number; readonly timeoutMs: number },
): Promise<BodyResult> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = (result: BodyResult) => {
      takeBack()
      req.off('data', take).off('end', complete).off('close', abandon)
      req.pause()
      resolve(result)
    }
    const take = (chunk: Buffer) => {
      size += chunk.length
      if (size > limits.maxBytes) finish({ ok: false, reason: 'too_large' })
      else chunks.push(chunk)
    }
    const complete = () => finish({ ok: true, bytes: whole(chunks) })
    const abandon = () => finish({ ok: false, reason: 'incomplete_body' })
    const late = () => finish({ ok: false, reason: 'slow_body' })
    const takeBack = setCoarseTimer(limits.timeoutMs, late)
    // 'error' stays listened to for the life of the request: without a listener an abort would throw.
    req.on('error', abandon)
    req.on('data', take).on('end', complete).on('close', abandon)
  })
}

/** Nearly every push is one chunk, and that one is not copied. */
function whole(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks
  return first && chunks.length === 1 ? first : Buffer.concat(chunks)
}
