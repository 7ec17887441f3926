import type { Knex } from 'knex'
import { placeOfJobSecret } from '../consent/push-effects.ts'
import { findJobPayloads, rewriteJobPayloads } from '../database/job-queue.ts'
import { countSeals, type SealCount, type SecretBox } from '../foundation/sealed-secrets.ts'

type Members = Readonly<Record<string, unknown>>

/** How a sealed text begins, wherever it stands in a payload. */
const SEALED = /^v1\.[0-9a-f]{8}\./

/**
 * Seals again, under the current master key, the credentials that wait in jobs. A batch is a
 * transaction, and what is done is left as it is: it may be stopped anywhere and run once more.
 *
 * @returns how many jobs.
 * @throws AppError `unknown_master_key`, `broken_seal`
 */
export function resealJobs(db: Knex, box: SecretBox): Promise<number> {
  return rewriteJobPayloads(db, (payload) =>
    isOld(box, payload) ? resealPayload(box, payload) : undefined,
  )
}

/** How many jobs carry a credential, and under which master keys. */
export async function countJobSeals(db: Knex, box: SecretBox): Promise<SealCount> {
  const payloads = await findJobPayloads(db)
  const sealed = payloads.filter((payload) => sealedIn(payload).length > 0)
  return countSeals(
    box.keyIds,
    sealed.map((payload) => ({
      place: isMembers(payload) ? `job/${String(payload['account_id'])}` : 'job',
      keyIds: sealedIn(payload).map((text) => box.keyIdOf(text)),
    })),
  )
}

function isOld(box: SecretBox, payload: unknown): boolean {
  return sealedIn(payload).some((text) => box.keyIdOf(text) !== box.keyId)
}

function sealedIn(value: unknown): string[] {
  if (typeof value === 'string') return SEALED.test(value) ? [value] : []
  return isMembers(value) ? Object.values(value).flatMap(sealedIn) : []
}

/**
 * A payload with every credential in it sealed again. A credential rests under the name of its member,
 * at the top (`code`) or among `secrets`; see `placeOfJobSecret`.
 */
function resealPayload(box: SecretBox, payload: unknown): unknown {
  if (!isMembers(payload) || typeof payload['account_id'] !== 'number') return payload
  const accountId = payload['account_id']
  const again = (members: Members): Members =>
    Object.fromEntries(
      Object.entries(members).map(([name, value]) => {
        if (isMembers(value)) return [name, again(value)]
        if (typeof value !== 'string' || !SEALED.test(value)) return [name, value]
        const place = placeOfJobSecret(accountId, name)
        return [name, box.seal(box.open(value, place), place)]
      }),
    )
  return again(payload)
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
