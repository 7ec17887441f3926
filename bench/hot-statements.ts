import { createHash, randomUUID } from 'node:crypto'
import type { Knex } from 'knex'
import { spendNonce } from '../src/applications/signing-store.ts'
import type { ConsentChange } from '../src/consent/consent.ts'
import {
  decideSend,
  eraseSubject,
  findConsents,
  findHistory,
  isCallUnderWay,
} from '../src/consent/consent-store.ts'
import { recordPushes, type PushRow } from '../src/consent/push-store.ts'
import {
  beginAttempts,
  claimMessages,
  finishAttempts,
  measureQueue,
  recoverMessages,
  releaseMessages,
  type ClaimedMessage,
  type EndedAttempt,
} from '../src/dispatch/dispatch-store.ts'
import { restInQuietHours } from '../src/dispatch/quiet-store.ts'
import { listEvents } from '../src/events/event-store.ts'
import { FIRST_ID, lowestId, newId } from '../src/foundation/ids.ts'
import type { NewBroadcast } from '../src/messages/broadcast.ts'
import { createBroadcastStore } from '../src/messages/broadcast-store.ts'
import { forgetMessages } from '../src/messages/forget-store.ts'
import { createMessageStore } from '../src/messages/message-store.ts'
import type { NewMessage } from '../src/messages/message.ts'
import type { Ground } from './plans-ground.ts'
import { ACCOUNT } from './pushes.ts'
import { TEMPLATE_ID } from './queue.ts'

/** Runs the statement that the plans are wanted of; what surrounds it goes unwatched. */
export type Watched = (statement: () => Promise<unknown>) => Promise<void>

/** A statement that runs for every push, message or request, or every few seconds. */
export interface HotStatement {
  /** The function of ours that runs it, and what tells it from others of that function. */
  readonly name: string
  readonly file: string
  readonly purpose: string
  /** The indexes that serve it on the growing tables; `a or b` where it may be either. */
  readonly indexes: readonly string[]
  /** Those it goes through from one end, for a few rows or because it is about all that are in it. */
  readonly walks?: readonly string[]
  /**
   * Each request has it planned anew, and the plan is good when PostgreSQL knows how large the tables
   * are. Of a table that has just grown a lot it may sort what one account has, until autovacuum has
   * looked, which takes a minute or so.
   */
  readonly needsStatistics?: true
  readonly run: (db: Knex, ground: Ground, watched: Watched) => Promise<void>
}

const PUSH_STORE = 'src/consent/push-store.ts'
const CONSENT_STORE = 'src/consent/consent-store.ts'
const DISPATCH_STORE = 'src/dispatch/dispatch-store.ts'
const MESSAGE_STORE = 'src/messages/message-store.ts'
const BROADCAST_STORE = 'src/messages/broadcast-store.ts'
const EVENT_STORE = 'src/events/event-store.ts'

