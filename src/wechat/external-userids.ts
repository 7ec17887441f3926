import { z } from 'zod'
import { UnavailableError } from '../foundation/errors.ts'
import { bodyOf, type AccountApi } from './account-api.ts'
import type { TokenAccount } from './refresh-token.ts'

/** The most ids of one question; the platform's own limit is said to be higher. */
export const EXTERNAL_USERIDS = 500

const answerSchema = z.object({
  items: z
    .array(z.object({ external_userid: z.string(), new_external_userid: z.string().default('') }))
    .default([]),
})

/**
 * The new ids of customers, once a corp has agreed that they change. Who has none is left out. Path
 * and fields are unconfirmed: they have met no account of the platform, only our sandbox.
 *
 * @throws UnavailableError also where the platform answers with a code.
 */
export async function getNewExternalUserids(
  api: AccountApi,
  account: TokenAccount,
  externalUserids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const answer = await api(account, {
    method: 'POST',
    path: '/cgi-bin/externalcontact/get_new_external_userid',
    body: { external_userid_list: externalUserids },
  })
  const read = answerSchema.safeParse(bodyOf('get_new_external_userid', answer)).data
  if (!read) throw new UnavailableError('bad_platform_answer', 'get_new_external_userid: no list')
  return new Map(
    read.items
      .filter((one) => one.new_external_userid !== '')
      .map((one) => [one.external_userid, one.new_external_userid]),
  )
}
