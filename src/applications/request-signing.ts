import type { Knex } from 'knex'
import { createSnapshot } from '../accounts/snapshot.ts'
import type { Clock } from '../foundation/clock.ts'
import { newSigningSecret } from '../foundation/ids.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { APPLICATIONS_UNAVAILABLE } from './application.ts'
import {
  isSignedWith,
  SIGNATURE_WINDOW_SECONDS,
  type SignatureDemand,
  type SignedParts,
} from './request-signature.ts'
import {
  demandSignatures,
  findSigner,
  forgetSigning,
  loadSigning,
  placeOfSigningSecret,
  replaceSigningSecret,
  spendNonce,
  type SealedSigning,
} from './signing-store.ts'

/** `used`: the signature is right, and a request with this nonce has been here before. */
export type Proof = 'proven' | 'wrong' | 'used'

/** A new signing secret, which exists nowhere else: it is shown once. */
export interface MadeSecret {
  readonly secret: string
  /** The secret as it may rest in the application's row. */
  readonly sealFor: (applicationId: string) => string
}

/** A replaced signing secret. */
export interface RotatedSecret {
  readonly secret: string
  readonly signatures: SignatureDemand
  /** Until when the one before is accepted too; null where there is none. */
  readonly previousUntil: Date | null
}

/** What applications sign their requests with, and whether a signature is theirs. */
export interface RequestSigning {
  make(): MadeSecret
  /**
   * Gives an application a new secret; the one before is accepted for a day, or ends at once. One
   * that had none may sign from now on, and need not until that is set.
   *
   * @throws NotFoundError `unknown_application`
   */
  rotate(name: string, options: { readonly endPrevious: boolean }): Promise<RotatedSecret>
  /**
   * Other processes follow within five seconds. `off` forgets the secrets.
   *
   * @throws NotFoundError `unknown_application`, ConflictError `signing_secret_missing`
   */
  setDemand(name: string, demand: SignatureDemand): Promise<void>
  /**
   * Whether the application signed this request, now for the first time: the nonce of a right
   * signature is used up. The time of the request has been checked before.
   *
   * @throws UnavailableError `applications_unavailable`; AppError `unknown_master_key`, `broken_seal`
   */
  check(applicationId: string, signed: SignedParts & { readonly signature: Buffer }): Promise<Proof>
}

/** How long the secret before a rotation is accepted beside the new one. */
const SECRET_OVERLAP_MS = 24 * 3_600_000

/** A process accepts a secret that was replaced elsewhere for no longer than this. */
const MAX_AGE_MS = 5_000

/** The request is accepted this long after its own time, by a clock that may be late as much again. */
const NONCE_SECONDS = 2 * SIGNATURE_WINDOW_SECONDS

export function createRequestSigning(parts: {
  readonly db: Knex
  readonly box: SecretBox
  readonly clock: Clock
}): RequestSigning {
  const { db, box, clock } = parts
  const copy = createSnapshot({
    load: async () => new Map((await loadSigning(db)).map((one) => [one.applicationId, one])),
    clock,
    maxAgeMs: MAX_AGE_MS,
    unavailable: APPLICATIONS_UNAVAILABLE,
  })

  function make(): MadeSecret {
    const secret = newSigningSecret()
    return { secret, sealFor: (id) => box.seal(secret, placeOfSigningSecret(id)) }
  }

  return {
    make,

    async rotate(name, { endPrevious }) {
      const { id } = await findSigner(db, name)
      const { secret, sealFor } = make()
      const previousUntil = endPrevious ? null : new Date(clock.now().getTime() + SECRET_OVERLAP_MS)
      const next = { sealed: sealFor(id), previousUntil, keyIds: box.keyIds }
      const replaced = await replaceSigningSecret(db, id, next)
      copy.invalidate()
      return { secret, ...replaced }
    },

    async setDemand(name, demand) {
      const { id } = await findSigner(db, name)
      if (demand === 'off') await forgetSigning(db, id)
      else await demandSignatures(db, { id, name }, demand)
      copy.invalidate()
    },

    async check(applicationId, { signature, ...signed }) {
      // a secret that this process has not seen yet: the copy is read again, at most once a second
      const isRight = await copy.find((byId) => {
        const secrets = openSecrets(byId.get(applicationId), { box, now: clock.now() })
        return isSignedWith(secrets, signed, signature) || undefined
      })
      if (!isRight) return 'wrong'
      const { nonce, timestamp } = signed
      const expiresAt = new Date((Number(timestamp) + NONCE_SECONDS) * 1000)
      return (await spendNonce(db, { applicationId, nonce, expiresAt })) ? 'proven' : 'used'
    },
  }
}

/** The secrets that count at this moment, the current one first. */
function openSecrets(
  signing: SealedSigning | undefined,
  { box, now }: { readonly box: SecretBox; readonly now: Date },
): string[] {
  if (!signing) return []
  const { applicationId, sealed, previous, previousUntil } = signing
  const counts = previous !== null && previousUntil !== null && now < previousUntil
  const place = placeOfSigningSecret(applicationId)
  return [sealed, ...(counts ? [previous] : [])].map((text) => box.open(text, place))
}
