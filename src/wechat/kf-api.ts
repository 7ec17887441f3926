import { z } from 'zod'
import { UnavailableError } from '../foundation/errors.ts'
import { bodyOf, type AccountApi } from './account-api.ts'
import type { TokenAccount } from './refresh-token.ts'

/** One page of what happened at a customer-service account. */
export interface KfPage {
  readonly items: readonly Readonly<Record<string, unknown>>[]
  readonly nextCursor: string
  readonly hasMore: boolean
}

/** 95007: the token of the push is over. 40014 and 42001 are about the access token. */
const STALE_TOKEN = 95007

const pageSchema = z.object({
  next_cursor: z.string().min(1),
  has_more: z.union([z.number(), z.boolean()]).default(0),
  msg_list: z.array(z.record(z.string(), z.unknown())).default([]),
})

/**
 * The page of items behind a cursor, oldest first; from the beginning (three days ago) without one.
 *
 * @param question.token that of the push: without it, or with one that is over, the platform allows
 *   few calls.
 * @returns `stale_token` when the token is over.
 * @see https://developer.work.weixin.qq.com/document/path/94670
 */
export async function syncKfMessages(
  api: AccountApi,
  account: TokenAccount,
  question: {
    readonly openKfId: string
    readonly cursor: string | null
    readonly token: string | null
    readonly limit: number
  },
): Promise<KfPage | 'stale_token'> {
  const { openKfId, cursor, token, limit } = question
  const answer = await api(account, {
    method: 'POST',
    path: '/cgi-bin/kf/sync_msg',
    body: {
      open_kfid: openKfId,
      limit,
      ...(cursor !== null && { cursor }),
      ...(token !== null && { token }),
    },
  })
  if (answer.errcode === STALE_TOKEN && token !== null) return 'stale_token'
  const read = pageSchema.safeParse(bodyOf('kf/sync_msg', answer)).data
  if (!read) throw new UnavailableError('bad_platform_answer', 'kf/sync_msg: no page')
  return { items: read.msg_list, nextCursor: read.next_cursor, hasMore: Boolean(read.has_more) }
}

const PAGE = 100
/** Ten thousand accounts; a corp has at most five thousand. */
const MOST_PAGES = 100

/**
 * The customer-service accounts that we may act for.
 *
 * @see https://developer.work.weixin.qq.com/document/path/94661
 */
export async function listKfAccounts(api: AccountApi, account: TokenAccount): Promise<string[]> {
  const schema = z.object({ account_list: z.array(z.object({ open_kfid: z.string() })) })
  const found: string[] = []
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await api(account, {
      method: 'POST',
      path: '/cgi-bin/kf/account/list',
      body: { offset: found.length, limit: PAGE },
    })
    const read = schema.safeParse(bodyOf('kf/account/list', answer)).data
    if (!read) throw new UnavailableError('bad_platform_answer', 'kf/account/list: no list')
    found.push(...read.account_list.map((one) => one.open_kfid))
    if (read.account_list.length < PAGE) break
  }
  return found
}
