import type { Request } from 'express'
import { RequestError } from './problem.ts'

const LINES_TYPE = /^application\/x-ndjson[ \t]*(;[ \t]*charset[ \t]*=[ \t]*"?utf-8"?[ \t]*)?$/i

/**
 * The body of a request that says it is lines of JSON, piece by piece: the next piece is taken when
 * the last one has been dealt with. undefined when it says that it is anything else.
 *
 * @throws RequestError `unsupported_media_type` (415); while it is read, `incomplete_body` (400)
 */
export function readLines(req: Request): AsyncIterable<Buffer> | undefined {
  if (!LINES_TYPE.test(req.headers['content-type'] ?? '')) return undefined
  if (req.headers['content-encoding'] !== undefined) {
    throw new RequestError(415, 'unsupported_media_type', 'send the body without Content-Encoding')
  }
  return piecesOf(req)
}

async function* piecesOf(req: Request): AsyncGenerator<Buffer, void> {
  // Not `for await (… of req)`: leaving that loop early would tear the connection down with the answer.
  const pieces = req.iterator({ destroyOnReturn: false })
  for (;;) {
    const piece = await next(pieces)
    if (piece === undefined) return
    yield piece
  }
}

async function next(pieces: NodeJS.AsyncIterator<unknown>): Promise<Buffer | undefined> {
  try {
    const { value, done } = await pieces.next()
    return done !== true && Buffer.isBuffer(value) ? value : undefined
  } catch {
    throw new RequestError(400, 'incomplete_body', 'the body ended before its last line')
  }
}