export const HOT_STATEMENTS: readonly HotStatement[] = [
  {
    name: 'recordPushes: follows, messages and unfollows',
    file: PUSH_STORE,
    purpose:
      'Records a batch of pushes with their consent changes, before the platform is answered.',
    indexes: ['event_pkey', 'consent_pkey', 'message_sending_idx'],
    walks: ['message_sending_idx'],
    async run(db, ground, watched) {
      await beginSome(db, ground)
      const pushes = batchOf(ground, (n) => [
        { scope: 'follow', change: n % 3 === 2 ? 'revoked' : 'granted' },
        ...(n % 3 === 0 ? [{ scope: 'conversation', change: 'granted', credits: 5 } as const] : []),
        ...(n % 3 === 2 ? [{ scope: 'template:*', change: 'revoked' } as const] : []),
      ])
      await watched(() => recordPushes(db, pushes))
    },
  },
  {
    name: 'recordPushes: answers to templates',
    file: PUSH_STORE,
    purpose:
      'The same for accepted and refused templates, whose credits follow from the whole ledger.',
    indexes: ['event_pkey', 'consent_pkey', 'consent_ledger_subject_idx'],
    walks: ['message_sending_idx'],
    async run(db, ground, watched) {
      const pushes = batchOf(ground, (n) => [
        {
          scope: `template:${TEMPLATE_ID}`,
          change: n % 2 === 0 ? 'granted' : 'revoked',
          credits: n % 2 === 0 ? 1 : null,
        },
      ])
      await watched(() => recordPushes(db, pushes))
    },
  },
  {
    name: 'recordPushes: receipts',
    file: PUSH_STORE,
    purpose: 'The same for what the platform reports of messages it had accepted.',
    indexes: ['event_pkey', 'message_msgid_idx', 'message_pkey'],
    walks: ['message_sending_idx'],
    async run(db, ground, watched) {
      const pushes = batchOf(ground, () => []).map((push) => ({
        ...push,
        receipts: [
          {
            channel: 'template_message',
            msgId: push.subject,
            templateId: null,
            status: 'delivered' as const,
            reason: 'success',
          },
        ],
      }))
      await watched(() => recordPushes(db, pushes))
    },
  },
  {
    name: 'isCallUnderWay',
    file: CONSENT_STORE,
    purpose: 'Asks, until it is answered, whether a call that a push forbids has ended.',
    indexes: ['message_sending_idx', 'attempt_message_id_number_key'],
    async run(db, ground, watched) {
      const begun = await beginSome(db, ground)
      const subject = begun[0]?.message.recipient ?? ''
      const { accountId } = ground
      await watched(() => isCallUnderWay(db, { accountId, subject }, new Date()))
    },
  },
  {
    name: 'spendNonce',
    file: 'src/applications/signing-store.ts',
    purpose: 'Uses up the nonce of a signed request; nothing of the kind runs for others.',
    indexes: ['request_nonce_pkey'],
    async run(db, _ground, watched) {
      const nonce = { applicationId: randomUUID(), nonce: randomUUID(), expiresAt: new Date() }
      await watched(() => spendNonce(db, nonce))
    },
  },
  {
    name: 'insert of a message',
    file: MESSAGE_STORE,
    purpose: 'Stores the message of a request, once for each Idempotency-Key.',
    indexes: ['message_idempotency_key_idx'],
    async run(db, ground, watched) {
      await watched(() => createMessageStore(db).insert(aMessage(ground)))
    },
  },
  {
    name: 'findByKey of a message',
    file: MESSAGE_STORE,
    purpose: 'Finds what an earlier request under the same Idempotency-Key asked for.',
    indexes: ['message_idempotency_key_idx'],
    async run(db, ground, watched) {
      const messages = createMessageStore(db)
      await watched(() => messages.findByKey(ground.applicationId, ground.person(1)))
    },
  },
  {
    name: 'find and attemptsOf of a message',
    file: MESSAGE_STORE,
    purpose: 'Answers GET /v1/messages/{id}.',
    indexes: ['message_pkey or message_account_id_idx', 'attempt_message_id_number_key'],
    async run(db, ground, watched) {
      const messages = createMessageStore(db)
      const earlier = await messages.findByKey(ground.applicationId, ground.person(1))
      const id = earlier?.message.id ?? randomUUID()
      await watched(() => messages.find(id, [ground.accountId]))
      await watched(() => messages.attemptsOf(id))
    },
  },
  {
    name: 'list of messages: the newest',
    file: MESSAGE_STORE,
    purpose: 'Answers GET /v1/messages.',
    indexes: ['message_account_id_idx or message_pkey'],
    walks: ['message_account_id_idx', 'message_pkey'],
    needsStatistics: true,
    async run(db, ground, watched) {
      const messages = createMessageStore(db)
      await watched(() => messages.list({ accountIds: [ground.accountId], limit: PAGE }))
    },
  },
  {
    name: 'list of messages: of a person',
    file: MESSAGE_STORE,
    purpose: 'Answers GET /v1/messages with `to`.',
    indexes: ['message_recipient_idx'],
    async run(db, ground, watched) {
      const to = ground.person(1)
      const messages = createMessageStore(db)
      await watched(() => messages.list({ accountIds: [ground.accountId], to, limit: PAGE }))
    },
  },
  {
    name: 'claimMessages',
    file: DISPATCH_STORE,
    purpose: 'Takes the messages that are due, under a lease.',
    indexes: ['message_channel_idx', 'message_pkey'],
    walks: ['message_channel_idx'],
    async run(db, ground, watched) {
      await watched(() => claim(db, ground))
    },
  },
  {
    name: 'beginAttempts',
    file: DISPATCH_STORE,
    purpose: 'Decides by the consents, right before the calls, and records the attempts.',
    indexes: ['message_pkey', 'consent_pkey', 'message_sending_idx', 'consent_ledger_subject_idx'],
    async run(db, ground, watched) {
      const messageIds = (await claim(db, ground)).map(({ id }) => id)
      await watched(() => beginAttempts(db, { ...LEASE, messageIds }))
    },
  },
  {
    name: 'beginAttempts: with a cap and a pace per person',
    file: DISPATCH_STORE,
    purpose: 'The same for marketing of an account that counts what a person gets.',
    indexes: ['message_counted_idx', 'send_policy_pkey', 'message_pkey'],
    async run(db, ground, watched) {
      await withPolicy(
        db,
        ground,
        { marketing_per_person_per_day: 3, recipient_per_minute: { template_message: 2 } },
        async () => {
          const messageIds = (await claim(db, ground)).map(({ id }) => id)
          await watched(() => beginAttempts(db, { ...LEASE, messageIds }))
        },
      )
    },
  },
  {
    name: 'restInQuietHours',
    file: 'src/dispatch/quiet-store.ts',
    purpose: 'Makes what is due in quiet hours due at their end, every two seconds.',
    indexes: ['message_channel_idx', 'message_pkey'],
    async run(db, ground, watched) {
      const twice = [{ quiet_hours: '00:00-12:00' }, { quiet_hours: '12:00-00:00' }]
      for (const policy of twice) {
        await withPolicy(db, ground, policy, () => watched(() => restInQuietHours(db)))
      }
    },
  },
  {
    name: 'finishAttempts',
    file: DISPATCH_STORE,
    purpose: 'Records what the platform answered, with the consent changes that follow.',
    indexes: [
      'attempt_pkey',
      'message_pkey',
      'consent_ledger_attempt_idx',
      'consent_ledger_pkey',
      'attempt_message_id_number_key',
    ],
    async run(db, ground, watched) {
      const ends = (await beginSome(db, ground)).map(anEnd)
      await watched(() => finishAttempts(db, ends))
    },
  },
  {
    name: 'releaseMessages',
    file: DISPATCH_STORE,
    purpose: 'Gives claimed messages back that cannot be sent now.',
    indexes: ['message_pkey'],
    async run(db, ground, watched) {
      const messageIds = (await claim(db, ground)).map(({ id }) => id)
      const dueAt = new Date(Date.now() + 3_600_000)
      await watched(() => releaseMessages(db, { process: LEASE.process, messageIds, dueAt }))
    },
  },
  {
    name: 'recoverMessages',
    file: DISPATCH_STORE,
    purpose: 'Looks every two seconds for messages whose process died during the call.',
    indexes: ['message_sending_idx', 'message_pkey', 'attempt_message_id_number_key'],
    walks: ['message_sending_idx'],
    async run(db, ground, watched) {
      await beginSome(db, ground)
      await db.raw(`update message set leased_until = now() where status = 'sending'`)
      const deduplicated = ['template_message'] as const
      await watched(() => recoverMessages(db, { deduplicated, withinSeconds: 60, limit: 500 }))
    },
  },
  {
    name: 'measureQueue',
    file: DISPATCH_STORE,
    purpose: 'Counts the queue every two seconds, for the metrics.',
    indexes: ['message_channel_idx', 'message_sending_idx'],
    walks: ['message_channel_idx', 'message_sending_idx'],
    async run(db, ground, watched) {
      await beginSome(db, ground)
      await watched(() => measureQueue(db))
    },
  },
  {
    name: 'decideSend',
    file: CONSENT_STORE,
    purpose: 'Answers whether something may be sent now; beginAttempts asks the same way.',
    indexes: ['consent_pkey'],
    async run(db, ground, watched) {
      const question = { accountId: ground.accountId, subject: ground.person(1), at: new Date() }
      const channels = ['template_message', 'subscription_message', 'customer_service_message']
      for (const channel of channels) {
        await watched(() => decideSend(db, { ...question, channel, templateId: TEMPLATE_ID }))
      }
    },
  },
  {
    name: 'findConsents',
    file: CONSENT_STORE,
    purpose: 'Answers what holds for a person now, with the evidence.',
    indexes: ['consent_pkey', 'consent_ledger_pkey'],
    async run(db, ground, watched) {
      await watched(() => findConsents(db, ground.accountId, ground.person(1)))
    },
  },
  {
    name: 'findHistory',
    file: CONSENT_STORE,
    purpose: 'Answers all that was ever recorded of a person.',
    indexes: ['consent_ledger_subject_idx'],
    async run(db, ground, watched) {
      const { accountId } = ground
      await watched(() => findHistory(db, { accountId, subject: ground.person(1) }, PAGE))
    },
  },
  {
    name: 'listEvents: the newest',
    file: EVENT_STORE,
    purpose: 'Answers GET /v1/events.',
    indexes: ['event_id_idx'],
    walks: ['event_id_idx'],
    needsStatistics: true,
    async run(db, ground, watched) {
      const page = { accountIds: [ground.accountId], withDocument: false, limit: PAGE }
      await watched(() => listEvents(db, page))
    },
  },
  {
    name: 'listEvents: after one that is known',
    file: EVENT_STORE,
    purpose: 'Answers GET /v1/events with `after`, by which applications follow the log.',
    indexes: ['event_id_idx'],
    needsStatistics: true,
    async run(db, ground, watched) {
      const afterId = String(Math.floor(ground.size.people / 2))
      const page = { accountIds: [ground.accountId], withDocument: true, limit: PAGE, afterId }
      await watched(() => listEvents(db, page))
    },
  },
  {
    name: 'listEvents: of a person',
    file: EVENT_STORE,
    purpose: 'Answers GET /v1/events with `subject`.',
    indexes: ['event_subject_idx'],
    async run(db, ground, watched) {
      const subject = ground.person(1)
      const page = { accountIds: [ground.accountId], withDocument: false, limit: PAGE, subject }
      await watched(() => listEvents(db, page))
    },
  },
  {
    name: 'expand of a broadcast',
    file: BROADCAST_STORE,
    purpose: 'Adds the next people of an audience to the list of a broadcast.',
    indexes: ['consent_pkey'],
    async run(db, ground, watched) {
      const broadcasts = createBroadcastStore(db)
      await broadcasts.insert(aBroadcast(ground, 'follow'))
      await watched(() => broadcasts.expand(ground.size.batch))
    },
  },
  {
    name: 'feed of a broadcast',
    file: BROADCAST_STORE,
    purpose: 'Makes the next messages of a broadcast, a bounded number ahead of the workers.',
    indexes: ['broadcast_recipient_pkey', 'message_broadcast_queue_idx'],
    async run(db, ground, watched) {
      await listBroadcast(db, ground)
      await watched(() => createBroadcastStore(db).feed())
    },
  },
  {
    name: 'feed of a broadcast: paused',
    file: BROADCAST_STORE,
    purpose: 'Holds back, once a second, what a paused broadcast still has waiting.',
    indexes: ['message_broadcast_queue_idx', 'message_pkey'],
    async run(db, ground, watched) {
      const id = await listBroadcast(db, ground)
      await createBroadcastStore(db).feed()
      await db('broadcast')
        .where({ id })
        .update({ paused_at: new Date(), fed_at: new Date(0) })
      await watched(() => createBroadcastStore(db).feed())
    },
  },
  {
    name: 'countMessages of a broadcast',
    file: BROADCAST_STORE,
    purpose: 'Answers how far a broadcast has come.',
    indexes: ['message_broadcast_queue_idx', 'message_broadcast_ended_idx'],
    async run(db, ground, watched) {
      const id = await listBroadcast(db, ground)
      const broadcasts = createBroadcastStore(db)
      await broadcasts.feed()
      await watched(() => broadcasts.countMessages(id))
    },
  },
  {
    name: 'report of a broadcast',
    file: BROADCAST_STORE,
    purpose: 'Answers what became of each recipient.',
    indexes: [
      'broadcast_recipient_pkey',
      'message_broadcast_line_idx',
      'attempt_message_id_number_key',
    ],
    async run(db, ground, watched) {
      const id = await listBroadcast(db, ground)
      const broadcasts = createBroadcastStore(db)
      await broadcasts.feed()
      await watched(() => broadcasts.report(id, 0, PAGE))
    },
  },
  {
    name: 'forgetMessages',
    file: 'src/messages/forget-store.ts',
    purpose: 'Removes a batch of messages that ended long ago, with their attempts; a nightly job.',
    indexes: ['message_pkey', 'attempt_message_id_number_key'],
    needsStatistics: true,
    async run(db, ground, watched) {
      const before = new Date()
      const limit = ground.size.batch
      await watched(() =>
        forgetMessages(db, { before, after: FIRST_ID, below: lowestId(before), limit }),
      )
    },
  },
  {
    name: 'eraseSubject',
    file: CONSENT_STORE,
    purpose: 'Erases a person; rare, but what waits for the person waits for it.',
    indexes: [
      'consent_pkey',
      'broadcast_recipient_broadcast_id_recipient_key',
      'message_recipient_idx',
      'attempt_message_id_number_key',
      'event_subject_idx',
      'consent_ledger_subject_idx',
      'one_time_link_person_idx',
    ],
    async run(db, ground, watched) {
      const subject = ground.person(ground.size.people - 1)
      const who = { accountId: ground.accountId, subject, actor: 'bench', reason: 'plans' }
      await watched(() => eraseSubject(db, { ...who, effectiveAt: new Date(0) }))
    },
  },
]

