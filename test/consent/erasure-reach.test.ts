import { beforeAll, describe, expect, it } from 'vitest'
import { eraseSubject } from '../../src/consent/consent-store.ts'
import { exportPerson } from '../../src/consent/export-person.ts'
import { newId, sha256 } from '../../src/foundation/ids.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent } from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db

const PERSON = 'oErasedEverywhere'

/**
 * Every column that can hold a person's id, or words about them, as the application or the platform
 * wrote them. The ground below puts the id into each; the erasure must leave none.
 */
const ABOUT_PEOPLE = [
  'aliased_message.asked_data',
  'attempt.errmsg',
  'broadcast.expanded_after',
  'broadcast_recipient.data',
  'broadcast_recipient.recipient',
  'consent.subject',
  'consent_ledger.reason',
  'consent_ledger.subject',
  'event.document',
  'event.subject',
  'follower_sync.cursor',
  'follower_sync_page.subjects',
  'message.callback_url',
  'message.content',
  'message.plan',
  'message.purpose',
  'message.recipient',
  'one_time_link.subject',
  'push_aside.document',
]

/** The same of the columns whose words a person may read: they are in the export. */
const EXPORTED = [
  'attempt.errmsg',
  'broadcast_recipient.data',
  'consent_ledger.reason',
  'event.document',
  'message.callback_url',
  'message.content',
  'message.plan',
  'message.purpose',
]

/** Columns of text or bytes that are never about a person, or hold a digest or a sealed text. */
const ABOUT_NOBODY: Readonly<Record<string, string>> = {
  aliased_message: 'alias reason tried no_fallback',
  access_token: 'kind sealed key_id lease_owner breaker_reason',
  account:
    'name kind app_id original_id mode settings agent_id provider_corp_id serves body_format',
  account_secret: 'name sealed key_id',
  api_call_count: 'path',
  api_quota: 'path',
  application: 'name key_hash key_hint signatures sealed_signing_secret previous_signing_secret',
  archive_room: 'chat_id',
  attempt: 'outcome cause rid msgid process',
  broadcast:
    'name purpose channel template_id content audience_scope idempotency_key head_digest phase ' +
    'reason lines_digest template_alias callback_url consent_scope',
  broadcast_bad_line: 'reason',
  call_breaker: 'host reason',
  channel_pace: 'channel',
  code_override: 'class actor reason removed_by removal_reason',
  consent: 'scope state template_id',
  consent_ledger: 'scope change evidence actor template_id',
  delivery: 'status reason',
  endpoint: 'purpose url kinds sealed_secret previous_secret disabled_reason paused_reason',
  erasure: 'subject_hash actor reason',
  event: 'repeat_key kind name',
  follower_sync: 'status phase lease_owner reason',
  follower_sync_page: 'kind',
  job_process: 'worker process',
  kf_cursor: 'open_kfid cursor',
  message:
    'channel template_id idempotency_key request_digest status reason missing_scope lease_owner ' +
    'msgid receipt_status receipt_reason consent_scope sealed_secret',
  one_time_link: 'digest template_id scene subject_hash actor return_url action',
  parked_push: 'tenant repeat_key source subject_hash sealed dropped_reason',
  provider_token: 'kind sealed key_id lease_owner breaker_reason',
  push_aside: 'repeat_key subject_hash kind reason',
  quota_clear: 'interface actor',
  receipt: 'msgid status reason',
  reply: 'state sealed',
  request_nonce: 'nonce',
  robot_message: 'robot',
  schema_migration: 'name',
  send_policy: 'recipient_per_minute',
  sending_pause: 'channel reason',
  template: 'channel template_id title content example type status choices',
  template_alias: 'name channel steps actor',
  template_sync: 'doubted',
  token_death: 'kind cause',
  welcome_code: 'sealed',
}

let accountId: number
beforeAll(async () => {
  accountId = await insertAccount(db())
})

/** What is written about the person in a column, to be found again. */
const words = (column: string) => `${PERSON} in ${column}`

/** Puts the person into every column that can hold one. */
async function fill(): Promise<void> {
  const now = new Date()
  await giveConsent(db(), { accountId, subject: PERSON, scope: 'follow' })
  await db()('consent_ledger').insert({
    account_id: accountId,
    subject: PERSON,
    scope: 'follow',
    change: 'granted',
    effective_at: now,
    evidence: 'operator',
    actor: 'ops',
    reason: words('consent_ledger.reason'),
  })
  await db()('event').insert({
    account_id: accountId,
    repeat_key: sha256('push'),
    kind: 'text',
    name: 'text',
    subject: PERSON,
    occurred_at: now,
    document: words('event.document'),
  })
  await db()('push_aside').insert({
    account_id: accountId,
    repeat_key: sha256('aside'),
    subject_hash: db().raw(`subject_hash(?, ?)`, [accountId, PERSON]),
    kind: 'text',
    document: Buffer.from(words('push_aside.document')),
    reason: 'test',
  })
  await db()('one_time_link').insert({
    digest: sha256('link'),
    account_id: accountId,
    template_id: 'T',
    scene: '7',
    actor: 'shop',
    subject: PERSON,
    created_at: now,
    expires_at: now,
  })
  await fillMessages(now)
  await fillLists()
}

