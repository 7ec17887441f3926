import { z } from 'zod'
import type { CallOutcome, PlatformClient } from './platform-client.ts'
import type { TokenAccount } from './refresh-token.ts'
import type { TokenKeeper } from './token-keeper.ts'

export interface QuotaCallParts {
  readonly call: PlatformClient['call']
  readonly tokens: Pick<TokenKeeper, 'getToken' | 'reportRejected'>
}

/** A reading of the platform that came to nothing. */
export type QuotaFailure =
  | { readonly kind: 'refused'; readonly errcode: number; readonly errmsg: string }
  | { readonly kind: 'failed'; readonly reason: string }

const quotaSchema = z.object({
  quota: z.object({ daily_limit: z.int().min(0), used: z.int().min(0) }),
})

/**
 * What the platform says about one API of an account. Its counter is about 1 % off.
 *
 * @see https://developers.weixin.qq.com/doc/subscription/api/apimanage/api_getapiquota.html
 */
export async function readQuota(
  parts: QuotaCallParts,
  account: TokenAccount,
  path: string,
): Promise<
  { readonly kind: 'quota'; readonly dailyLimit: number; readonly used: number } | QuotaFailure
> {
  const body = await post(parts, account, {
    path: '/cgi-bin/openapi/quota/get',
    body: { cgi_path: path },
  })
  if (body.kind !== 'answer') return body
  const read = quotaSchema.safeParse(body.fields).data
  if (!read) return { kind: 'failed', reason: 'bad_answer' }
  return { kind: 'quota', dailyLimit: read.quota.daily_limit, used: read.quota.used }
}

const ridSchema = z.object({
  request: z.object({
    invoke_time: z.int(),
    cost_in_ms: z.int(),
    request_url: z.string(),
    request_body: z.string(),
    response_body: z.string(),
    client_ip: z.string(),
  }),
})

/** A call of the account as the platform remembers it; it masks the secrets. */
export type RememberedCall = z.infer<typeof ridSchema>['request']

/**
 * What the platform knows about a refused call, for seven days.
 *
 * @see https://developers.weixin.qq.com/doc/subscription/api/apimanage/api_getridinfo.html
 */
export async function readRid(
  parts: QuotaCallParts,
  account: TokenAccount,
  rid: string,
): Promise<{ readonly kind: 'call'; readonly call: RememberedCall } | QuotaFailure> {
  const body = await post(parts, account, { path: '/cgi-bin/openapi/rid/get', body: { rid } })
  if (body.kind !== 'answer') return body
  const read = ridSchema.safeParse(body.fields).data
  return read ? { kind: 'call', call: read.request } : { kind: 'failed', reason: 'bad_answer' }
}

/**
 * Sets all daily counters of an account to zero, by token.
 *
 * @see https://developers.weixin.qq.com/doc/subscription/api/apimanage/api_clearquota.html
 */
export async function clearQuota(
  parts: QuotaCallParts,
  account: TokenAccount & { readonly appId: string },
): Promise<{ readonly kind: 'answer' } | QuotaFailure> {
  return post(parts, account, { path: '/cgi-bin/clear_quota', body: { appid: account.appId } })
}

/**
 * The same by AppSecret, for when no token can be had any more. Out of the same ten a month.
 *
 * @see https://developers.weixin.qq.com/doc/subscription/api/apimanage/api_clearquotabyappsecret.html
 */
export async function clearQuotaBySecret(
  { call }: Pick<QuotaCallParts, 'call'>,
  account: { readonly id: number; readonly appId: string; readonly secret: string },
): Promise<{ readonly kind: 'answer' } | QuotaFailure> {
  const outcome = await call({
    method: 'POST',
    path: '/cgi-bin/clear_quota/v2',
    accountId: account.id,
    body: { appid: account.appId, appsecret: account.secret },
  })
  return readOutcome(outcome)
}

type Reading = { readonly kind: 'answer'; readonly fields: unknown } | QuotaFailure

/** One call with the account's token; a dead one is reported, and another tried once. */
async function post(
  parts: QuotaCallParts,
  account: TokenAccount,
  request: { readonly path: string; readonly body: Readonly<Record<string, unknown>> },
): Promise<Reading> {
  for (let tries = 1; ; tries += 1) {
    const token = await parts.tokens.getToken(account)
    if (token.kind === 'unavailable') return { kind: 'failed', reason: token.reason }
    const outcome = await parts.call({
      method: 'POST',
      ...request,
      accountId: account.id,
      accessToken: token.token,
    })
    const isDead = outcome.kind === 'answer' && DEAD_TOKEN.has(outcome.errcode)
    if (!isDead || tries === 2) return readOutcome(outcome)
    await parts.tokens.reportRejected(account, token.version)
  }
}

const DEAD_TOKEN: ReadonlySet<number> = new Set([40001, 40014, 42001])

function readOutcome(outcome: CallOutcome): Reading {
  if (outcome.kind !== 'answer') return { kind: 'failed', reason: outcome.reason }
  const { errcode, errmsg, body } = outcome
  return errcode === 0 ? { kind: 'answer', fields: body } : { kind: 'refused', errcode, errmsg }
}