const PAGE = 50
const LEASE = { process: 'plans', leaseSeconds: 600 }

let pushesMade = 0

/** A batch of pushes of this moment, each of another person. */
function batchOf(
  ground: Ground,
  changesOf: (n: number) => readonly (Pick<ConsentChange, 'scope' | 'change'> & {
    readonly credits?: number | null
  })[],
): PushRow[] {
  const at = new Date(Math.floor(Date.now() / 1000) * 1000)
  return Array.from({ length: ground.size.batch }, (_, n) => {
    const document = `<xml><!-- ${pushesMade++} --></xml>`
    return {
      accountId: ground.accountId,
      repeatKey: createHash('sha256').update(document).digest(),
      kind: 'event.plans',
      name: 'plans',
      subject: ground.person(n),
      occurredAt: at,
      effectiveAt: at,
      document,
      changes: changesOf(n).map(({ scope, change, credits = null }) => ({
        scope,
        change,
        credits,
        effectiveAt: at,
        reason: 'event.plans',
        expiresAt: scope === 'conversation' ? new Date(at.getTime() + 48 * 3_600_000) : null,
      })),
      receipts: [],
      erase: false,
      ticket: null,
      job: null,
    }
  })
}

/** What waits is marketing, and the account has a policy for it, as long as this runs. */
async function withPolicy(
  db: Knex,
  { accountId }: Ground,
  settings: Readonly<Record<string, unknown>>,
  work: () => Promise<unknown>,
): Promise<void> {
  const set = (changed: unknown) =>
    db('account')
      .where({ id: accountId })
      .update({ settings: JSON.stringify(changed) })
  await db('message').where({ status: 'queued' }).update({ lane: 1 })
  await set(settings)
  try {
    await work()
  } finally {
    await set({})
    await db('send_policy').delete()
    const dueAt = new Date(Date.now() - 60_000)
    await db('message').where({ status: 'queued' }).update({ lane: 0, due_at: dueAt, reason: null })
  }
}

