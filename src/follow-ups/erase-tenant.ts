import { addJob } from '../database/job-queue.ts'
import { UnavailableError } from '../foundation/errors.ts'
import type { TenantParts } from './exchange-code.ts'
import type { FollowUpPayload } from './follow-up-payload.ts'
import {
  beginErasure,
  endErasure,
  eraseNextPeople,
  eraseNextRest,
  findTenant,
  forgetTenant,
  isGranted,
  type TenantKey,
} from './tenant-store.ts'

/** People of one transaction: their locks are held together, and nobody shall wait long for one. */
const PEOPLE = 100
/** Events that name nobody, of one transaction. */
const EVENTS = 2_000
/**
 * What was received before every process knew that the account is off can be recorded behind the
 * erasure; a copy of the accounts is at most seconds old.
 */
const SWEEP_AFTER_MS = 60_000

/**
 * What a withdrawal obliges us to. Behind a component: the credentials go, nothing is sent any more, and
 * the account stays known, because the platform asks for no more and the merchant may come back. A
 * corp that cancels a suite: everything of it goes.
 *
 * @see https://developer.work.weixin.qq.com/document/path/90642 (取消授权: 服务商应删除该企业的数据)
 */
export async function leaveTenant(
  parts: TenantParts,
  payload: FollowUpPayload,
  signal: AbortSignal,
): Promise<void> {
  const { account_id: parentId, tenant: appId, effective_at: leftAt } = payload
  if (!appId || !leftAt) return
  const key = { parentId, appId }
  if (payload.sweep) return sweep(parts, { key, leftAt, reason: 'sweep' }, signal)
  const tenant = await findTenant(parts.db, key)
  if (tenant?.kind === 'wecom_authorizer') {
    return eraseTenant(parts, { key, leftAt, reason: 'suite.cancel_auth' }, signal)
  }
  if (await forgetTenant(parts.db, key, leftAt)) {
    parts.log.info({ account: tenant?.name }, 'tenant.left')
  }
}

interface Erasure {
  readonly key: TenantKey
  /** When the corp withdrew, by the platform's clock. */
  readonly leftAt: Date
  readonly reason: string
}

/**
 * Erases a corp: people, consents, contents, events, credentials; a tombstone stays, and on the suite
 * the ledger rows that say when it came and left. It goes by slices, so a process that dies in it
 * leaves it to another. What a corp that authorises again leaves behind before the end is erased too:
 * that costs a consent at most.
 */
export async function eraseTenant(
  parts: TenantParts,
  erasure: Erasure,
  signal: AbortSignal,
): Promise<void> {
  const { db, log } = parts
  const { key, leftAt, reason } = erasure
  const tenant = await beginErasure(db, key, leftAt)
  if (tenant === undefined) return
  const people = await eraseAll(parts, { id: tenant.id, erasure }, signal)
  await endErasure(db, key, { id: tenant.id, leftAt, reason })
  await addJob(db, {
    task: 'erase_tenant',
    payload: {
      account_id: key.parentId,
      tenant: key.appId,
      effective_at: leftAt.toISOString(),
      sweep: true,
    },
    runAt: new Date(parts.clock.now().getTime() + SWEEP_AFTER_MS),
  })
  log.info({ account: tenant.name, people }, 'tenant.erased')
}

/** The second look; not at a corp that is back. */
async function sweep(parts: TenantParts, erasure: Erasure, signal: AbortSignal): Promise<void> {
  const { db } = parts
  if (await isGranted(db, erasure.key)) return
  const tenant = await findTenant(db, erasure.key)
  if (tenant?.isDisabled) await eraseAll(parts, { id: tenant.id, erasure }, signal)
}

async function eraseAll(
  { db }: TenantParts,
  { id, erasure }: { readonly id: number; readonly erasure: Erasure },
  signal: AbortSignal,
): Promise<number> {
  const { leftAt, reason } = erasure
  let people = 0
  for (;;) {
    const erased = await eraseNextPeople(db, id, { leftAt, reason, limit: PEOPLE })
    people += erased
    if (erased === 0) break
    goOnUnlessStopped(signal)
  }
  while ((await eraseNextRest(db, id, EVENTS)) > 0) goOnUnlessStopped(signal)
  return people
}

/** @throws UnavailableError at a stop; the job is taken up again by the next process. */
function goOnUnlessStopped(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new UnavailableError('process_stopping', 'the rest is erased by the next process')
  }
}
