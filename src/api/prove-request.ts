import { createHash } from 'node:crypto'
import type { Request, Response } from 'express'
import {
  isFresh,
  readClaim,
  readContentDigest,
  SIGNATURE_WINDOW_SECONDS,
  type SignatureClaim,
  type SignedParts,
} from '../applications/request-signature.ts'
import type { Clock } from '../foundation/clock.ts'
import { AccessError } from '../foundation/errors.ts'
import { sha256 } from '../foundation/ids.ts'
import type { Application } from './authenticate.ts'
import { readBytes } from './read-json-body.ts'
import { readLines } from './read-lines.ts'

/** Whether an application signed a request, and whether it is the first with its nonce. */
export type CheckSignature = (
  applicationId: string,
  signed: SignedParts & { readonly signature: Buffer },
) => Promise<'proven' | 'wrong' | 'used'>

export interface ProveDeps {
  readonly checkSignature: CheckSignature
  readonly clock: Clock
}

/** A request as far as it had to be read to know that it is the application's. */
export interface ProvenRequest {
  /** Whether it bears the application's signature. */
  readonly isSigned: boolean
  /** The body, where it has been read already. */
  readonly bytes: Buffer | undefined
  /** The bytes of a stream of lines, where the route takes lines and got them. */
  readonly lines: AsyncIterable<Buffer> | undefined
}

interface Asked {
  readonly application: Application
  readonly req: Request
  readonly res: Response
  readonly takesLines: boolean
}

/**
 * Checks the signature of a request, where its application has to sign or did.
 *
 * A body is read first, because the signature is over its digest. Lines are not: their digest stands
 * in a header, and reading them fails at their end when it was another one.
 *
 * @throws AccessError 401 `signature_missing`, `signature_malformed`, `signature_unexpected`,
 *   `timestamp_out_of_window`, `signature_wrong`, `nonce_used`; RequestError of the readers
 */
export async function proveRequest(deps: ProveDeps, asked: Asked): Promise<ProvenRequest> {
  const { application, req, res } = asked
  const claim = claimOf(application, req, deps.clock.now())
  const lines = asked.takesLines ? readLines(req) : undefined
  if (!claim) return { isSigned: false, bytes: undefined, lines }

  const proven = { application, req, claim }
  if (lines) {
    const digest = statedDigest(req)
    await requireProof(deps, proven, digest)
    return { isSigned: true, bytes: undefined, lines: linesOfDigest(lines, digest) }
  }
  const bytes = await readBytes(req, res)
  await requireProof(deps, proven, sha256(bytes).toString('hex'))
  return { isSigned: true, bytes, lines: undefined }
}

/** What the headers claim; undefined for a request that is not signed and need not be. */
function claimOf(application: Application, req: Request, now: Date): SignatureClaim | undefined {
  const signature = req.get('x-signature')
  if (signature === undefined) {
    if (application.signatures !== 'required') return undefined
    throw new AccessError(
      401,
      'signature_missing',
      'this application signs every request: send X-Timestamp, X-Nonce and X-Signature as docs/api.md says',
    )
  }
  if (application.signatures === 'off') {
    throw new AccessError(
      401,
      'signature_unexpected',
      'this application has nothing to sign with; an operator makes a signing secret with `wcg app rotate`',
    )
  }
  const claim = readClaim({
    timestamp: req.get('x-timestamp'),
    nonce: req.get('x-nonce'),
    signature,
  })
  if ('rule' in claim) throw malformed(claim.header, claim.rule)
  if (isFresh(claim.timestamp, now)) return claim
  throw new AccessError(
    401,
    'timestamp_out_of_window',
    `X-Timestamp must be within ${SIGNATURE_WINDOW_SECONDS} seconds of this gateway's clock, which the header Date shows`,
  )
}

function malformed(header: string, rule: string): AccessError {
  return new AccessError(401, 'signature_malformed', `${header} ${rule}`)
}

function statedDigest(req: Request): string {
  const digest = readContentDigest(req.get('content-digest'))
  if (digest !== undefined) return digest
  throw malformed(
    'Content-Digest',
    'must be sent with signed lines: sha-256=:<base64 of 32 bytes>:',
  )
}

async function requireProof(
  deps: ProveDeps,
  proven: {
    readonly application: Application
    readonly req: Request
    readonly claim: SignatureClaim
  },
  bodyDigest: string,
): Promise<void> {
  const { application, req, claim } = proven
  const parts = { method: req.method, ...targetOf(req.originalUrl), bodyDigest }
  const proof = await deps.checkSignature(application.id, { ...parts, ...claim })
  if (proof === 'proven') return
  if (proof === 'used') {
    throw new AccessError(
      401,
      'nonce_used',
      'a request with this X-Nonce has been accepted before; sign every try anew, the Idempotency-Key stays',
    )
  }
  throw new AccessError(
    401,
    'signature_wrong',
    'the signature is not that of this request with the signing secret of this application; docs/api.md says what is signed',
  )
}

/** Path and query as they were sent. */
function targetOf(url: string): { readonly path: string; readonly query: string } {
  const at = url.indexOf('?')
  return at < 0 ? { path: url, query: '' } : { path: url.slice(0, at), query: url.slice(at + 1) }
}

/** The pieces as they come; after the last of them an error when they are not what was signed. */
async function* linesOfDigest(
  lines: AsyncIterable<Buffer>,
  digest: string,
): AsyncGenerator<Buffer, void> {
  const hash = createHash('sha256')
  for await (const piece of lines) {
    hash.update(piece)
    yield piece
  }
  if (hash.digest('hex') === digest) return
  throw new AccessError(
    401,
    'digest_wrong',
    'the body is not the one that Content-Digest names and the signature is for; nothing of it will be sent',
  )
}