function claim(db: Knex, ground: Ground): Promise<ClaimedMessage[]> {
  return claimMessages(db, { ...LEASE, limit: ground.size.batch })
}

/** Claims a batch and begins its attempts. */
async function beginSome(db: Knex, ground: Ground) {
  const messages = await claim(db, ground)
  const messageIds = messages.map(({ id }) => id)
  const decisions = await beginAttempts(db, { ...LEASE, messageIds })
  return messages.flatMap((message, place) => {
    const decision = decisions[place]
    return decision?.kind === 'begun' ? [{ message, attemptId: decision.attemptId }] : []
  })
}

/** Of eight attempts one is refused because the person left, and one failed. */
function anEnd(
  { message, attemptId }: { readonly message: ClaimedMessage; readonly attemptId: string },
  place: number,
): EndedAttempt {
  const { id: messageId, accountId, recipient } = message
  const outcome = place % 8 === 6 ? 'refused' : place % 8 === 7 ? 'failed' : 'sent'
  const change = { scope: 'follow', change: 'revoked', reason: 'errcode.43004' } as const
  const left = { ...change, effectiveAt: new Date(), credits: null, expiresAt: null }
  return {
    attemptId,
    messageId,
    accountId,
    recipient,
    end: {
      outcome,
      status: outcome,
      reason: outcome === 'sent' ? null : 'plans',
      dueAt: null,
      errcode: outcome === 'sent' ? 0 : 43004,
      isUnknownCode: false,
      errmsg: 'plans',
      httpStatus: 200,
      rid: null,
      msgid: outcome === 'sent' ? attemptId : null,
      credit: outcome === 'sent' ? 'spent' : 'returned',
      changes: outcome === 'refused' ? [left] : [],
      pause: null,
      tokenRejected: false,
      cause: 'ok',
    },
  }
}

