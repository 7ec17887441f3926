import type { QueuedFollowUp } from '../consent/push-effects.ts'
import type { JobTask, ScheduledJob } from '../database/job-engine.ts'
import { answerReleaseCheck, type ReleaseCheckParts } from './answer-release-check.ts'
import { checkArchive, checkArchives, type ArchiveParts } from './check-archive.ts'
import { noteArchiveRoom } from './check-archive-rooms.ts'
import { checkTenant } from './check-tenant.ts'
import { endMember, type EndMemberParts } from './end-member.ts'
import { leaveTenant } from './erase-tenant.ts'
import { exchangeAuthCode, exchangeAuthorizationCode, type TenantParts } from './exchange-code.ts'
import { readPayload, type FollowUpPayload } from './follow-up-payload.ts'
import { pullKfMessages, readKfAccounts, type KfParts } from './pull-kf-messages.ts'
import { readGroupResult, type GroupResultParts } from './read-group-result.ts'
import { rekeyExternalContacts, rekeyMember, type RekeyParts } from './rekey-people.ts'
import { welcomeContact, type WelcomeParts } from './welcome-contact.ts'

/** Tasks that no event names: a code message, the end of a send, and the clock cause them. */
type OwnTask = 'answer_release_check' | 'read_group_result' | 'check_archive' | 'check_archives'

type FollowUpParts = TenantParts &
  KfParts &
  ReleaseCheckParts &
  GroupResultParts &
  ArchiveParts &
  WelcomeParts &
  RekeyParts &
  EndMemberParts

/** After midnight in China, when nobody waits for the platform. */
export const FOLLOW_UP_SCHEDULE: readonly ScheduledJob[] = [{ task: 'check_archives', at: '2:50' }]

type FollowUpTask = (payload: FollowUpPayload, signal: AbortSignal) => Promise<void>

/**
 * The tasks of all jobs that pushes cause. Each can be run twice, also at once; what may pass (no
 * token, a platform that does not answer) is thrown, and the engine tries again after a few seconds,
 * then more: seven tries within ten minutes, the life of the shortest code.
 */
export function createFollowUpTasks(
  parts: FollowUpParts,
): Readonly<Record<QueuedFollowUp | OwnTask, JobTask>> {
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
    welcome: task((payload) => welcomeContact(parts, payload)),
    rekey_member: task((payload, signal) => rekeyMember(parts, payload, signal)),
    end_member: task((payload) => endMember(parts, payload)),
    rekey_external_contacts: task((payload, signal) => {
      return rekeyExternalContacts(parts, payload, signal)
    }),
    read_group_result: (payload) => readGroupResult(parts, payload),
    note_chat: task((payload) => noteArchiveRoom(parts, payload, { dismissed: false })),
    forget_chat: task((payload) => noteArchiveRoom(parts, payload, { dismissed: true })),
    check_archives: () => checkArchives(parts),
    check_archive: (payload, { signal }) => checkArchive(parts, payload, signal),
  }
}
