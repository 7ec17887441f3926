import { UnavailableError } from '../foundation/errors.ts'
import type { CallOutcome, PlatformClient, PlatformCall } from './platform-client.ts'
import type { TokenAccount } from './refresh-token.ts'
import { codeSpaceOf, hostOf } from './served-account.ts'
import type { TokenKeeper } from './token-keeper.ts'
import { TOKEN_SOURCES, tokenSourceOf } from './token-sources.ts'

/** A call that needs the account's token; host and token are added to it. */
export type AccountCall = Pick<PlatformCall, 'method' | 'path' | 'body' | 'query'>

/** What the platform said; a code other than 0 is for the caller to judge. */
export type ApiAnswer = Omit<Extract<CallOutcome, { kind: 'answer' }>, 'kind'>

/** What a look-up found: null when the platform knows no such authorisation (any more). */
export interface Looked<Info> {
  readonly info: Info | null
  /** By the platform's clock; null when it did not say. */
  readonly at: Date | null
}

/**
 * Calls of an account that send nothing to anybody: reading, exchanging, listing.
 *
 * @throws UnavailableError `token_unavailable` or `platform_not_reached`: nothing has happened;
 *   `platform_unclear`: the platform may have acted, its answer was lost.
 */
export type AccountApi = (account: TokenAccount, call: AccountCall) => Promise<ApiAnswer>

/** Makes calls with the token of whoever calls; once more with another one when that was dead. */
export function createAccountApi({
  call,
  tokens,
}: {
  readonly call: PlatformClient['call']
  readonly tokens: Pick<TokenKeeper, 'getToken' | 'reportRejected'>
}): AccountApi {
  async function callOnce(account: TokenAccount, wish: AccountCall) {
    const token = await tokens.getToken(account)
    if (token.kind === 'unavailable') {
      throw new UnavailableError(
        'token_unavailable',
        `account ${account.name} has no token now (${token.reason})`,
      )
    }
    const outcome = await call({
      ...wish,
      accountId: account.id,
      host: hostOf(codeSpaceOf(account)),
      accessToken: token.token,
      tokenName: TOKEN_SOURCES[tokenSourceOf(account)].queryName,
    })
    return { outcome, version: token.version }
  }

  return async (account, wish) => {
    const first = await callOnce(account, wish)
    if (!isTokenDead(account, first.outcome)) return spoken(wish, first.outcome)
    await tokens.reportRejected(account, first.version)
    return spoken(wish, (await callOnce(account, wish)).outcome)
  }
}

/**
 * The body of an answer that says yes.
 *
 * @throws UnavailableError `platform_refused` for every other answer.
 */
export function bodyOf(what: string, { errcode, body }: ApiAnswer): ApiAnswer['body'] {
  if (errcode === 0) return body
  throw new UnavailableError('platform_refused', `${what}: the platform answered ${errcode}`)
}

function isTokenDead(account: TokenAccount, outcome: CallOutcome): boolean {
  const { deadCodes } = TOKEN_SOURCES[tokenSourceOf(account)]
  return outcome.kind === 'answer' && deadCodes.includes(outcome.errcode)
}

function spoken({ path }: AccountCall, outcome: CallOutcome): ApiAnswer {
  switch (outcome.kind) {
    case 'answer':
      return outcome
    case 'not_sent':
      throw new UnavailableError('platform_not_reached', `${path}: ${outcome.reason}`)
    case 'unclear':
      throw new UnavailableError('platform_unclear', `${path}: ${outcome.reason}`)
  }
}
