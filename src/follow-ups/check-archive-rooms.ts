import type { Account } from '../accounts/account.ts'
import { archiveChanges } from '../consent/answer-changes.ts'
import { changeConsents, changeRow } from '../consent/consent-store.ts'
import { archiveScope, isScopeName, supersedes } from '../consent/consent.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { checkRoomAgree, type RoomAgreement } from '../wechat/archive-agreement.ts'
import { findHeld, listRooms, markAsked, noteRoom } from './archive-room-store.ts'
import type { ArchiveParts } from './check-archive.ts'
import { openJobSecret, type FollowUpPayload } from './follow-up-payload.ts'

/** Groups of one account asked about in one night, one call each; the next night goes on behind. */
const ROOMS_A_NIGHT = 2_000
/** Rows of one look. */
const PAGE = 100

/** An event told of a customer group: it is to be asked about, or was dismissed. */
export async function noteArchiveRoom(
  { db, box }: Pick<ArchiveParts, 'db'> & { readonly box: SecretBox },
  payload: FollowUpPayload,
  { dismissed }: { readonly dismissed: boolean },
): Promise<void> {
  const chatId = openJobSecret(box, payload, 'ChatId')
  const toldAt = payload.effective_at
  if (!chatId || !isScopeName(chatId) || !toldAt) return
  await noteRoom(db, { accountId: payload.account_id, chatId, toldAt, dismissed })
}

/**
 * Asks the platform about every customer group of an account and the chat archive, those first that
 * have waited longest. Each is written down when it has been asked about, so a run that is interrupted
 * goes on where it was. A group that the platform does not answer for is passed over.
 *
 * @param since when this night's asking began; nobody is asked about twice in it.
 * @returns how many groups were asked about, and how many consents changed.
 * @throws UnavailableError for what may pass.
 */
export async function checkArchiveRooms(
  parts: ArchiveParts,
  who: { readonly account: Account; readonly archive: Account; readonly since: Date },
  signal: AbortSignal,
): Promise<{ readonly rooms: number; readonly changed: number; readonly refused: number }> {
  const { account, since } = who
  const done = { rooms: 0, changed: 0, refused: 0 }
  while (done.rooms < ROOMS_A_NIGHT) {
    const page = await listRooms(parts.db, account.id, { notSince: since, limit: PAGE })
    for (const chatId of page) {
      if (signal.aborted) return done
      const answers = await checkRoomAgree(parts.api, who.archive, chatId)
      if (answers === 'refused') done.refused += 1
      else done.changed += await recordAnswers(parts, { account, chatId }, answers)
      await markAsked(parts.db, { accountId: account.id, chatId }, parts.clock.now())
      done.rooms += 1
    }
    if (page.length < PAGE) break
  }
  return done
}

async function recordAnswers(
  { db }: ArchiveParts,
  { account, chatId }: { readonly account: Account; readonly chatId: string },
  answers: readonly RoomAgreement[],
): Promise<number> {
  const subjects = answers.map(({ externalUserid }) => externalUserid)
  const held = await findHeld(db, account.id, { scope: archiveScope(chatId), subjects })
  const rows = answers.flatMap(({ externalUserid: subject, agreeStatus, changedAt }) => {
    if (changedAt === null) return []
    const known = held.get(subject)
    return archiveChanges({ where: chatId, agreeStatus, changedAt })
      .filter(({ change, effectiveAt }) => {
        return known === undefined || supersedes({ state: change, effectiveAt }, known)
      })
      .map((change) => {
        return changeRow({ accountId: account.id, subject, change, evidence: { kind: 'sync' } })
      })
  })
  if (rows.length > 0) await changeConsents(db, rows)
  return rows.length
}
