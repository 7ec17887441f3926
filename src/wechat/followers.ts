import { z } from 'zod'
import type { Clock } from '../foundation/clock.ts'
import { UnavailableError, type AppError } from '../foundation/errors.ts'
import { lookUpErrorCode } from './error-codes.ts'
import type { CallOutcome, PlatformCall } from './platform-client.ts'
import { QUOTA_MARGIN } from './quota-ledger.ts'
import type { TokenAccount } from './refresh-token.ts'
import type { TokenKeeper } from './token-keeper.ts'
import { nextChinaDay } from './token-rules.ts'

/** An account whose followers can be asked for. */
type Asker = TokenAccount

/** How a question ended; docs of the kinds are with who asks, consent/follower-source.ts. */
type Asked<T> =
  | { readonly kind: 'answer'; readonly value: T; readonly askedAt: Date }
  | { readonly kind: 'quota'; readonly until: Date; readonly reason: QuotaReason }
  | { readonly kind: 'slow'; readonly until: Date }
  | { readonly kind: 'wait'; readonly error: AppError }
  | { readonly kind: 'refused'; readonly errcode: number; readonly errmsg: string }

/** The platform has refused with 45009, or would before long: but for the margin the day is used up. */
type QuotaReason = 'quota_daily' | 'quota_margin'

const LIST = '/cgi-bin/user/get'
const BLACKLIST = '/cgi-bin/tags/members/getblacklist'
const ABOUT = '/cgi-bin/user/info/batchget'

/** Their calls rest before 45009: a sync goes on where it was on the next day. */
export const FOLLOWER_PATHS: readonly string[] = [LIST, BLACKLIST, ABOUT]

/** A list ends with an empty `next_openid`, or with a page of none; `data` may be missing then. */
const pageSchema = z
  .object({
    total: z.coerce.number().int().nonnegative().optional(),
    data: z.object({ openid: z.array(z.string().min(1)).default([]) }).default({ openid: [] }),
    next_openid: z.string().default(''),
  })
  .transform(({ total, data, next_openid: next }) => ({
    subjects: data.openid,
    total: total ?? null,
    next: data.openid.length === 0 ? '' : next,
  }))

/** Who does not follow comes with `subscribe` 0 and nothing else. */
const statesSchema = z
  .object({
    user_info_list: z.array(
      z.object({
        openid: z.string(),
        subscribe: z.coerce.number(),
        subscribe_time: z.coerce.number().optional(),
      }),
    ),
  })
  .transform(({ user_info_list: users }) =>
    users.map((user) => ({
      subject: user.openid,
      follows: user.subscribe === 1,
      since: user.subscribe_time ? new Date(user.subscribe_time * 1000) : null,
    })),
  )

/** Spread of those that wait for the same midnight. */
const DAY_SPREAD_MS = 60_000
const MINUTE_MS = 60_000
/** As for the answers to sends. */
const LARGEST_SKEW_MS = 5 * MINUTE_MS

/**
 * The lists of an account's followers.
 *
 * - `GET /cgi-bin/user/get`: 10,000 a page, 500 calls a day in the platform's old table
 * - `POST /cgi-bin/user/info/batchget`: at most 100 people
 * - `POST /cgi-bin/tags/members/getblacklist`: 1,000 or 10,000 a page, whatever comes
 *
 * @see https://developers.weixin.qq.com/doc/service/api/usermanage/userinfo/api_getfans.html
 * @see https://developers.weixin.qq.com/doc/subscription/api/usermanage/userinfo/api_getblacklist
 */
