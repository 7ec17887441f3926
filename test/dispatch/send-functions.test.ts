import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { decideSend, eraseSubject, findConsents } from '../../src/consent/consent-store.ts'
import {
  beginAttempts,
  claimMessages,
  finishAttempts,
  pauseChannel,
  recoverMessages,
  releaseMessages,
  type BeginDecision,
} from '../../src/dispatch/dispatch-store.ts'
import { CHANNEL_NAMES, type Channel } from '../../src/wechat/channels.ts'
import { useTestDatabase } from '../support/database.ts'
import {
  anEnd,
  finishOne,
  giveConsent,
  insertMessage,
  newPerson,
  readAttempts,
  readCredits,
  readLedger,
  readMessage,
} from '../support/messages.ts'
import { insertReceipt } from '../support/receipts.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db

const ago = (ms: number) => new Date(Date.now() - ms)
const SECOND = 1_000
const MINUTE = 60_000
const TEMPLATE = 'template:T'

type Change = Omit<Parameters<typeof giveConsent>[1], 'accountId' | 'subject'>
type Begun = Extract<BeginDecision, { kind: 'begun' }>

const openWindow = (credits = 5): Change => ({
  scope: 'conversation',
  credits,
  expiresAt: new Date(Date.now() + 60 * MINUTE),
})

/** A person on an account of their own, with these changes on record. */
async function aPerson(...changes: Change[]) {
  const accountId = await insertAccount(db())
  const subject = newPerson()
  for (const change of changes) await giveConsent(db(), { accountId, subject, ...change })
  return { accountId, subject }
}

type Person = Awaited<ReturnType<typeof aPerson>>

/** A message to them that `process` has claimed. */
async function aClaimed(
  person: Person,
  more: { channel?: Channel; process?: string; expiresAt?: Date; leaseSeconds?: number } = {},
) {
  const channel = more.channel ?? 'subscription_message'
  const id = await insertMessage(db(), {
    accountId: person.accountId,
    recipient: person.subject,
    channel,
    ...(channel !== 'customer_service_message' && { templateId: 'T' }),
    ...(more.expiresAt && { expiresAt: more.expiresAt }),
  })
  await lease(id, more.process ?? 'p1', more.leaseSeconds ?? 60)
  return id
}

async function lease(id: string, process: string, seconds: number): Promise<void> {
  await db().raw(
    `update message set lease_owner = ?, leased_until = clock_timestamp() + make_interval(secs => ?)
     where id = ?`,
    [process, seconds, id],
  )
}

async function begin(id: string, process = 'p1'): Promise<BeginDecision> {
  const [decision] = await beginAttempts(db(), { process, leaseSeconds: 60, messageIds: [id] })
  if (!decision) throw new Error('no decision')
  return decision
}

async function beginSurely(id: string): Promise<Begun> {
  const decision = await begin(id)
  if (decision.kind !== 'begun') throw new Error(`not begun: ${JSON.stringify(decision)}`)
  return decision
}

/** A begun message with what `finishOne` needs to know about its attempt. */
async function aBegun(person: Person, channel: Channel = 'subscription_message') {
  const id = await aClaimed(person, { channel })
  const { attemptId } = await beginSurely(id)
  const { accountId, subject } = person
  return { id, attempt: { attemptId, messageId: id, accountId, recipient: subject } }
}

/** As if the process that sends it had died. */
async function abandon(id: string, startedAgoMs = 0): Promise<void> {
  await db()('message')
    .where({ id })
    .update({ leased_until: ago(SECOND) })
  await db()('attempt')
    .where({ message_id: id })
    .update({ started_at: ago(startedAgoMs) })
}

const recover = () =>
  recoverMessages(db(), { deduplicated: ['template_message'], withinSeconds: 540, limit: 100 })

const credits = (person: Person) => readCredits(db(), person.accountId, person.subject, TEMPLATE)
const ledger = (person: Person) => readLedger(db(), person.accountId, person.subject)
const receipt = (
  person: Person,
  told: Omit<Parameters<typeof insertReceipt>[1], 'accountId' | 'subject'>,
) => insertReceipt(db(), { ...person, ...told })

const inAnHour = () => new Date(Date.now() + 60 * MINUTE)

/** The cases that every consent which a message names has in common. */
function namedCases(
  channel: Channel,
  scope: string,
  more: Partial<Change>,
): [Channel, string, Change[], string | null, string | null][] {
  const [family = ''] = scope.split(':')
  const granted = { scope, ...more }
  const ended = (change: 'revoked' | 'suppressed') => ({ scope, change, at: ago(SECOND) })
  const stop: Change = { scope: 'everything', change: 'revoked', at: ago(SECOND) }
  return [
    [channel, 'nothing known', [], `${family}_unknown`, scope],
    [channel, 'granted', [granted], null, scope],
    [channel, 'revoked', [granted, ended('revoked')], `${family}_revoked`, scope],
    [channel, 'suppressed', [granted, ended('suppressed')], `${family}_suppressed`, scope],
    [channel, 'a stop', [granted, stop], 'stopped', 'everything'],
  ]
}

/** What a message of the table names. */
const NAMED: Partial<Record<Channel, string>> = {
  one_time_subscription: 'one_time:7',
  device_message: TEMPLATE,
  wecom_app_message: 'member',
  wecom_group_message: 'external_contact:Li',
  wecom_welcome_message: 'external_contact:Li',
  wecom_kf_message: 'kf:wk1',
}