function aMessage(ground: Ground): NewMessage {
  const now = new Date()
  return {
    id: newId(now),
    account: { id: ground.accountId, name: ACCOUNT.name },
    applicationId: ground.applicationId,
    to: ground.person(2),
    channel: 'template_message',
    templateId: TEMPLATE_ID,
    content: { template_id: TEMPLATE_ID, data: {} },
    alias: null,
    plan: null,
    purpose: null,
    consentScope: null,
    sealedSecret: null,
    idempotencyKey: randomUUID(),
    requestDigest: Buffer.alloc(32),
    sendAt: now,
    expiresAt: new Date(now.getTime() + 86_400_000),
    createdAt: now,
  }
}

function aBroadcast(ground: Ground, audienceScope: string | null): NewBroadcast {
  const { requestDigest, to: _to, ...message } = aMessage(ground)
  return {
    ...message,
    name: 'plans',
    templateAlias: null,
    audienceScope,
    headDigest: requestDigest,
    linesDigest: requestDigest,
  }
}

/** A broadcast with the list of a batch, ready to be fed. @returns its id. */
async function listBroadcast(db: Knex, ground: Ground): Promise<string> {
  const broadcasts = createBroadcastStore(db)
  const { batch } = ground.size
  const broadcast = aBroadcast(ground, null)
  await broadcasts.insert(broadcast)
  await broadcasts.addLines(broadcast.id, {
    before: 0,
    digestBefore: broadcast.linesDigest,
    after: batch,
    digestAfter: broadcast.linesDigest,
    recipients: Array.from({ length: batch }, (_, n) => {
      return { line: n + 1, recipient: ground.person(n), data: null }
    }),
    bad: [],
    isLast: true,
  })
  return broadcast.id
}
