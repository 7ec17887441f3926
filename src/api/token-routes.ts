import type { Clock } from '../foundation/clock.ts'
import { NotFoundError, UnavailableError } from '../foundation/errors.ts'
import { accountOf } from '../messages/caller.ts'
import type { AccountRef } from '../messages/message.ts'
import { param, type Answer, type Call, type Route } from './route.ts'

/** The account's token, or why there is none now. */
export type TokenReading =
  | { readonly kind: 'token'; readonly value: string; readonly expiresAt: Date }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAt: Date | null }

export type ProviderReading = TokenReading | { readonly kind: 'none' }

export interface TokenRouteDeps {
  readonly readToken: (account: AccountRef) => Promise<TokenReading>
  /** That of the provider behind a suite; `none` for every other kind of account. */
  readonly readProviderToken: (account: AccountRef) => Promise<ProviderReading>
  readonly clock: Clock
}

/** The current tokens, for calls of the platform that the gateway does not cover. */
export function tokenRoutes(deps: TokenRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: '/v1/accounts/{account}/access-token',
      operationId: 'getAccessToken',
      summary: "The account's current access token; every reading is logged",
      answer: { status: 200, schema: 'AccessToken' },
      problems: [404, 503],
      handle: (call) => getToken(deps, call, deps.readToken),
    },
    {
      method: 'get',
      path: '/v1/accounts/{account}/provider-access-token',
      operationId: 'getProviderAccessToken',
      summary: 'The token of the provider behind a suite; every reading is logged',
      answer: { status: 200, schema: 'AccessToken' },
      problems: [404, 503],
      handle: (call) => getToken(deps, call, deps.readProviderToken),
    },
  ]
}

async function getToken(
  deps: TokenRouteDeps,
  call: Call,
  read: (account: AccountRef) => Promise<ProviderReading>,
): Promise<Answer> {
  const account = accountOf(call.application, param(call, 'account'))
  const reading = await read(account)
  if (reading.kind === 'none') {
    throw new NotFoundError(
      'no_provider_token',
      'there is a provider behind a wecom_suite alone; other accounts have their access-token',
    )
  }
  call.log.info(
    { application: call.application.name, account: account.name, outcome: reading.kind },
    'access_token.read',
  )
  if (reading.kind === 'unavailable') throw unavailable(reading, deps.clock.now())
  return {
    status: 200,
    body: { access_token: reading.value, expires_at: reading.expiresAt },
  }
}

function unavailable(
  reading: Extract<TokenReading, { kind: 'unavailable' }>,
  now: Date,
): UnavailableError {
  const waitMs = reading.retryAt ? reading.retryAt.getTime() - now.getTime() : null
  return new UnavailableError(
    'token_unavailable',
    `the platform gives no token for this account now (${reading.reason}); \`wcg account check\` says more`,
    waitMs === null
      ? {}
      : { details: { retry_after_seconds: Math.max(1, Math.ceil(waitMs / 1000)) } },
  )
}
