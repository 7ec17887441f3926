import type { Knex } from 'knex'
import { changeConsents, changeRow, eraseSubject } from '../consent/consent-store.ts'
import { isScopeName, MEMBER } from '../consent/consent.ts'
import { findSpellings } from '../consent/spelling-store.ts'
import type { Log } from '../foundation/log.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { openJobSecret, type FollowUpPayload } from './follow-up-payload.ts'
import { erasesPeople, listSiblings } from './rekey-store.ts'

/** What the end of a member works with. */
export interface EndMemberParts {
  readonly db: Knex
  readonly box: SecretBox
  readonly log: Log
}

const KIND = 'delete_user'

/**
 * A member has left the corp. The push recorded it on the account that was told; the same follows on
 * every other account of the corp: erased, or, where that account's setting keeps people's data, its
 * consent revoked from the second of the event.
 */
export async function endMember(
  { db, box, log }: EndMemberParts,
  payload: FollowUpPayload,
): Promise<void> {
  const { account_id, event_id: eventId, effective_at: effectiveAt } = payload
  const userid = openJobSecret(box, payload, 'UserID')
  if (!eventId || !effectiveAt || userid === null || !isScopeName(userid)) return
  const siblings = (await listSiblings(db, account_id)).filter((id) => id !== account_id)
  for (const accountId of siblings) {
    const subject = (await findSpellings(db, accountId, [userid])).subjectOf(userid)
    if (await erasesPeople(db, accountId)) {
      const why = { actor: 'platform', reason: KIND }
      await eraseSubject(db, { accountId, subject, effectiveAt, ...why })
      continue
    }
    const evidence = { kind: 'event', eventId } as const
    const end = { scope: MEMBER, change: 'revoked', effectiveAt, reason: KIND } as const
    const change = { ...end, credits: null, expiresAt: null }
    await changeConsents(db, [changeRow({ accountId, subject, change, evidence })])
  }
  log.info({ event_id: eventId, accounts: siblings.length }, 'member.ended')
}
