import { AppError } from '../foundation/errors.ts'
import type { TokenAccount } from './refresh-token.ts'
import type { TokenKeeper } from './token-keeper.ts'
import { TOKEN_SOURCES, tokenSourceOf } from './token-sources.ts'

/** What happens in a drill, as it happens. */
export type DrillStep =
  | { readonly step: 'forced'; readonly number: 1 | 2; readonly version: string }
  | { readonly step: 'waiting'; readonly seconds: number }
  | {
      readonly step: 'stopped'
      readonly number: 1 | 2
      readonly reason: string
      readonly until: Date
    }

/** Our clock counts from before the call, the platform's from its arrival. */
const SLACK_MS = 1_000

/**
 * Kills every token of an account that may have leaked: two forced refreshes, 30 s apart, out of the
 * 20 a day. The gateway goes on with the last one; whoever holds another is refused at once.
 *
 * @throws AppError `drill_needs_stable`: only stable tokens can be forced.
 * @see https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html
 */
export async function* drillToken(
  parts: {
    readonly tokens: Pick<TokenKeeper, 'forceRefresh'>
    readonly sleep: (ms: number) => Promise<void>
  },
  account: TokenAccount,
): AsyncGenerator<DrillStep, void, undefined> {
  const { canForce, early } = TOKEN_SOURCES[tokenSourceOf(account)]
  if (!canForce) {
    throw new AppError(
      'drill_needs_stable',
      'only an account with token_kind stable can force its token: a classic token lives on for five minutes whatever is done',
    )
  }
  for (const number of [1, 2] as const) {
    const forced = await parts.tokens.forceRefresh(account)
    if (forced.kind === 'unavailable') {
      yield { step: 'stopped', number, reason: forced.reason, until: forced.until }
      return
    }
    yield { step: 'forced', number, version: forced.version }
    if (number === 2) return
    const pauseMs = early.intervalMs + SLACK_MS
    yield { step: 'waiting', seconds: Math.ceil(pauseMs / 1000) }
    await parts.sleep(pauseMs)
  }
}
