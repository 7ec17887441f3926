import { accountOf } from '../messages/caller.ts'
import type { AccountRef } from '../messages/message.ts'
import type { QuotaView } from '../wechat/quotas.ts'
import { param, type Answer, type Call, type Route } from './route.ts'

export interface QuotaRouteDeps {
  readonly readQuotas: (account: AccountRef) => Promise<QuotaView>
}

/** How much of an account's daily quotas is used. */
export function quotaRoutes(deps: QuotaRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: '/v1/accounts/{account}/quota',
      operationId: 'getQuota',
      summary: "Today's calls of each API of the platform, and its limits",
      answer: { status: 200, schema: 'Quota' },
      problems: [404, 503],
      handle: (call) => getQuota(deps, call),
    },
  ]
}

async function getQuota(deps: QuotaRouteDeps, call: Call): Promise<Answer> {
  const account = accountOf(call.application, param(call, 'account'))
  return { status: 200, body: quotaBody(account.name, await deps.readQuotas(account)) }
}

/** A view as it is answered, here and by `wcg quota show --json`. */
export function quotaBody(account: string, view: QuotaView) {
  return {
    account,
    day: view.day,
    resets_at: view.resetsAt.toISOString(),
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
