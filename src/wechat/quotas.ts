import { AppError, ConflictError, NotFoundError, UnavailableError } from '../foundation/errors.ts'
import { KIND_RULES } from '../accounts/account-kinds.ts'
import type { Clock } from '../foundation/clock.ts'
import type { QuotaClear } from './quota-store.ts'
import {
  clearQuota,
  clearQuotaBySecret,
  readQuota,
  readRid,
  type QuotaCallParts,
  type QuotaFailure,
  type RememberedCall,
} from './quota-calls.ts'
import {
  chinaMonthStart,
  CLEARS_PER_MONTH,
  limitOf,
  quotaResetsAt,
  shareOf,
  stateOf,
  type LimitSource,
  type QuotaState,
  type QuotaTally,
} from './quota.ts'
import type { TokenAccount } from './refresh-token.ts'
import { codeSpaceOf } from './served-account.ts'
import { chinaDay } from './token-rules.ts'

/** An account as the quotas need it. */
export interface QuotaAccount extends TokenAccount {
  readonly appId: string
  readonly settings: TokenAccount['settings'] & { readonly quota_margin_percent: number }
}

/** One API of an account today, for people and applications. */
export interface QuotaOfPath {
  readonly path: string
  readonly calls: number
  readonly callsElsewhere: number
  readonly dailyLimit: number | null
  readonly limitSource: LimitSource | null
  readonly limitReadAt: Date | null
  readonly usedRatio: number | null
  readonly state: QuotaState
}

export interface QuotaView {
  readonly day: string
  readonly resetsAt: Date
  /** null in WeCom, which has none. */
  readonly clears: ClearAllowance | null
  /** The fullest first. */
  readonly paths: readonly QuotaOfPath[]
}

/** How many clearings of the month are used, by this gateway. */
export interface ClearAllowance {
  readonly used: number
  readonly perMonth: number
}

/** A clearing that the platform has made. */
export interface QuotaCleared {
  readonly interface: QuotaClear['interface']
  /** Clearings of the month that are left, as far as this gateway knows. */
  readonly left: number
}

/** An API whose limit the platform did not name, and why. */
export interface QuotaNotRead {
  readonly path: string
  readonly error: AppError
}

export interface Quotas {
  /** `kind` is absent where only the counts are known of it. */
  show(
    account: Pick<QuotaAccount, 'id' | 'settings'> & Partial<Pick<QuotaAccount, 'kind'>>,
  ): Promise<QuotaView>
  /**
   * Asks the platform for the limit of one API and keeps it.
   *
   * @param how.lifts where a person asks: room that it names ends what a 45009 of the day said.
   * @throws AppError `quota_refused`, `quota_failed`
   */
  ask(account: QuotaAccount, path: string, how: { readonly lifts: boolean }): Promise<void>
  /**
   * Asks for the limit of each API that was called today, because a person wants to know.
   *
   * @returns the APIs of which the platform said nothing.
   * @throws AppError `quota_not_in_wecom`
   */
  refresh(account: QuotaAccount): Promise<readonly QuotaNotRead[]>
  allowance(accountId: number): Promise<ClearAllowance>
  /**
   * Sets all daily counters of the account to zero at the platform; one of ten a month. With `v2` by
   * AppSecret, without a token.
   *
   * @throws AppError `quota_refused`, `quota_failed`
   */
  clear(
    account: QuotaAccount,
    how: { readonly v2: boolean; readonly actor: string },
  ): Promise<QuotaCleared>
  /** @throws AppError `quota_refused`, `quota_failed` */
  rid(account: QuotaAccount, rid: string): Promise<RememberedCall>
}

export interface QuotasParts extends QuotaCallParts {
  readonly readTallies: (accountId: number, day: string) => Promise<readonly QuotaTally[]>
  readonly keepQuota: (said: {
    readonly accountId: number
    readonly path: string
    readonly dailyLimit: number
    readonly used: number
    readonly at: Date
    readonly lifts: boolean
  }) => Promise<void>
  readonly keepClear: (clear: QuotaClear) => Promise<void>
  readonly countClears: (accountId: number, since: Date) => Promise<number>
  readonly openAppSecret: (accountId: number) => Promise<string>
  /** The account's channels rest no longer. */
  readonly endRests: (accountId: number) => Promise<void>
  readonly clock: Clock
}

