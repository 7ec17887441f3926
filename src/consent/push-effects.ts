import type { Account } from '../accounts/account.ts'
import { placeOfSecret } from '../accounts/secret-store.ts'
import type { FollowUp } from '../events/catalogue-row.ts'
import { rowOf } from '../events/catalogue.ts'
import { textOf } from '../events/document.ts'
import { followUp } from '../events/follow-up.ts'
import type { EventRecord } from '../events/read-event.ts'
import { readIdentifier } from '../events/read-values.ts'
import { secretsOf, type Secret } from '../events/secrets.ts'
import type { PushJob, SealedText } from './push-store.ts'
import { sealWelcomeCode } from './welcome-code.ts'

/** Seals a text for one place; it opens nowhere else. */
export type Seal = (text: string, place: string) => SealedText

/** Where a credential rests that waits in a job; `name` is the platform's name of its element. */
export function placeOfJobSecret(accountId: number, name: string): string {
  return `job/${accountId}/${name}`
}

/** The follow-ups that are jobs; there is a task for each. */
export type QueuedFollowUp = Exclude<FollowUp, 'keep_ticket'>

/**
 * The elements that a job needs beside the credentials. They name people, so they are sealed like
 * those.
 */
const NAMED: Readonly<Partial<Record<FollowUp, readonly string[]>>> = {
  welcome: ['UserID', 'ExternalUserID'],
  rekey_member: ['UserID', 'NewUserID'],
  end_member: ['UserID'],
  note_chat: ['ChatId'],
  forget_chat: ['ChatId'],
}

export interface PushEffects {
  readonly ticket: SealedText | null
  /** Sealed together with the people it is for; absent for most. */
  readonly welcomeCode?: string | null
  readonly job: PushJob | null
}

const NOTHING: PushEffects = { ticket: null, job: null }

/** Whether an event says that a tenant came, left or changed: that is the parent's own affair. */
export function isAboutTenant({ kind }: EventRecord): boolean {
  return rowOf(kind).effect.startsWith('tenant_')
}

/**
 * What an event causes beside its consent changes, to be committed with them: a ticket to keep, a
 * welcome code that an application may use, or a job. The credentials it carries go with it, sealed;
 * nowhere else are they kept.
 */
export function pushEffects(event: EventRecord, account: Account, seal: Seal): PushEffects {
  const task = followUp(event)
  if (task === null) return NOTHING
  if (task === 'welcome' && account.settings.welcome_message === null) {
    return { ...NOTHING, welcomeCode: sealWelcomeCode(event, account, seal) }
  }
  if (!isWanted(task, event, account)) return NOTHING
  if (task === 'keep_ticket') {
    const [ticket] = secretsOf(event)
    if (!ticket) return NOTHING
    const place = placeOfSecret(account.id, 'ticket')
    return { ...NOTHING, ticket: seal(ticket.value.trim(), place) }
  }
  const secrets = [...secretsOf(event), ...namesFor(task, event)].map(({ name, value }) => {
    return [name, seal(value.trim(), placeOfJobSecret(account.id, name)).sealed] as const
  })
  const payload = {
    account_id: account.id,
    tenant: event.tenant,
    effective_at: event.effectiveAt.toISOString(),
    open_kfid: readIdentifier(textOf(event.fields, 'OpenKfId')),
    secrets: Object.fromEntries(secrets),
  }
  return { ...NOTHING, job: { task, payload } }
}

/**
 * Most accounts have no archive to ask about customer groups; then there is nothing to do. The code of
 * an opened customer-service session is for an API that no channel of ours calls.
 */
function isWanted(task: FollowUp, { fields }: EventRecord, { settings }: Account): boolean {
  if (task === 'note_chat' || task === 'forget_chat') return settings.archive_account !== null
  return task !== 'welcome' || textOf(fields, 'UserID') !== undefined
}

function namesFor(task: FollowUp, { fields }: EventRecord): Secret[] {
  return (NAMED[task] ?? []).flatMap((name) => {
    const value = readIdentifier(textOf(fields, name))
    return value === null ? [] : [{ name, value }]
  })
}