describe('judge_send', () => {
  const revoked = { change: 'revoked', at: ago(SECOND) } as const
  const suppressed = { change: 'suppressed', at: ago(SECOND) } as const
  const follow = { scope: 'follow' }
  const credit = { scope: TEMPLATE, credits: 1 }
  const closed = { scope: 'conversation', credits: 5, expiresAt: ago(MINUTE) }
  const action = (credits: number) => ({ ...openWindow(credits), scope: 'conversation:action' })
  const stop = { scope: 'everything', ...revoked }

  const TABLE: readonly [Channel, string, Change[], string | null, string | null][] = [
    ['template_message', 'nothing known', [], 'follow_unknown', 'follow'],
    ['template_message', 'follows', [follow], null, 'follow'],
    [
      'template_message',
      'unfollowed',
      [follow, { ...follow, ...revoked }],
      'follow_revoked',
      'follow',
    ],
    [
      'template_message',
      'undeliverable',
      [follow, { ...follow, ...suppressed }],
      'follow_suppressed',
      'follow',
    ],
    [
      'template_message',
      'refused this template',
      [follow, { scope: TEMPLATE, ...revoked }],
      'template_refused',
      TEMPLATE,
    ],
    [
      'template_message',
      'refused another',
      [follow, { scope: 'template:U', ...revoked }],
      null,
      'follow',
    ],
    [
      'template_message',
      'templates ended by an unfollow',
      [follow, credit, { scope: 'template:*', ...revoked }],
      null,
      'follow',
    ],
    ['template_message', 'stopped', [follow, stop], 'stopped', 'everything'],
    [
      'template_message',
      'stop lifted by a new follow',
      [
        { ...stop, at: ago(MINUTE) },
        { ...follow, at: ago(SECOND) },
      ],
      null,
      'follow',
    ],
    ['subscription_message', 'nothing known', [], 'template_unknown', TEMPLATE],
    ['subscription_message', 'only follows', [follow], 'template_unknown', TEMPLATE],
    ['subscription_message', 'accepted once', [credit], null, TEMPLATE],
    [
      'subscription_message',
      'standing right',
      [{ scope: TEMPLATE, credits: null }],
      null,
      TEMPLATE,
    ],
    [
      'subscription_message',
      'switched on only',
      [{ scope: TEMPLATE, credits: 0 }],
      'no_credit_left',
      TEMPLATE,
    ],
    [
      'subscription_message',
      'refused',
      [credit, { scope: TEMPLATE, ...revoked }],
      'template_refused',
      TEMPLATE,
    ],
    [
      'subscription_message',
      'ended by an unfollow',
      [credit, { scope: 'template:*', ...revoked }],
      'template_revoked',
      TEMPLATE,
    ],
    [
      'subscription_message',
      'undeliverable',
      [credit, { scope: TEMPLATE, ...suppressed }],
      'template_suppressed',
      TEMPLATE,
    ],
    [
      'subscription_message',
      'stopped',
      [{ ...credit, at: ago(MINUTE) }, stop],
      'stopped',
      'everything',
    ],
    ['customer_service_message', 'nothing known', [], 'conversation_unknown', 'conversation'],
    ['customer_service_message', 'open window', [openWindow()], null, 'conversation'],
    ['customer_service_message', 'closed window', [closed], 'conversation_expired', 'conversation'],
    [
      'customer_service_message',
      'answers used up',
      [openWindow(0)],
      'conversation_used_up',
      'conversation',
    ],
    [
      'customer_service_message',
      'closed by the platform',
      [openWindow(), { scope: 'conversation', ...revoked }],
      'conversation_revoked',
      'conversation',
    ],
    [
      'customer_service_message',
      'undeliverable',
      [openWindow(), { scope: 'conversation', ...suppressed }],
      'conversation_suppressed',
      'conversation',
    ],
    [
      'customer_service_message',
      'only the short window',
      [closed, action(3)],
      null,
      'conversation:action',
    ],
    [
      'customer_service_message',
      'the short window used up',
      [openWindow(), action(0)],
      null,
      'conversation',
    ],
    ['customer_service_message', 'stopped', [openWindow(), stop], 'stopped', 'everything'],
    ...namedCases('one_time_subscription', 'one_time:7', { credits: 1 }),
    [
      'one_time_subscription',
      'used',
      [{ scope: 'one_time:7', credits: 0 }],
      'one_time_used_up',
      'one_time:7',
    ],
    [
      'one_time_subscription',
      'confirmed for this template',
      [{ scope: 'one_time:7', credits: 1, templateId: 'T' }],
      null,
      'one_time:7',
    ],
    [
      'one_time_subscription',
      'confirmed for another template',
      [{ scope: 'one_time:7', credits: 1, templateId: 'U' }],
      'one_time_other_template',
      'one_time:7',
    ],
    ...namedCases('wecom_app_message', 'member', {}),
    ...namedCases('wecom_group_message', 'external_contact:Li', {}),
    ...namedCases('wecom_welcome_message', 'external_contact:Li', {}),
    ...namedCases('wecom_kf_message', 'kf:wk1', { credits: 5, expiresAt: inAnHour() }),
    ['wecom_kf_message', 'closed', [{ ...closed, scope: 'kf:wk1' }], 'kf_expired', 'kf:wk1'],
    [
      'wecom_kf_message',
      'five sent',
      [{ scope: 'kf:wk1', credits: 0, expiresAt: inAnHour() }],
      'kf_used_up',
      'kf:wk1',
    ],
    ['device_message', 'nothing known', [], 'template_unknown', TEMPLATE],
    ['device_message', 'accepted', [credit], null, TEMPLATE],
    ['device_message', 'a standing right', [{ ...credit, credits: null }], null, TEMPLATE],
    [
      'device_message',
      'refused',
      [credit, { ...credit, ...revoked }],
      'template_refused',
      TEMPLATE,
    ],
    ['device_message', 'used', [{ ...credit, credits: 0 }], 'no_credit_left', TEMPLATE],
    ['wecom_robot_message', 'nothing known', [], null, null],
    ['wecom_robot_message', 'a stop of somebody', [stop], null, null],
  ]

  it.each(TABLE)('%s, %s', async (channel, _case, changes, reason, scope) => {
    const { accountId, subject } = await aPerson(...changes)
    const templateId = /^(template|subscription|one_time)_/.test(channel) ? 'T' : null
    const consentScope = NAMED[channel] ?? null
    const question = { accountId, subject, channel, templateId, consentScope, at: new Date() }
    const decision = await decideSend(db(), question)
    const held = await findConsents(db(), accountId, subject)
    expect(decision).toMatchObject({ allowed: reason === null, reason, scope })
    expect(decision.evidence.length > 0).toBe(held.some(({ scope: of }) => of === scope))
  })

  it('gives no reason that docs/consent.md does not list, and the other way round', async () => {
    const page = await readFile('docs/consent.md', 'utf8')
    const section = page.split('## What each channel needs')[1]?.split('\n## ')[0] ?? ''
    const listed = section.split('\n').flatMap((line) => {
      const [, , , reasons] = line.split('|')
      return [...(reasons ?? '').matchAll(/`([a-z_]+)`/g)].map(([, reason]) => reason)
    })
    const given = TABLE.flatMap(([, , , reason]) => (reason === null ? [] : [reason]))
    given.push('tenant_unknown', 'tenant_revoked', 'tenant_suppressed')
    given.push('permission_missing', 'kf_account_revoked')
    expect([...new Set(listed)].sort()).toEqual([...new Set(given)].sort())
  })

  it('uses the window that closes first', async () => {
    const soon = {
      ...openWindow(),
      scope: 'conversation:action',
      expiresAt: new Date(Date.now() + MINUTE),
    }
    const { accountId, subject } = await aPerson(openWindow(), soon)
    const question = { accountId, subject, channel: 'customer_service_message', templateId: null }
    const decision = await decideSend(db(), { ...question, at: new Date() })
    expect(decision.scope).toBe('conversation:action')
  })

  it.each([
    ['conversation', 'conversation:action'],
    ['conversation:action', 'conversation'],
  ])(
    'names the conversation of two windows that one answer ended, written as %s, %s',
    async (first, second) => {
      const at = ago(SECOND)
      const ended = (scope: string): Change => ({ scope, change: 'suppressed', at })
      const { accountId, subject } = await aPerson(ended(first), ended(second))
      const question = { accountId, subject, channel: 'customer_service_message', templateId: null }
      const decision = await db().transaction(async (trx) => {
        // the key of the table gives them in one order, the table itself in the order of writing
        await trx.raw('set local enable_indexscan = off; set local enable_bitmapscan = off')
        return decideSend(trx, { ...question, at: new Date() })
      })
      expect(decision).toMatchObject({ reason: 'conversation_suppressed', scope: 'conversation' })
    },
  )

  it('asks for the customer-service account too, as far as it was ever taken back', async () => {
    const { accountId, subject } = await aPerson({ scope: 'kf:wk1' }, { scope: 'kf:wk2' })
    const [{ app_id: corpId } = { app_id: '' }] = await db()<{ id: number; app_id: string }>(
      'account',
    ).where({ id: accountId })
    const channel = 'wecom_kf_message'
    const ask = (consentScope: string) =>
      decideSend(db(), {
        ...{ accountId, subject, channel, templateId: null, consentScope },
        at: new Date(),
      })
    const corp = { accountId, subject: corpId, scope: 'tenant:wk1' }
    await giveConsent(db(), { ...corp, change: 'revoked', at: ago(2 * SECOND) })
    expect(await ask('kf:wk1')).toMatchObject({
      ...{ allowed: false, reason: 'kf_account_revoked', scope: 'tenant:wk1' },
      evidence: [expect.stringMatching(/^\d+$/)],
    })
    expect(await ask('kf:wk2')).toMatchObject({ allowed: true })
    await giveConsent(db(), { ...corp, at: ago(SECOND) })
    expect(await ask('kf:wk1')).toMatchObject({ allowed: true })
  })

  it('becomes a part of the statement that asks, and reads by keys alone', async () => {
    const { accountId, subject } = await aPerson({ scope: 'follow' })
    await insertMessage(db(), { accountId, recipient: subject, channel: 'template_message' })
    const plan = await db().transaction(async (trx) => {
      await trx.raw('set local enable_seqscan = off; set local enable_bitmapscan = off')
      const { rows } = await trx.raw<{ rows: { 'QUERY PLAN': string }[] }>(
        `explain (costs off)
         select answer.* from message
         cross join lateral judge_send(
           message.account_id, message.recipient, message.channel, message.template_id,
           message.consent_scope, now()
         ) as answer
         where message.account_id = ? and message.recipient = ?`,
        [accountId, subject],
      )
      return rows.map((row) => row['QUERY PLAN'])
    })
    const scans = plan.flatMap(
      (line) => /(\w+) Scan(?: using (\w+))? on (\w+)/.exec(line)?.[0] ?? [],
    )
    expect(scans.filter((scan) => scan.includes(' on consent')).length).toBeGreaterThanOrEqual(6)
    expect(scans.every((scan) => scan.startsWith('Index Scan using '))).toBe(true)
    expect(plan.join('\n')).not.toContain('Function Scan')
    expect(
      new Set(scans.flatMap((scan) => /using (\w+) on consent/.exec(scan)?.[1] ?? [])),
    ).toEqual(new Set(['consent_pkey', 'consent_ledger_pkey']))
  })

  it('does not know a scope that allows no message, whatever asks for it', async () => {
    const person = await aPerson({ scope: 'msgaudit' }, { scope: 'tenant' })
    for (const consentScope of ['msgaudit', 'tenant', 'everything', null]) {
      const question = { ...person, channel: 'wecom_app_message', templateId: null, consentScope }
      expect(await decideSend(db(), { ...question, at: new Date() })).toMatchObject({
        allowed: false,
        reason: 'unknown_channel',
      })
    }
  })

  it('lets no channel send because of the chat archive', async () => {
    const person = await aPerson({ scope: 'msgaudit' }, { scope: 'msgaudit:Li' })
    const personal = CHANNEL_NAMES.filter((name) => name !== 'wecom_robot_message')
    for (const channel of personal) {
      for (const consentScope of ['msgaudit', 'msgaudit:Li']) {
        const question = { ...person, channel, templateId: 'T', consentScope, at: new Date() }
        expect(await decideSend(db(), question), channel).toMatchObject({ allowed: false })
      }
    }
  })

  it('does not know a channel that is none', async () => {
    const question = { ...(await aPerson(follow)), channel: 'pigeon', templateId: null }
    expect(await decideSend(db(), { ...question, at: new Date() })).toMatchObject({
      allowed: false,
      reason: 'unknown_channel',
    })
  })
})

