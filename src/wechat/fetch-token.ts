import { z } from 'zod'
import type { TokenKind } from '../accounts/account.ts'
import type { Clock } from '../foundation/clock.ts'
import type { PlatformCall, PlatformClient } from './platform-client.ts'
import type { StoredToken } from './token-store.ts'

/** What the token endpoint wants to know about an account. */
export interface TokenCredentials {
  readonly appId: string
  readonly appSecret: string
}

/** What one call of the token endpoint brought. */
export type TokenReply =
  | { readonly kind: 'token'; readonly token: StoredToken }
  | {
      readonly kind: 'refused'
      readonly errcode: number
      readonly errmsg: string
      readonly rid: string | null
    }
  | { readonly kind: 'failed'; readonly reason: string }

export interface TokenWish extends TokenCredentials {
  readonly kind: TokenKind
  /** `force_refresh` of the stable endpoint; the classic one makes a new token every time. */
  readonly force: boolean
}

/**
 * Replies last 2 hours at most today, which may change. Less than a minute would make us ask all the
 * time, more than a day is no answer to build on.
 */
const replySchema = z.object({
  access_token: z.string().min(1).max(4096),
  expires_in: z.int().min(60),
})
const LONGEST_LIFE_S = 86_400

/** Asks the platform for a token, once. The life of the token counts from before the call. */
export async function fetchToken(
  call: PlatformClient['call'],
  clock: Clock,
  wish: TokenWish,
): Promise<TokenReply> {
  const fetchedAt = clock.now()
  const outcome = await call(wish.kind === 'stable' ? stableCall(wish) : classicCall(wish))
  if (outcome.kind !== 'answer') return { kind: 'failed', reason: outcome.reason }
  if (outcome.errcode !== 0) {
    const { errcode, errmsg, rid } = outcome
    return { kind: 'refused', errcode, errmsg, rid }
  }
  const reply = replySchema.safeParse(outcome.body)
  if (!reply.success) return { kind: 'failed', reason: 'bad_reply' }
  const lifeMs = Math.min(reply.data.expires_in, LONGEST_LIFE_S) * 1_000
  const expiresAt = new Date(fetchedAt.getTime() + lifeMs)
  return {
    kind: 'token',
    token: { kind: wish.kind, value: reply.data.access_token, fetchedAt, expiresAt },
  }
}

function stableCall({ appId, appSecret, force }: TokenWish): PlatformCall {
  return {
    method: 'POST',
    path: '/cgi-bin/stable_token',
    body: {
      grant_type: 'client_credential',
      appid: appId,
      secret: appSecret,
      force_refresh: force,
    },
  }
}

function classicCall({ appId, appSecret }: TokenWish): PlatformCall {
  return {
    method: 'GET',
    path: '/cgi-bin/token',
    query: { grant_type: 'client_credential', appid: appId, secret: appSecret },
  }
}
