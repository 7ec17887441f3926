import type { QueuedFollowUp } from '../consent/push-effects.ts'
import type { JobTask } from '../database/job-engine.ts'
import { answerReleaseCheck, type ReleaseCheckParts } from './answer-release-check.ts'
import { checkTenant } from './check-tenant.ts'
import { leaveTenant } from './erase-tenant.ts'
import { exchangeAuthCode, exchangeAuthorizationCode, type TenantParts } from './exchange-code.ts'
import { readPayload, type FollowUpPayload } from './follow-up-payload.ts'
import { pullKfMessages, readKfAccounts, type KfParts } from './pull-kf-messages.ts'

type FollowUpTask = (payload: FollowUpPayload, signal: AbortSignal) => Promise<void>

/**
 * The tasks of all jobs that pushes cause. Each can be run twice, also at once; what may pass (no
 * token, a platform that does not answer) is thrown, and the engine tries again after a few seconds,
 * then more: seven tries within ten minutes, the life of the shortest code.
 */
export function createFollowUpTasks(
  parts: TenantParts & KfParts & ReleaseCheckParts,
): Readonly<Record<QueuedFollowUp | 'answer_release_check', JobTask>> {
  const task = (run: FollowUpTask): JobTask => {
    return (payload, { signal }) => run(readPayload(payload), signal)
  }
  return {
    exchange_authorization_code: task((payload) => exchangeAuthorizationCode(parts, payload)),
    exchange_auth_code: task((payload) => exchangeAuthCode(parts, payload)),
    read_tenant: task((payload, signal) => checkTenant(parts, payload, signal)),
    check_tenant: task((payload, signal) => checkTenant(parts, payload, signal)),
    erase_tenant: task((payload, signal) => leaveTenant(parts, payload, signal)),
    pull_kf_messages: task((payload, signal) => pullKfMessages(parts, payload, signal)),
    read_kf_accounts: task((payload) => readKfAccounts(parts, payload)),
    answer_release_check: (payload) => answerReleaseCheck(parts, payload),
  }
}
