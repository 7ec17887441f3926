import { z } from 'zod'
import { UnavailableError } from '../foundation/errors.ts'
import { bodyOf, type AccountApi } from './account-api.ts'
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