export function createFollowerSource(parts: {
  readonly call: (call: PlatformCall) => Promise<CallOutcome>
  readonly tokens: Pick<TokenKeeper, 'getToken' | 'reportRejected'>
  /** Before the first call of a day its limit is asked for; null: nothing to wait for. */
  readonly quotaReady: (accountId: number, path: string) => Promise<void> | null
  readonly clock: Clock
  readonly random: () => number
}) {
  const { clock, tokens } = parts

  function restUntilTomorrow(reason: QuotaReason) {
    const until = later(nextChinaDay(clock.now()), parts.random() * DAY_SPREAD_MS)
    return { kind: 'quota', until, reason } as const
  }

  async function ask<T>(
    account: Asker,
    call: PlatformCall,
    schema: z.ZodType<T>,
  ): Promise<Asked<T>> {
    const token = await tokens.getToken(account)
    if (token.kind === 'unavailable') return wait('no_token', `no access token: ${token.reason}`)
    await parts.quotaReady(account.id, call.path)
    const startedAt = clock.now()
    const startedMs = clock.monotonicMs()
    const outcome = await parts.call({ ...call, accountId: account.id, accessToken: token.token })
    if (outcome.kind === 'not_sent' && outcome.reason === QUOTA_MARGIN) {
      return restUntilTomorrow(QUOTA_MARGIN)
    }
    if (outcome.kind !== 'answer') {
      return wait('platform_unreachable', `the platform did not answer: ${outcome.reason}`)
    }
    if (outcome.errcode !== 0) return refusal(account, outcome, token.version)
    const read = schema.safeParse(outcome.body)
    if (!read.success) return wait('platform_answer_unreadable', `${call.path} answered strangely`)
    const tookMs = clock.monotonicMs() - startedMs
    return {
      kind: 'answer',
      value: read.data,
      askedAt: before(outcome.platformTime, startedAt, tookMs),
    }
  }

  async function refusal(
    account: Asker,
    { errcode, errmsg }: { readonly errcode: number; readonly errmsg: string },
    tokenVersion: string,
  ): Promise<Exclude<Asked<never>, { kind: 'answer' }>> {
    const now = clock.now()
    switch (lookUpErrorCode('oa', errcode).class) {
      case 'token':
        await tokens.reportRejected(account, tokenVersion)
        return wait('token_rejected', `the platform refused the access token with ${errcode}`)
      case 'quota_daily':
        return restUntilTomorrow('quota_daily')
      case 'rate_minute':
        // minute quotas are clock minutes
        return { kind: 'slow', until: later(now, MINUTE_MS - (now.getTime() % MINUTE_MS)) }
      case 'transient':
        return wait('platform_busy', `the platform is busy: ${errcode}`)
      default:
        return { kind: 'refused', errcode, errmsg }
    }
  }

  return {
    listFollowers: (account: Asker, cursor: string) =>
      ask(
        account,
        {
          method: 'GET',
          path: LIST,
          ...(cursor !== '' && { query: { next_openid: cursor } }),
        },
        pageSchema,
      ),
    listBlocked: (account: Asker, cursor: string) =>
      ask(
        account,
        {
          method: 'POST',
          path: BLACKLIST,
          body: { begin_openid: cursor },
        },
        pageSchema,
      ),
    askAbout: (account: Asker, subjects: readonly string[]) =>
      ask(
        account,
        {
          method: 'POST',
          path: ABOUT,
          body: { user_list: subjects.map((openid) => ({ openid })) },
        },
        statesSchema,
      ),
  }
}

/**
 * A whole second of the platform's clock before a question was asked. Its answer tells the time when
 * it was given; a time that is far from ours comes from something in between, and ours serves.
 */
function before(answeredAt: Date | null, startedAt: Date, tookMs: number): Date {
  const theirsMs = (answeredAt?.getTime() ?? NaN) - tookMs
  const isTheirs = Math.abs(theirsMs - startedAt.getTime()) < LARGEST_SKEW_MS
  const askedMs = isTheirs ? theirsMs : startedAt.getTime()
  return new Date(Math.floor(askedMs / 1000) * 1000 - 1000)
}

function wait(code: string, message: string): { readonly kind: 'wait'; readonly error: AppError } {
  return { kind: 'wait', error: new UnavailableError(code, message) }
}

function later(time: Date, ms: number): Date {
  return new Date(time.getTime() + Math.round(ms))
}
