import type { Knex } from 'knex'
import type { Log } from '../foundation/log.ts'
import { dropOldParked } from './parked-store.ts'

/** Drops the pushes whose tenant never got an account, and says so. */
export async function dropParkedPushes({
  db,
  log,
}: {
  readonly db: Knex
  readonly log: Log
}): Promise<void> {
  for (const dropped of await dropOldParked(db)) log.warn(dropped, 'push.parked_dropped')
}
