import { z } from 'zod'
import type { Clock } from '../foundation/clock.ts'
import type { PlatformClient } from './platform-client.ts'
import { hostOf } from './served-account.ts'
import { TOKEN_SOURCES, type Asking, type TokenSourceName } from './token-sources.ts'
import type { StoredToken } from './token-store.ts'

/** What one call of a token endpoint brought. */
export type TokenReply =
  | {
      readonly kind: 'token'
      readonly token: StoredToken
      /** The next `authorizer_refresh_token`; null: the one that was used goes on. */
      readonly refreshToken: string | null
    }
  | {
      readonly kind: 'refused'
      readonly errcode: number
      readonly errmsg: string
      readonly rid: string | null
    }
  | { readonly kind: 'failed'; readonly reason: string }

export interface TokenWish {
  readonly source: TokenSourceName
  readonly asking: Asking
  /** The token that we have; handed out again it may be near its end. */
  readonly known: string | null
}

/**
 * Replies last 2 hours at most today, which may change. Less than a minute would make us ask all the
 * time, unless it is the rest of a token that we have; more than a day is no answer to build on.
 */
const SHORTEST_LIFE_S = 60
const LONGEST_LIFE_S = 86_400

const tokenText = z.string().min(1).max(4096)

const replySchema = z.object({
  expires_in: z.int().min(1),
  // Absent where there is none; empty where it has not changed.
  authorizer_refresh_token: z.string().max(4096).nullish(),
})

/** Asks the platform for a token, once. The life of the token counts from before the call. */
export async function fetchToken(
  { call, clock }: { readonly call: PlatformClient['call']; readonly clock: Clock },
  wish: TokenWish,
): Promise<TokenReply> {
  const source = TOKEN_SOURCES[wish.source]
  const fetchedAt = clock.now()
  const outcome = await call({ ...source.request(wish.asking), host: hostOf(source.space) })
  if (outcome.kind !== 'answer') return { kind: 'failed', reason: outcome.reason }
  if (outcome.errcode !== 0) {
    const { errcode, errmsg, rid } = outcome
    return { kind: 'refused', errcode, errmsg, rid }
  }
  const value = tokenText.safeParse(outcome.body[source.replyField]).data
  const reply = replySchema.safeParse(outcome.body).data
  if (value === undefined || !reply || !isLongEnough(reply.expires_in, value === wish.known)) {
    return { kind: 'failed', reason: 'bad_reply' }
  }
  const lifeMs = Math.min(reply.expires_in, LONGEST_LIFE_S) * 1_000
  const expiresAt = new Date(fetchedAt.getTime() + lifeMs)
  return {
    kind: 'token',
    token: { kind: wish.source, value, fetchedAt, expiresAt },
    refreshToken: reply.authorizer_refresh_token || null,
  }
}

function isLongEnough(seconds: number, isKnown: boolean): boolean {
  return isKnown || seconds >= SHORTEST_LIFE_S
}