async function fillMessages(now: Date): Promise<void> {
  const messageId = newId(now)
  await db()('message').insert({
    id: messageId,
    account_id: accountId,
    recipient: PERSON,
    channel: 'template_message',
    content: JSON.stringify({ url: words('message.content') }),
    plan: JSON.stringify({ ways: [{ content: words('message.plan') }] }),
    purpose: words('message.purpose'),
    callback_url: words('message.callback_url'),
    status: 'queued',
    send_at: now,
    due_at: now,
    expires_at: now,
    attempt_count: 1,
  })
  await db()('aliased_message').insert({
    message_id: messageId,
    alias: 'shipped',
    step: 0,
    asked_data: JSON.stringify({ thing1: { value: words('aliased_message.asked_data') } }),
  })
  await db()('attempt').insert({
    message_id: messageId,
    account_id: accountId,
    number: 1,
    started_at: now,
    errmsg: words('attempt.errmsg'),
    evidence: [],
    process: 'p',
  })
  const broadcastId = newId(now)
  await db()('broadcast').insert({
    id: broadcastId,
    account_id: accountId,
    channel: 'template_message',
    content: '{}',
    head_digest: sha256(''),
    lines_digest: sha256(''),
    phase: 'expanding',
    expanded_after: PERSON,
    send_at: now,
    expires_at: now,
  })
  const recipients = [
    { line: 1, recipient: 'oBefore' },
    { line: 2, recipient: PERSON, data: { word: words('broadcast_recipient.data') } },
  ]
  for (const recipient of recipients) {
    await db()('broadcast_recipient').insert({ broadcast_id: broadcastId, ...recipient })
  }
}

async function fillLists(): Promise<void> {
  const [run] = await db()('follower_sync')
    .insert({ account_id: accountId, phase: 'block_list', cursor: PERSON, pages: 2, listed: 3 })
    .returning<{ id: string }[]>('id')
  const pages = [
    { kind: 'follower', number: 1, subjects: ['oFirst', PERSON, 'oLast'] },
    { kind: 'missing', number: 1, subjects: [PERSON] },
    { kind: 'blocked', number: 1, subjects: ['oBlocked', PERSON] },
  ]
  for (const page of pages) await db()('follower_sync_page').insert({ sync_id: run?.id, ...page })
}

/** Columns of our tables that can hold a text, as `table.column`. */
async function columnsOfText(): Promise<string[]> {
  const { rows } = await db().raw<{ rows: { name: string }[] }>(
    `select class.relname || '.' || attribute.attname as name
     from pg_attribute as attribute
     join pg_class as class on class.oid = attribute.attrelid
     where class.relnamespace = 'public'::regnamespace
       and class.relkind in ('r', 'p') and not class.relispartition
       and attribute.attnum > 0 and not attribute.attisdropped
       and attribute.atttypid in (
         'text'::regtype, 'text[]'::regtype, 'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype,
         'bytea'::regtype
       )
     order by 1`,
  )
  return rows.map(({ name }) => name)
}

/** The columns in which the person stands, as text or as bytes. */
async function columnsWithPerson(): Promise<string[]> {
  const found: string[] = []
  for (const name of await columnsOfText()) {
    const [table = '', column = ''] = name.split('.')
    const { rows } = await db().raw<{ rows: unknown[] }>(
      `select from ?? where ??::text like ? or ??::text like ? limit 1`,
      [table, column, `%${PERSON}%`, column, `%${Buffer.from(PERSON).toString('hex')}%`],
    )
    if (rows.length > 0) found.push(name)
  }
  return found
}

describe('the erasure of a person', () => {
  it('has an opinion on every column: add a new one to a list of this file', async () => {
    const listed = Object.entries(ABOUT_NOBODY).flatMap(([table, columns]) =>
      columns.split(' ').map((column) => `${table}.${column}`),
    )
    expect([...listed, ...ABOUT_PEOPLE].sort()).toEqual((await columnsOfText()).sort())
  })

  it('leaves the person in no column, and others where they are', async () => {
    await fill()
    expect(await columnsWithPerson()).toEqual(ABOUT_PEOPLE)

    const exported = JSON.stringify(await exportPerson(db(), accountId, PERSON))
    expect(EXPORTED.filter((column) => !exported.includes(words(column)))).toEqual([])

    const act = { accountId, subject: PERSON, actor: 'test', reason: 'asked' }
    await eraseSubject(db(), { ...act, effectiveAt: new Date() })
    expect(await columnsWithPerson()).toEqual([])

    const pages = await db()('follower_sync_page').orderBy('kind').select('kind', 'subjects')
    expect(pages).toEqual([
      { kind: 'follower', subjects: ['oFirst', null, 'oLast'] },
      { kind: 'missing', subjects: [null] },
    ])
    // the list that was to go on behind the person is read again, the other one is not
    expect(await db()('follower_sync').select('cursor', 'pages', 'listed')).toEqual([
      { cursor: '', pages: 0, listed: '3' },
    ])
    expect(await db()('broadcast').select('expanded_after')).toEqual([
      { expanded_after: 'oBefore' },
    ])
  })

  it('is not written down by jobs', async () => {
    const { rows } = await db().raw<{ rows: unknown[] }>(
      `select from graphile_worker._private_jobs where payload::text like ?`,
      [`%${PERSON}%`],
    )
    expect(rows).toEqual([])
  })
})
