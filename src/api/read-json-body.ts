import express, { type Request, type Response } from 'express'
import { InvalidInputError } from '../foundation/errors.ts'
import { RequestError } from './problem.ts'
import { parseStrictJson } from './strict-json.ts'

/** Many times the largest message the platform takes. */
const MAX_BODY_BYTES = 64 * 1024

const JSON_TYPE = /^application\/json[ \t]*(;[ \t]*charset[ \t]*=[ \t]*"?utf-8"?[ \t]*)?$/i

const readRaw = express.raw({ type: () => true, limit: MAX_BODY_BYTES, inflate: false })

/**
 * The JSON body of a request.
 *
 * @param read its bytes, where they have been read already.
 * @throws RequestError `unsupported_media_type` (415), `body_too_large` (413) or `incomplete_body`;
 *   InvalidInputError of `parseStrictJson`
 */
export async function readJsonBody(req: Request, res: Response, read?: Buffer): Promise<unknown> {
  if (!JSON_TYPE.test(req.headers['content-type'] ?? '')) {
    throw new RequestError(415, 'unsupported_media_type', 'send Content-Type: application/json')
  }
  const bytes = read ?? (await readBytes(req, res))
  if (bytes.length > 0) return parseStrictJson(bytes)
  throw new InvalidInputError('malformed_json', [{ field: 'body', rule: 'must not be empty' }])
}

/**
 * The bytes of a body as they came; none where there is none.
 *
 * @throws RequestError `body_too_large` (413), `unsupported_media_type` (415) or `incomplete_body`
 */
export async function readBytes(req: Request, res: Response): Promise<Buffer> {
  await new Promise<void>((resolve, reject) => {
    readRaw(req, res, (error?: unknown) => {
      if (error === undefined) resolve()
      else reject(refusalOf(error))
    })
  })
  const body: unknown = req.body
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0)
}

/** The reader's own errors, by their documented `type`. */
function refusalOf(error: unknown): Error {
  const type = error instanceof Error && 'type' in error ? error.type : undefined
  switch (type) {
    case 'entity.too.large':
      return new RequestError(413, 'body_too_large', `send at most ${MAX_BODY_BYTES} bytes`)
    case 'encoding.unsupported':
      return new RequestError(
        415,
        'unsupported_media_type',
        'send the body without Content-Encoding',
      )
    case 'request.aborted':
    case 'request.size.invalid':
      return new RequestError(400, 'incomplete_body', 'the body ended before its stated length')
    default:
      return error instanceof Error ? error : new Error('the body could not be read')
  }
}