describe('claimMessages', () => {
  const claimAll = (process: string) =>
    claimMessages(db(), { process, leaseSeconds: 60, limit: 1_000 })

  it('hands each message to one of many that ask at once', async () => {
    const person = await aPerson({ scope: 'follow' })
    const ids = await Promise.all(
      Array.from({ length: 30 }, () =>
        insertMessage(db(), {
          accountId: person.accountId,
          recipient: person.subject,
          channel: 'template_message',
        }),
      ),
    )
    const claims = await Promise.all(['a', 'b', 'c', 'd'].map(claimAll))
    const mine = claims.flat().filter(({ accountId }) => accountId === person.accountId)
    expect(mine.map(({ id }) => id).sort()).toEqual([...ids].sort())
  })

  it('leaves what is not due, leased, finished or resting', async () => {
    const person = await aPerson()
    const message = { accountId: person.accountId, recipient: person.subject }
    const later = new Date(Date.now() + MINUTE)
    await insertMessage(db(), { ...message, channel: 'template_message', dueAt: later })
    await insertMessage(db(), { ...message, channel: 'template_message', status: 'sent' })
    await aClaimed(person, { process: 'other' })
    await insertMessage(db(), { ...message, channel: 'customer_service_message' })
    const pause = {
      accountId: person.accountId,
      channel: 'customer_service_message',
      until: later,
    } as const
    await pauseChannel(db(), { ...pause, errcode: 45009, reason: 'quota_daily' })
    await pauseChannel(db(), { ...pause, until: new Date(), errcode: 45011, reason: 'rate_minute' })
    const claimed = await claimAll('a')
    expect(claimed.filter(({ accountId }) => accountId === person.accountId)).toEqual([])
  })

  it('takes what is over out of a channel that rests, because no call is made for it', async () => {
    const person = await aPerson({ scope: 'follow' })
    const message = { accountId: person.accountId, recipient: person.subject }
    const expired = await insertMessage(db(), {
      ...{ ...message, channel: 'template_message', expiresAt: ago(SECOND) },
    })
    const late = await aBegun(person, 'template_message')
    await finishOne(db(), late.attempt, {
      ...{ outcome: 'unknown', status: 'queued', cause: 'unclear', dueAt: ago(1) },
    })
    await db()('attempt')
      .where({ message_id: late.id })
      .update({ started_at: ago(10 * MINUTE) })
    await insertMessage(db(), { ...message, channel: 'template_message' })
    await pauseChannel(db(), {
      ...{ accountId: person.accountId, channel: 'template_message', errcode: 45009 },
      ...{ until: new Date(Date.now() + MINUTE), reason: 'quota_daily' },
    })
    const claimed = (await claimAll('a')).filter(({ accountId }) => accountId === person.accountId)
    expect(claimed.map(({ id }) => id).toSorted()).toEqual([expired, late.id].toSorted())
  })

  it('tells of earlier attempts, oldest first', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    await finishOne(db(), attempt, {
      outcome: 'retry',
      status: 'queued',
      cause: 'transient',
      dueAt: ago(1),
    })
    const claimed = (await claimAll('b')).find((one) => one.id === id)
    expect(claimed?.earlier).toMatchObject([{ cause: 'transient' }])
    expect(claimed?.earlier[0]?.startedAt.getTime()).toBeGreaterThan(Date.now() - MINUTE)
  })
})

