import { z } from 'zod'
import { UnavailableError } from '../foundation/errors.ts'
import { bodyOf, type AccountApi } from './account-api.ts'
import { lookUpErrorCode, type ErrorClass } from './error-codes.ts'
import type { TokenAccount } from './refresh-token.ts'

/** A customer and the member they talk to. */
export interface ArchivePair {
  readonly userid: string
  readonly externalUserid: string
}

/** What the platform knows of a pair and the chat archive. */
export interface ArchiveAgreement extends ArchivePair {
  /** `Agree`, `Disagree`, or another word of the platform's. */
  readonly agreeStatus: string
  /** When it became so; null where the platform names no time, so that nobody has answered. */
  readonly changedAt: Date | null
}

/** The most pairs of one call. */
export const ARCHIVE_PAIRS = 100

const answerSchema = z.object({
  agreeinfo: z.array(
    z.object({
      userid: z.string(),
      exteranalopenid: z.string(),
      agree_status: z.string(),
      status_change_time: z.int().nullish(),
    }),
  ),
})

/**
 * Whether customers agree that what they say to members is archived. The field for the customer is
 * spelled `exteranalopenid` by the platform.
 *
 * @param archive the account with the Secret of the chat archive; any other one is refused.
 * @throws UnavailableError also where the platform answers with a code: then nothing is known.
 * @see https://developer.work.weixin.qq.com/document/path/91782
 */
export async function checkSingleAgree(
  api: AccountApi,
  archive: TokenAccount,
  pairs: readonly ArchivePair[],
): Promise<ArchiveAgreement[]> {
  const info = pairs.map(({ userid, externalUserid }) => {
    return { userid, exteranalopenid: externalUserid }
  })
  const answer = await api(archive, {
    method: 'POST',
    path: '/cgi-bin/msgaudit/check_single_agree',
    body: { info },
  })
  const read = answerSchema.safeParse(bodyOf('msgaudit/check_single_agree', answer)).data
  if (!read) throw new UnavailableError('bad_platform_answer', 'check_single_agree: no list')
  return read.agreeinfo.map((one) => ({
    userid: one.userid,
    externalUserid: one.exteranalopenid,
    agreeStatus: one.agree_status,
    changedAt: one.status_change_time ? new Date(one.status_change_time * 1000) : null,
  }))
}

/** What the platform knows of somebody from outside in a customer group. */
export type RoomAgreement = Omit<ArchiveAgreement, 'userid'>

/** Codes of these classes are about one group; all others concern every group alike, or may pass. */
const OF_ONE_ROOM: ReadonlySet<ErrorClass> = new Set(['content', 'invalid_recipient', 'other'])

const roomSchema = z.object({
  agreeinfo: z
    .array(
      z.object({
        exteranalopenid: z.string(),
        agree_status: z.string(),
        status_change_time: z.int().nullish(),
      }),
    )
    .default([]),
})

/**
 * Whether the people from outside in a customer group agree that it is archived. The field of the
 * request, and that the answer names them as `check_single_agree` does, are unconfirmed: they have met
 * no account of the platform, only our sandbox.
 *
 * @param archive the account with the Secret of the chat archive; any other one is refused.
 * @returns `refused` where the platform does not answer for this group.
 * @throws UnavailableError where it answers for none now.
 * @see https://developer.work.weixin.qq.com/document/path/91782
 */
export async function checkRoomAgree(
  api: AccountApi,
  archive: TokenAccount,
  chatId: string,
): Promise<readonly RoomAgreement[] | 'refused'> {
  const answer = await api(archive, {
    method: 'POST',
    path: '/cgi-bin/msgaudit/check_room_agree',
    body: { roomid: chatId },
  })
  if (OF_ONE_ROOM.has(lookUpErrorCode('wecom', answer.errcode).class)) return 'refused'
  const read = roomSchema.safeParse(bodyOf('msgaudit/check_room_agree', answer)).data
  if (!read) throw new UnavailableError('bad_platform_answer', 'check_room_agree: no list')
  return read.agreeinfo.map((one) => ({
    externalUserid: one.exteranalopenid,
    agreeStatus: one.agree_status,
    changedAt: one.status_change_time ? new Date(one.status_change_time * 1000) : null,
  }))
}
