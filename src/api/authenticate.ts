import type { SignatureDemand } from '../applications/request-signature.ts'
import { AccessError } from '../foundation/errors.ts'
import type { Caller } from '../messages/caller.ts'

/** A business application, as its key names it. */
export interface Application extends Caller {
  readonly id: string
  /** Whether its requests are signed. */
  readonly signatures: SignatureDemand
}

/** Whose key this is; undefined when it is nobody's, or was revoked. */
export type Authenticate = (key: string) => Promise<Application | undefined>

const BEARER = /^Bearer +([\x21-\x7e]{1,256})$/i

/**
 * The application that an `Authorization` header proves.
 *
 * @throws AccessError 401 `key_missing` or `key_unknown`
 */
export async function authenticateHeader(
  header: string | undefined,
  authenticate: Authenticate,
): Promise<Application> {
  const key = BEARER.exec(header ?? '')?.[1]
  if (key === undefined) {
    throw new AccessError(
      401,
      'key_missing',
      'send the application key as Authorization: Bearer <key>',
    )
  }
  const application = await authenticate(key)
  if (application) return application
  throw new AccessError(
    401,
    'key_unknown',
    'this key belongs to no application, or was revoked; `wcg app add` makes a new one',
  )
}