/** What is known of the accounts' daily quotas, and the platform's interfaces about them. */
export function createQuotas(parts: QuotasParts): Quotas {
  const { clock } = parts

  async function allowance(accountId: number): Promise<ClearAllowance> {
    const used = await parts.countClears(accountId, chinaMonthStart(clock.now()))
    return { used, perMonth: CLEARS_PER_MONTH }
  }

  const ask: Quotas['ask'] = async (account, path, { lifts }) => {
    requireWeChat(account)
    const said = await readQuota(parts, account, path)
    if (said.kind !== 'quota') throw failureOf(said)
    const { dailyLimit, used } = said
    const at = clock.now()
    await parts.keepQuota({ accountId: account.id, path, dailyLimit, used, at, lifts })
  }

  return {
    async show({ id, settings, kind }) {
      const now = clock.now()
      const day = chinaDay(now)
      const tallies = await parts.readTallies(id, day)
      const paths = tallies.map((tally) => pathView(tally, settings.quota_margin_percent))
      const clears = kind && KIND_RULES[kind].platform === 'wecom' ? null : await allowance(id)
      return { day, resetsAt: quotaResetsAt(now), clears, paths: paths.toSorted(byFullness) }
    },

    ask,
    allowance,

    async refresh(account) {
      requireWeChat(account)
      const failures: QuotaNotRead[] = []
      for (const { path } of await parts.readTallies(account.id, chinaDay(clock.now()))) {
        try {
          await ask(account, path, { lifts: true })
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          failures.push({ path, error })
        }
      }
      return failures
    },

    async clear(account, { v2, actor }) {
      requireWeChat(account)
      const { id, appId } = account
      const answer = v2
        ? await clearQuotaBySecret(parts, { id, appId, secret: await parts.openAppSecret(id) })
        : await clearQuota(parts, account)
      if (answer.kind !== 'answer') throw failureOf(answer)
      const at = clock.now()
      const used = v2 ? 'clear_quota/v2' : 'clear_quota'
      await parts.keepClear({ accountId: id, at, interface: used, actor })
      await parts.endRests(id)
      const clears = await allowance(id)
      return { interface: used, left: Math.max(0, clears.perMonth - clears.used) }
    },

    async rid(account, rid) {
      requireWeChat(account)
      const found = await readRid(parts, account, rid)
      if (found.kind !== 'call') throw failureOf(found)
      return found.call
    },
  }
}

function pathView(tally: QuotaTally, marginPercent: number): QuotaOfPath {
  const limit = limitOf(tally)
  const share = shareOf(tally)
  return {
    path: tally.path,
    calls: tally.calls - tally.cleared,
    callsElsewhere: tally.elsewhere,
    dailyLimit: limit?.perDay ?? null,
    limitSource: limit?.source ?? null,
    limitReadAt: limit?.readAt ?? null,
    usedRatio: share,
    state: stateOf(tally, marginPercent),
  }
}

function byFullness(one: QuotaOfPath, other: QuotaOfPath): number {
  return (other.usedRatio ?? -1) - (one.usedRatio ?? -1) || (one.path < other.path ? -1 : 1)
}

/** WeCom has neither a daily quota that could be asked for, nor these interfaces. */
function requireWeChat(account: QuotaAccount): void {
  if (codeSpaceOf(account) !== 'wecom') return
  throw new ConflictError(
    'quota_not_in_wecom',
    'WeCom has no interface for quotas; its limits are per minute and hour, and it says 45009',
  )
}

function failureOf(failure: QuotaFailure): AppError {
  if (failure.kind === 'failed') {
    const { reason } = failure
    return new UnavailableError('quota_failed', `no answer of the platform: ${reason}`, {
      details: { reason },
    })
  }
  const { errcode, errmsg } = failure
  const Refusal = UNKNOWN_RIDS.includes(errcode) ? NotFoundError : ConflictError
  return new Refusal('quota_refused', `the platform answered ${errcode} ${errmsg}`, {
    details: { errcode, errmsg },
  })
}

/** Unknown, malformed, of another account, older than seven days. */
const UNKNOWN_RIDS: readonly number[] = [76001, 76002, 76003, 76004]