describe('releaseMessages', () => {
  it('gives back only what the process holds', async () => {
    const person = await aPerson()
    const [mine, other] = [await aClaimed(person), await aClaimed(person, { process: 'p2' })]
    const dueAt = new Date(Date.now() + MINUTE)
    await releaseMessages(db(), { process: 'p1', messageIds: [mine, other], dueAt })
    expect(await readMessage(db(), mine)).toMatchObject({
      status: 'queued',
      lease_owner: null,
      due_at: dueAt,
      finished_at: null,
    })
    expect(await readMessage(db(), other)).toMatchObject({ lease_owner: 'p2' })
  })

  it('ends a message that has expired while it waited for its account', async () => {
    const id = await aClaimed(await aPerson(), { expiresAt: ago(SECOND) })
    await releaseMessages(db(), { process: 'p1', messageIds: [id], dueAt: null })
    expect(await readMessage(db(), id)).toMatchObject({ status: 'expired', reason: 'expired' })
  })

  it('does not let a message wait longer than it lives', async () => {
    const expiresAt = new Date(Date.now() + MINUTE)
    const id = await aClaimed(await aPerson(), { expiresAt })
    await releaseMessages(db(), {
      process: 'p1',
      messageIds: [id],
      dueAt: new Date(Date.now() + 60 * MINUTE),
    })
    expect((await readMessage(db(), id)).due_at).toEqual(expiresAt)
  })
})

describe('begin_sends', () => {
  it('records the attempt and reserves the credit it rests on', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const id = await aClaimed(person)
    expect(await begin(id)).toMatchObject({ kind: 'begun', number: 1 })
    expect(await readMessage(db(), id)).toMatchObject({ status: 'sending', attempt_count: 1 })
    expect(await readAttempts(db(), id)).toMatchObject([{ outcome: null }])
    expect(await ledger(person)).toEqual([`${TEMPLATE} granted`, `${TEMPLATE} reserved`])
    expect(await credits(person)).toBe(0)
  })

  it('blocks with the reason and the scope that is missing', async () => {
    const id = await aClaimed(await aPerson())
    expect(await begin(id)).toEqual({
      kind: 'blocked',
      reason: 'template_unknown',
      scope: TEMPLATE,
    })
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'blocked',
      reason: 'template_unknown',
      missing_scope: TEMPLATE,
    })
  })

  it('lets a message expire, whatever consent says', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const id = await aClaimed(person, { expiresAt: ago(SECOND) })
    expect(await begin(id)).toEqual({ kind: 'expired' })
    expect(await readMessage(db(), id)).toMatchObject({ status: 'expired' })
    expect(await credits(person)).toBe(1)
  })

  it.each([
    ['another process holds it', (id: string) => lease(id, 'p2', 60)],
    ['the lease is over', (id: string) => lease(id, 'p1', -1)],
    [
      'it was cancelled',
      (id: string) => db()('message').where({ id }).update({ status: 'cancelled' }),
    ],
    ['it is being sent already', (id: string) => begin(id)],
    [
      'it was given back',
      (id: string) => releaseMessages(db(), { process: 'p1', messageIds: [id], dueAt: null }),
    ],
  ])('is lost when %s', async (_case, happen) => {
    const id = await aClaimed(await aPerson({ scope: TEMPLATE, credits: 5 }))
    await happen(id)
    const before = await readAttempts(db(), id)
    expect(await begin(id)).toEqual({ kind: 'lost' })
    expect(await readAttempts(db(), id)).toEqual(before)
  })

  it('answers in the order of the question, also for what is unknown', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const [one, two] = [await aClaimed(person), await aClaimed(person)]
    const nobody = '018f0000-0000-7000-8000-000000000000'
    const asked = { process: 'p1', leaseSeconds: 60, messageIds: [nobody, two, one] }
    const kinds = (await beginAttempts(db(), asked)).map(({ kind }) => kind)
    expect(kinds[0]).toBe('lost')
    expect(kinds.slice(1).sort()).toEqual(['begun', 'busy'])
  })

  it('begins exactly one of two that want to call the same person at the same instant', async () => {
    const other = database().openAnother()
    for (let round = 0; round < 60; round += 1) {
      const person = await aPerson({ scope: TEMPLATE, credits: 1 })
      const [one, two] = [await aClaimed(person), await aClaimed(person)]
      const [first, second] = await Promise.all([
        beginAttempts(db(), { process: 'p1', leaseSeconds: 60, messageIds: [one] }),
        beginAttempts(other, { process: 'p1', leaseSeconds: 60, messageIds: [two] }),
      ])
      expect([first[0]?.kind, second[0]?.kind].sort()).toEqual(['begun', 'busy'])
      expect(await credits(person)).toBe(0)
      expect(await ledger(person)).toEqual([`${TEMPLATE} granted`, `${TEMPLATE} reserved`])
    }
  })

  it('does not charge a later acceptance for a send before the refusal between them', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1, at: ago(10 * SECOND) })
    const { attempt } = await aBegun(person)
    await finishOne(db(), attempt, { outcome: 'sent', status: 'sent' })
    // The person refused before our call; the push comes late, and its second lies behind our clock.
    await giveConsent(db(), { ...person, scope: TEMPLATE, change: 'revoked', at: ago(5 * SECOND) })
    await giveConsent(db(), { ...person, scope: TEMPLATE, credits: 1, at: ago(SECOND) })
    expect(await credits(person)).toBe(1)
  })

  it('decides about the next message when the call before it is over', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { attempt } = await aBegun(person)
    const next = await aClaimed(person)
    expect(await begin(next)).toEqual({ kind: 'busy' })
    await finishOne(db(), attempt, { outcome: 'sent', status: 'sent' })
    expect(await begin(next)).toMatchObject({ kind: 'blocked', reason: 'no_credit_left' })
  })

  it('counts an answer in the conversation window that is open', async () => {
    const person = await aPerson(openWindow(2))
    const channel = 'customer_service_message'
    for (let answer = 0; answer < 2; answer += 1) {
      const { attempt } = await aBegun(person, channel)
      await finishOne(db(), attempt, { outcome: 'sent', status: 'sent' })
    }
    const third = await aClaimed(person, { channel })
    expect(await begin(third)).toMatchObject({ kind: 'blocked', reason: 'conversation_used_up' })
  })
})

