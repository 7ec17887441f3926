import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { lookUpErrorCode } from './error-codes.ts'
import { CAUSE_HINTS, type TokenDeath } from './token-death.ts'
import type { Breaker, BreakerReason, TokenTimes } from './token-rules.ts'
import { TOKEN_SOURCES, type TokenSourceName } from './token-sources.ts'

/** Longer than any text of the platform; an answer from elsewhere shall not fill the log. */
const LONGEST_ERRMSG = 300

interface Reporters {
  readonly log: Log
  readonly metrics: Metrics
}

interface Named {
  readonly name: string
}

/** One line and one count for a token that was stored; the token itself is in neither. */
export function reportKept(
  { log, metrics }: Reporters,
  account: Named,
  kept: { readonly token: TokenTimes; readonly isNew: boolean; readonly version: string },
): void {
  metrics.tokenRefreshes.inc({ account: account.name, outcome: 'refreshed' })
  log.info(
    {
      account: account.name,
      token_kind: kept.token.kind,
      version: kept.version,
      is_new: kept.isNew,
      expires_at: kept.token.expiresAt,
    },
    'token.refreshed',
  )
}

/** A token that the platform refused before its time; one line and one count per death. */
export function reportDeath({ log, metrics }: Reporters, account: Named, death: TokenDeath): void {
  const { version, cause, fetchedAt, expiresAt } = death
  metrics.tokenDeaths.inc({ account: account.name, cause })
  log.warn(
    {
      account: account.name,
      version,
      cause,
      fetched_at: fetchedAt,
      expires_at: expiresAt,
      hint: CAUSE_HINTS[cause],
    },
    'token.died_early',
  )
}

/** The platform said no: its code and words, and what somebody can do about it. */
export function reportRefusal(
  { log, metrics }: Reporters,
  account: Named,
  refused: {
    readonly errcode: number
    readonly errmsg: string
    readonly rid: string | null
    readonly breaker: Breaker
    readonly source: TokenSourceName
  },
): void {
  const { errcode, errmsg, rid, breaker, source } = refused
  metrics.tokenRefreshes.inc({ account: account.name, outcome: 'refused' })
  log[TAKES_A_PERSON.has(breaker.reason) ? 'error' : 'warn'](
    {
      account: account.name,
      errcode,
      errmsg: errmsg.slice(0, LONGEST_ERRMSG),
      rid,
      hint: hintFor(source, errcode),
      reason: breaker.reason,
      until: breaker.until,
    },
    'token.refused',
  )
}

/** No answer that could be used, or none that could be kept. */
export function reportFailure(
  { log, metrics }: Reporters,
  account: Named,
  failure: { readonly reason: string; readonly until: Date | null },
): void {
  metrics.tokenRefreshes.inc({ account: account.name, outcome: 'failed' })
  log.warn({ account: account.name, ...failure }, 'token.refresh_failed')
}

/** What no time mends. */
const TAKES_A_PERSON: ReadonlySet<BreakerReason> = new Set([
  'config',
  'ip_whitelist',
  'not_authorized',
])

/** What to do about a code of the token endpoint, for which 40001 has a meaning of its own. */
function hintFor(source: TokenSourceName, errcode: number): string {
  const { space, parent } = TOKEN_SOURCES[source]
  if (errcode === 40001 && space !== 'wecom' && parent === null) {
    return 'the AppSecret is wrong or was reset: store the current one'
  }
  const meaning = lookUpErrorCode(space, errcode)
  return meaning.known ? meaning.row.action : 'the code is in no table we know'
}
