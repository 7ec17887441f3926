import { ConflictError, InvalidInputError } from '../foundation/errors.ts'
import { accountOf } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import type { AccountRef } from '../messages/message.ts'
import type { RememberedCall } from '../wechat/quota-calls.ts'
import type { QuotaAccount, Quotas, QuotaView } from '../wechat/quotas.ts'
import { param, type Answer, type Call, type Route } from './route.ts'
import { SCHEMAS } from './schemas.ts'

export interface QuotaRouteDeps {
  readonly readQuotas: (account: AccountRef) => Promise<QuotaView>
  readonly quotas: Pick<Quotas, 'allowance' | 'clear' | 'refresh' | 'rid'>
  /** Undefined for an account that is disabled. */
  readonly findQuotaAccount: (account: AccountRef) => Promise<QuotaAccount | undefined>
}

const PATH = '/v1/accounts/{account}/quota'

/** How much of an account's daily quotas is used, and what the platform lets one do about it. */
export function quotaRoutes(deps: QuotaRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: PATH,
      operationId: 'getQuota',
      summary: "Today's calls of each API of the platform, its limits, and the month's clearings",
      answer: { status: 200, schema: 'Quota' },
      problems: [404, 503],
      handle: (call) => getQuota(deps, call),
    },
    {
      method: 'post',
      path: `${PATH}:refresh`,
      operationId: 'refreshQuota',
      summary: 'Ask the platform for the real limit of each API that was called today',
      answer: { status: 200, schema: 'RefreshedQuota' },
      problems: [404, 409, 503],
      handle: (call) => postRefresh(deps, call),
    },
    {
      method: 'post',
      path: `${PATH}:clear`,
      operationId: 'clearQuota',
      summary: 'Set all daily counters of the account to zero at the platform; ten times a month',
      body: 'QuotaClear',
      answer: { status: 200, schema: 'QuotaCleared' },
      problems: [400, 404, 409, 413, 415, 503],
      handle: (call) => postClear(deps, call),
    },
    {
      method: 'get',
      path: '/v1/accounts/{account}/rids/{rid}',
      operationId: 'getRid',
      summary: 'A refused call as the platform remembers it, for seven days',
      answer: { status: 200, schema: 'RememberedCall' },
      problems: [404, 409, 503],
      handle: (call) => getRid(deps, call),
    },
  ]
}

async function getQuota(deps: QuotaRouteDeps, call: Call): Promise<Answer> {
  const account = accountOf(call.application, param(call, 'account'))
  return { status: 200, body: quotaBody(account.name, await deps.readQuotas(account)) }
}

async function postRefresh(deps: QuotaRouteDeps, call: Call): Promise<Answer> {
  const account = accountOf(call.application, param(call, 'account'))
  const failures = await deps.quotas.refresh(await inService(deps, account))
  const body = quotaBody(account.name, await deps.readQuotas(account))
  const notRead = failures.map(({ path, error }) => {
    return { path, code: error.code, detail: error.message }
  })
  return { status: 200, body: { ...body, not_read: notRead } }
}

async function postClear(deps: QuotaRouteDeps, call: Call): Promise<Answer> {
  const ref = accountOf(call.application, param(call, 'account'))
  const { confirm, v2 } = readInput(SCHEMAS.QuotaClear, call.body, 'invalid_request')
  const account = await inService(deps, ref)
  if (!confirm) throw unconfirmed(await deps.quotas.allowance(account.id))
  const cleared = await deps.quotas.clear(account, { v2, actor: call.application.name })
  call.log.info({ application: call.application.name, account: ref.name, v2 }, 'quota.cleared')
  return { status: 200, body: clearedBody(ref.name, cleared) }
}

async function getRid(deps: QuotaRouteDeps, call: Call): Promise<Answer> {
  const account = accountOf(call.application, param(call, 'account'))
  const rid = param(call, 'rid')
  const remembered = await deps.quotas.rid(await inService(deps, account), rid)
  return { status: 200, body: ridBody({ account: account.name, rid }, remembered) }
}

async function inService(deps: QuotaRouteDeps, ref: AccountRef): Promise<QuotaAccount> {
  const account = await deps.findQuotaAccount(ref)
  if (account) return account
  throw new ConflictError(
    'account_disabled',
    'the account is disabled, so the platform is not asked for it; an operator can enable it',
  )
}

function unconfirmed({ used, perMonth }: { used: number; perMonth: number }): InvalidInputError {
  const rule =
    `must be true: every daily counter of the account goes to zero, and one of the ${perMonth} ` +
    `clearings of the month is used; this gateway has used ${used}, others may have used more`
  return new InvalidInputError('invalid_request', [{ field: 'confirm', rule }])
}

/** A view as it is answered, here and by `wcg quota show --json`. */
export function quotaBody(account: string, view: QuotaView) {
  const { clears } = view
  return {
    account,
    day: view.day,
    resets_at: view.resetsAt.toISOString(),
    clears: clears && { used: clears.used, per_month: clears.perMonth },
    paths: view.paths.map((one) => ({
      path: one.path,
      calls: one.calls,
      calls_elsewhere: one.callsElsewhere,
      daily_limit: one.dailyLimit,
      limit_source: one.limitSource,
      limit_read_at: one.limitReadAt?.toISOString() ?? null,
      used_ratio: one.usedRatio,
      state: one.state,
    })),
  }
}

/** A clearing as it is answered, here and by `wcg quota clear --json`. */
export function clearedBody(
  account: string,
  cleared: { readonly interface: string; readonly left: number },
) {
  return { account, cleared: true, interface: cleared.interface, left: cleared.left }
}

/** A remembered call as it is answered, here and by `wcg quota rid --json`. */
export function ridBody(
  asked: { readonly account: string; readonly rid: string },
  call: RememberedCall,
) {
  return { ...asked, ...call, invoked_at: new Date(call.invoke_time * 1000).toISOString() }
}