describe('finish_sends', () => {
  it('spends the credit of what was sent', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id, attempt } = await aBegun(person)
    await finishOne(db(), attempt, { outcome: 'sent', status: 'sent', msgid: '9007199254740993' })
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'sent',
      msgid: '9007199254740993',
      lease_owner: null,
    })
    expect(await ledger(person)).toEqual([
      `${TEMPLATE} granted`,
      `${TEMPLATE} reserved`,
      `${TEMPLATE} spent`,
    ])
    expect(await credits(person)).toBe(0)
  })

  it.each([
    ['failed', 'failed'],
    ['retry', 'queued'],
  ] as const)('gives the credit back at %s', async (outcome, status) => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id, attempt } = await aBegun(person)
    await finishOne(db(), attempt, { outcome, status, reason: 'transient', cause: 'transient' })
    expect(await readMessage(db(), id)).toMatchObject({ status, reason: 'transient' })
    expect(await credits(person)).toBe(1)
  })

  const refusal = (at: Date) => ({
    outcome: 'refused' as const,
    status: 'refused' as const,
    reason: 'opted_out',
    cause: 'opt_out' as const,
    errcode: 43004,
    changes: [
      {
        scope: 'follow',
        change: 'revoked' as const,
        effectiveAt: at,
        reason: '43004',
        credits: null,
        expiresAt: null,
      },
    ],
  })

  it('writes a refusal into the ledger together with the outcome', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    await finishOne(db(), attempt, refusal(new Date()))
    expect(await readMessage(db(), id)).toMatchObject({ status: 'refused', reason: 'opted_out' })
    const [held] = await findConsents(db(), person.accountId, person.subject)
    expect(held).toMatchObject({
      state: 'revoked',
      evidence: { evidence: 'attempt', attemptId: attempt.attemptId },
    })
  })

  it('writes neither when one of them cannot be written', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    const end = refusal(new Date())
    const broken = end.changes.map((change) => ({ ...change, change: 'sulked' as 'revoked' }))
    await expect(finishOne(db(), attempt, { ...end, changes: broken })).rejects.toMatchObject({
      constraint: 'consent_ledger_change_check',
    })
    expect(await readMessage(db(), id)).toMatchObject({ status: 'sending' })
    expect(await readAttempts(db(), id)).toMatchObject([{ outcome: null }])
    expect(await ledger(person)).toEqual(['follow granted'])
  })

  it('lets a refusal hold although the clock of its answer is behind', async () => {
    const person = await aPerson({ scope: 'follow', at: ago(SECOND) })
    const { attempt } = await aBegun(person, 'template_message')
    await finishOne(db(), attempt, refusal(ago(3 * SECOND)))
    const next = await aClaimed(person, { channel: 'template_message' })
    expect(await begin(next)).toMatchObject({ kind: 'blocked', reason: 'follow_revoked' })
  })

  it('changes nothing the second time', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id, attempt } = await aBegun(person)
    await finishOne(db(), attempt, { outcome: 'sent', status: 'sent' })
    const before = [await readMessage(db(), id), await ledger(person)]
    expect(await finishOne(db(), attempt, { outcome: 'failed', status: 'failed' })).toEqual([null])
    expect([await readMessage(db(), id), await ledger(person)]).toEqual(before)
  })

  it('ends many attempts at once', async () => {
    const people = [1, 2, 3].map(() => aPerson({ scope: TEMPLATE, credits: 2 }))
    const begun = await Promise.all(people.map(async (person) => aBegun(await person)))
    const end = anEnd({ outcome: 'sent', status: 'sent' })
    const ended = await finishAttempts(
      db(),
      begun.map(({ attempt }) => ({ ...attempt, end })),
    )
    expect(ended).toEqual(['sent', 'sent', 'sent'])
    for (const person of people) expect(await credits(await person)).toBe(1)
  })

  it('writes nothing about a person who was erased meanwhile', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    await eraseSubject(db(), { ...person, effectiveAt: new Date(), actor: 'test', reason: 'asked' })
    await finishOne(db(), attempt, refusal(new Date(Date.now() + MINUTE)))
    expect(await readMessage(db(), id)).toMatchObject({ status: 'refused', recipient: null })
    expect(await ledger(person)).toEqual([])
  })

  describe('after an attempt without an answer', () => {
    const unanswered = {
      outcome: 'unknown',
      status: 'queued',
      cause: 'unclear',
      credit: 'kept',
    } as const

    async function aSecondAttempt(person: Person, expiresAt?: Date) {
      const { id, attempt } = await aBegun(person, 'template_message')
      await finishOne(db(), attempt, { ...unanswered, dueAt: new Date() })
      if (expiresAt) await db()('message').where({ id }).update({ expires_at: expiresAt })
      await lease(id, 'p1', 60)
      return { id, attempt }
    }

    it.each(['refused', 'failed'] as const)(
      'stays unknown when the next one is %s',
      async (outcome) => {
        const person = await aPerson({ scope: 'follow' })
        const { id, attempt } = await aSecondAttempt(person)
        const { attemptId } = await beginSurely(id)
        await finishOne(
          db(),
          { ...attempt, attemptId },
          { outcome, status: outcome, reason: 'opted_out' },
        )
        expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown' })
        expect(await readAttempts(db(), id)).toMatchObject([{ outcome: 'unknown' }, { outcome }])
      },
    )

    it('stays unknown when the next one is blocked', async () => {
      const person = await aPerson({ scope: 'follow' })
      const { id } = await aSecondAttempt(person)
      await giveConsent(db(), { ...person, scope: 'follow', change: 'revoked', at: new Date() })
      expect(await begin(id)).toMatchObject({ kind: 'blocked' })
      expect(await readMessage(db(), id)).toMatchObject({
        status: 'unknown',
        reason: 'follow_revoked',
      })
    })

    it('stays unknown when it expires', async () => {
      const { id } = await aSecondAttempt(await aPerson({ scope: 'follow' }), ago(SECOND))
      expect(await begin(id)).toEqual({ kind: 'expired' })
      expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown', reason: 'expired' })
    })

    it('is not called for again when the platform has forgotten the first call', async () => {
      const { id } = await aSecondAttempt(await aPerson({ scope: 'follow' }))
      await db()('attempt')
        .where({ message_id: id })
        .update({ started_at: ago(9.5 * MINUTE) })
      expect(await begin(id)).toEqual({ kind: 'expired' })
      expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown' })
    })

    describe('that was one of a counted window', () => {
      const KF = 'kf:wk1'

      async function anAsker(credits = 1) {
        return aPerson({ scope: KF, credits, expiresAt: inAnHour() })
      }

      async function aKfMessage(person: Person) {
        const id = await aClaimed(person, { channel: 'wecom_kf_message' })
        await db()('message').where({ id }).update({ consent_scope: KF })
        return id
      }

      async function aLostAnswer(person: Person) {
        const id = await aKfMessage(person)
        const { attemptId } = await beginSurely(id)
        const { accountId, subject: recipient } = person
        const attempt = { attemptId, messageId: id, accountId, recipient }
        await finishOne(db(), attempt, { ...unanswered, dueAt: new Date() })
        return { id, attempt }
      }

      const left = (person: Person) => readCredits(db(), person.accountId, person.subject, KF)
      const written = async (person: Person) =>
        (await ledger(person)).map((line) => line.split(' ')[1])

      it('keeps its credit from the others while it waits, and goes out with it', async () => {
        const person = await anAsker()
        const { id, attempt } = await aLostAnswer(person)
        expect(await left(person)).toBe(0)
        expect(await begin(await aKfMessage(person))).toMatchObject({
          kind: 'blocked',
          reason: 'kf_used_up',
        })
        await lease(id, 'p1', 60)
        const { attemptId } = await beginSurely(id)
        expect(await left(person)).toBe(0)
        await finishOne(db(), { ...attempt, attemptId }, { outcome: 'sent', status: 'sent' })
        expect(await left(person)).toBe(0)
        expect(await written(person)).toEqual([
          ...['granted', 'reserved', 'returned', 'reserved', 'spent'],
        ])
      })

      it('spends it when the platform refuses the repeat: the first may have arrived', async () => {
        const person = await anAsker(5)
        const { id, attempt } = await aLostAnswer(person)
        await lease(id, 'p1', 60)
        const { attemptId } = await beginSurely(id)
        const refused = { outcome: 'failed', status: 'failed', reason: 'content' } as const
        await finishOne(db(), { ...attempt, attemptId }, refused)
        expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown' })
        expect(await left(person)).toBe(4)
        expect((await written(person)).at(-1)).toBe('spent')
      })

      it('keeps it when the repeat itself is to be repeated', async () => {
        const person = await anAsker()
        const { id, attempt } = await aLostAnswer(person)
        await lease(id, 'p1', 60)
        const { attemptId } = await beginSurely(id)
        const again = { outcome: 'retry', status: 'queued', cause: 'token' } as const
        await finishOne(db(), { ...attempt, attemptId }, { ...again, dueAt: new Date() })
        expect(await left(person)).toBe(0)
        await lease(id, 'p1', 60)
        expect(await begin(id)).toMatchObject({ kind: 'begun', number: 3 })
      })

      it('does not lend it to another window', async () => {
        const person = await anAsker()
        const { id } = await aLostAnswer(person)
        const opened = { ...person, scope: KF, at: new Date(), expiresAt: inAnHour() }
        await giveConsent(db(), { ...opened, credits: 0 })
        await lease(id, 'p1', 60)
        expect(await begin(id)).toMatchObject({ kind: 'blocked', reason: 'kf_used_up' })
        expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown' })
      })

      it.each(['blocked', 'expired', 'given back too late'])('spends it when %s', async (how) => {
        const person = await anAsker(5)
        const { id } = await aLostAnswer(person)
        const change = { ...person, scope: 'everything', change: 'revoked' } as const
        if (how === 'blocked') await giveConsent(db(), { ...change, at: new Date() })
        else
          await db()('message')
            .where({ id })
            .update({ expires_at: ago(SECOND) })
        await lease(id, 'p1', 60)
        if (how === 'given back too late') {
          await releaseMessages(db(), { process: 'p1', messageIds: [id], dueAt: null })
        } else await begin(id)
        expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown' })
        expect(await left(person)).toBe(4)
        expect((await written(person)).at(-1)).toBe('spent')
      })

      it('is not called for again when the platform has said what became of it', async () => {
        const person = await anAsker(5)
        const { id } = await aLostAnswer(person)
        await receipt(person, {
          channel: 'wecom_kf_message',
          msgId: id.replaceAll('-', ''),
          status: 'not_delivered',
        })
        await lease(id, 'p1', 60)
        expect(await begin(id)).toEqual({ kind: 'lost' })
        expect(await readMessage(db(), id)).toMatchObject({ status: 'not_delivered', reason: null })
        expect(await left(person)).toBe(4)
      })
    })

    it('is sent when the next one is', async () => {
      const { id, attempt } = await aSecondAttempt(await aPerson({ scope: 'follow' }))
      const { attemptId } = await beginSurely(id)
      await finishOne(
        db(),
        { ...attempt, attemptId },
        { outcome: 'sent', status: 'sent', msgid: '7' },
      )
      expect(await readMessage(db(), id)).toMatchObject({ status: 'sent' })
    })
  })
})

describe('apply_receipt', () => {
  const sent = { outcome: 'sent', status: 'sent' } as const

  it.each(['delivered', 'not_delivered'] as const)('turns sent into %s', async (status) => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    await finishOne(db(), attempt, { ...sent, msgid: '71' })
    expect(await receipt(person, { channel: 'template_message', msgId: '71', status })).toBe(id)
    expect(await readMessage(db(), id)).toMatchObject({ status, receipt_status: status })
  })

  it('waits for the answer of the call that it confirms', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    const told = { channel: 'template_message', msgId: '72', status: 'delivered' } as const
    expect(await receipt(person, told)).toBeNull()
    expect(await readMessage(db(), id)).toMatchObject({ status: 'sending' })
    await finishOne(db(), attempt, { ...sent, msgid: '72' })
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'delivered',
      receipt_status: 'delivered',
    })
    const left: unknown[] = await db()('receipt').where({ account_id: person.accountId })
    expect(left).toEqual([])
  })

  it('keeps the later of two words about one message', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    await finishOne(db(), attempt, { ...sent, msgid: '73' })
    const told = { channel: 'template_message', msgId: '73' } as const
    await receipt(person, { ...told, status: 'delivered', at: new Date() })
    await receipt(person, { ...told, status: 'not_delivered', at: ago(MINUTE) })
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'delivered',
      receipt_status: 'delivered',
    })
  })

  it('joins a subscription message by person, template and time', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 2 })
    const older = await aBegun(person)
    await finishOne(db(), older.attempt, sent)
    const newer = await aBegun(person)
    await finishOne(db(), newer.attempt, sent)
    const told = { channel: 'subscription_message', templateId: 'T', status: 'delivered' } as const
    expect(await receipt(person, { ...told, templateId: 'U' })).toBeNull()
    expect(await receipt(person, told)).toBe(older.id)
    expect(await receipt(person, told)).toBe(newer.id)
    expect(await receipt(person, told)).toBeNull()
  })

  describe('of a subscription message, when an earlier one may never have arrived,', () => {
    const told = { channel: 'subscription_message', templateId: 'T', status: 'delivered' } as const
    const unclear = { outcome: 'unknown', status: 'unknown', cause: 'unclear' } as const

    async function aLost(person: Person) {
      const lost = await aBegun(person)
      await finishOne(db(), lost.attempt, unclear)
      return lost
    }

    it('is for the one that is sent', async () => {
      const person = await aPerson({ scope: TEMPLATE, credits: 2 })
      const lost = await aLost(person)
      const next = await aBegun(person)
      await finishOne(db(), next.attempt, sent)
      expect(await receipt(person, told)).toBe(next.id)
      expect(await readMessage(db(), next.id)).toMatchObject({ status: 'delivered' })
      expect(await readMessage(db(), lost.id)).toMatchObject({ status: 'unknown' })
      // a second receipt can only be for the first
      expect(await receipt(person, told)).toBe(lost.id)
    })

    it('calls none delivered while a call is under way whose answer may be lost, too', async () => {
      const person = await aPerson({ scope: TEMPLATE, credits: 2 })
      const lost = await aLost(person)
      const next = await aBegun(person)
      expect(await receipt(person, told)).toBeNull()
      await finishOne(db(), next.attempt, unclear)
      for (const { id } of [lost, next]) {
        expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown' })
      }
    })

    it('waits for the answer of a call under way that may name its id', async () => {
      const person = await aPerson({ scope: TEMPLATE, credits: 2 })
      const lost = await aLost(person)
      const next = await aBegun(person)
      expect(await receipt(person, { ...told, msgId: '83' })).toBeNull()
      await finishOne(db(), next.attempt, { ...sent, msgid: '83' })
      expect(await readMessage(db(), next.id)).toMatchObject({ status: 'delivered' })
      expect(await readMessage(db(), lost.id)).toMatchObject({ status: 'unknown' })
    })

    it('settles neither of two of which nobody knows, and no credit', async () => {
      const person = await aPerson({ scope: TEMPLATE, credits: 3 })
      const lost = [await aLost(person), await aLost(person)]
      expect(await receipt(person, told)).toBeNull()
      for (const { id } of lost) expect((await readMessage(db(), id)).status).toBe('unknown')
      expect(await credits(person)).toBe(1)
    })

    it('is not for a send that is known by another id', async () => {
      const person = await aPerson({ scope: TEMPLATE, credits: 2 })
      const older = await aBegun(person)
      await finishOne(db(), older.attempt, { ...sent, msgid: '81' })
      const newer = await aBegun(person)
      expect(await receipt(person, { ...told, msgId: '82' })).toBe(newer.id)
      await finishOne(db(), newer.attempt, { ...sent, msgid: '82' })
      expect(await readMessage(db(), newer.id)).toMatchObject({ status: 'delivered' })
      expect(await readMessage(db(), older.id)).toMatchObject({ status: 'sent' })
    })
  })

  it('gives the credit back when a subscription message was not delivered', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id, attempt } = await aBegun(person)
    await finishOne(db(), attempt, sent)
    await receipt(person, {
      channel: 'subscription_message',
      templateId: 'T',
      status: 'not_delivered',
    })
    expect(await readMessage(db(), id)).toMatchObject({ status: 'not_delivered' })
    expect(await credits(person)).toBe(1)
  })

  it('gives it back once, also when the failure is known before the answer', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id, attempt } = await aBegun(person)
    await receipt(person, {
      channel: 'subscription_message',
      templateId: 'T',
      status: 'not_delivered',
    })
    await finishOne(db(), attempt, sent)
    expect(await readMessage(db(), id)).toMatchObject({ status: 'not_delivered' })
    expect(await credits(person)).toBe(1)
  })

  it("spends a credit for somebody else's send", async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 2 })
    await receipt(person, { channel: 'subscription_message', templateId: 'T', status: 'delivered' })
    expect(await credits(person)).toBe(1)
    await receipt(person, {
      channel: 'subscription_message',
      templateId: 'T',
      status: 'not_delivered',
    })
    expect(await credits(person)).toBe(1)
  })

  it('finds a message of customer service by our own name for it', async () => {
    for (const status of ['sent', 'unknown'] as const) {
      const person = await aPerson({ scope: 'kf:wk1', credits: 5, expiresAt: inAnHour() })
      const id = await aClaimed(person, { channel: 'wecom_kf_message' })
      await db()('message').where({ id }).update({ consent_scope: 'kf:wk1' })
      const { attemptId } = await beginSurely(id)
      const { accountId, subject: recipient } = person
      await finishOne(
        db(),
        { attemptId, messageId: id, accountId, recipient },
        { outcome: status, status },
      )
      const told = { channel: 'wecom_kf_message', status: 'not_delivered' } as const
      expect(await receipt(person, { ...told, msgId: id.replaceAll('-', '') })).toBe(id)
      expect(await readMessage(db(), id)).toMatchObject({ status: 'not_delivered' })
      expect(await readCredits(db(), accountId, recipient, 'kf:wk1')).toBe(4)
    }
  })

  it('settles the only message of a person whose answer was lost', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { id, attempt } = await aBegun(person, 'template_message')
    await finishOne(db(), attempt, { outcome: 'unknown', status: 'unknown', cause: 'unclear' })
    expect(
      await receipt(person, { channel: 'template_message', msgId: '74', status: 'delivered' }),
    ).toBe(id)
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'delivered',
      msgid: '74',
      reason: null,
    })
    expect(await readAttempts(db(), id)).toMatchObject([{ outcome: 'sent' }])
  })

  it.each(['unknown', 'sending', 'queued'] as const)(
    'does not guess while another one is %s',
    async (other) => {
      const person = await aPerson({ scope: 'follow' })
      const { id, attempt } = await aBegun(person, 'template_message')
      await finishOne(db(), attempt, { outcome: 'unknown', status: 'unknown', cause: 'unclear' })
      const second = await aBegun(person, 'template_message')
      if (other !== 'sending') {
        const lost = { outcome: 'unknown', status: other, cause: 'unclear' } as const
        await finishOne(db(), second.attempt, lost)
      }
      expect(
        await receipt(person, { channel: 'template_message', msgId: '75', status: 'delivered' }),
      ).toBeNull()
      expect(await readMessage(db(), id)).toMatchObject({ status: 'unknown' })
    },
  )

  it('does not settle an unknown message by a receipt of another hour', async () => {
    const person = await aPerson({ scope: 'follow' })
    const { attempt } = await aBegun(person, 'template_message')
    await finishOne(db(), attempt, { outcome: 'unknown', status: 'unknown', cause: 'unclear' })
    const told = { channel: 'template_message', msgId: '76', status: 'delivered' } as const
    expect(await receipt(person, { ...told, at: ago(60 * MINUTE) })).toBeNull()
  })

  it('delivers an unknown subscription message and leaves its credit spent', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id, attempt } = await aBegun(person)
    await finishOne(db(), attempt, { outcome: 'unknown', status: 'unknown', cause: 'unclear' })
    await receipt(person, { channel: 'subscription_message', templateId: 'T', status: 'delivered' })
    expect(await readMessage(db(), id)).toMatchObject({ status: 'delivered' })
    expect(await credits(person)).toBe(0)
  })
})

describe('recover_messages', () => {
  it('queues a template message again while the platform drops its repeat', async () => {
    const { id } = await aBegun(await aPerson({ scope: 'follow' }), 'template_message')
    await abandon(id, 8 * MINUTE)
    expect(await recover()).toMatchObject([{ id, status: 'queued' }])
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'queued',
      lease_owner: null,
      finished_at: null,
    })
    expect(await readAttempts(db(), id)).toMatchObject([{ outcome: 'unknown', cause: 'unclear' }])
    expect(await recover()).toEqual([])
  })

  it('calls it unknown afterwards', async () => {
    const { id } = await aBegun(await aPerson({ scope: 'follow' }), 'template_message')
    await abandon(id, 10 * MINUTE)
    expect(await recover()).toMatchObject([{ id, status: 'unknown' }])
    expect(await readMessage(db(), id)).toMatchObject({
      status: 'unknown',
      reason: 'process_ended',
    })
  })

  it('calls any other message unknown at once, its credit spent', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id } = await aBegun(person)
    await abandon(id)
    expect(await recover()).toMatchObject([{ id, status: 'unknown' }])
    expect(await ledger(person)).toEqual([
      `${TEMPLATE} granted`,
      `${TEMPLATE} reserved`,
      `${TEMPLATE} spent`,
    ])
  })

  it('believes a receipt', async () => {
    const person = await aPerson({ scope: TEMPLATE, credits: 1 })
    const { id } = await aBegun(person)
    await receipt(person, { channel: 'subscription_message', templateId: 'T', status: 'delivered' })
    await abandon(id)
    expect(await recover()).toMatchObject([{ id, status: 'delivered' }])
    expect(await readAttempts(db(), id)).toMatchObject([{ outcome: 'sent' }])
  })

  it('leaves what a living process is sending', async () => {
    await aBegun(await aPerson({ scope: 'follow' }), 'template_message')
    expect(await recover()).toEqual([])
  })

  it('takes each message up once, however many processes look', async () => {
    const begun = await aBegun(await aPerson({ scope: 'follow' }), 'template_message')
    await abandon(begun.id)
    const taken = await Promise.all([recover(), recover(), recover()])
    expect(taken.flat()).toHaveLength(1)
  })

  describe('and then the answer comes after all', () => {
    it('tells the truth about an unknown message, and gives back what was not spent', async () => {
      const person = await aPerson({ scope: TEMPLATE, credits: 1 })
      const { id, attempt } = await aBegun(person)
      await abandon(id)
      await recover()
      await finishOne(db(), attempt, {
        outcome: 'failed',
        status: 'failed',
        reason: 'content',
        cause: 'content',
      })
      expect(await readMessage(db(), id)).toMatchObject({ status: 'failed', reason: 'content' })
      expect(await credits(person)).toBe(1)
    })

    it('does not send again what was sent', async () => {
      const { id, attempt } = await aBegun(await aPerson({ scope: 'follow' }), 'template_message')
      await abandon(id)
      await recover()
      await lease(id, 'p2', 60)
      await finishOne(db(), attempt, { outcome: 'sent', status: 'sent', msgid: '77' })
      expect(await readMessage(db(), id)).toMatchObject({ status: 'sent', msgid: '77' })
      expect(await begin(id, 'p2')).toEqual({ kind: 'lost' })
    })

    it('says sent although the message was cancelled while it waited', async () => {
      const { id, attempt } = await aBegun(await aPerson({ scope: 'follow' }), 'template_message')
      await abandon(id)
      await recover()
      await db()('message').where({ id }).update({ status: 'cancelled' })
      await finishOne(db(), attempt, { outcome: 'sent', status: 'sent', msgid: '78' })
      expect(await readMessage(db(), id)).toMatchObject({ status: 'sent' })
    })

    it('leaves the word to a newer attempt', async () => {
      const { id, attempt } = await aBegun(await aPerson({ scope: 'follow' }), 'template_message')
      await abandon(id)
      await recover()
      await lease(id, 'p2', 60)
      await begin(id, 'p2')
      await finishOne(db(), attempt, { outcome: 'failed', status: 'failed', reason: 'content' })
      expect(await readMessage(db(), id)).toMatchObject({ status: 'sending', attempt_count: 2 })
      expect(await readAttempts(db(), id)).toMatchObject([{ outcome: 'failed' }, { outcome: null }])
    })
  })
})
