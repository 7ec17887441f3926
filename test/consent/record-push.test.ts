import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { Knex } from 'knex'
import { describe, expect, it } from 'vitest'
import type { Account } from '../../src/accounts/account.ts'
import { eraseSubject } from '../../src/consent/consent-store.ts'
import { createRecorder, type ProvenPush } from '../../src/consent/record-push.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { beginAttempts } from '../../src/dispatch/dispatch-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { UnavailableError } from '../../src/foundation/errors.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { useTestDatabase } from '../support/database.ts'
import {
  finishOne,
  giveConsent,
  insertMessage,
  newPerson,
  readLedger,
  readMessage,
} from '../support/messages.ts'
import { accountOf, eventOf, pushOf } from '../support/proven-pushes.ts'
import { recorderParts } from '../support/recorder-parts.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000)

function startRecorder(on: Knex = db()) {
  const settled: string[] = []
  const settle = async (_accountId: number, subject: string) => void settled.push(subject)
  const recorder = createRecorder({
    ...recorderParts,
    db: on,
    clock: systemClock,
    metrics: createMetrics(),
    settle,
  })
  const record = async (push: ProvenPush) => {
    const outcome = await recorder.record(push)
    if (!('eventId' in outcome)) throw new Error(`the push is ${outcome.outcome}`)
    return outcome
  }
  return { ...recorder, record, settled }
}

async function anAccount() {
  return accountOf(await insertAccount(db()))
}

const aPush = (account: Account) => eventOf(account, { from: newPerson(), name: 'subscribe' })

async function readAside(accountId: number) {
  const rows: { kind: string; document: Buffer; times: number }[] = await db()('push_aside')
    .where({ account_id: accountId })
    .select('kind', 'document', 'times')
  return rows.map((row) => ({ ...row, document: row.document.toString() }))
}

async function countEvents(accountId: number): Promise<number> {
  const rows: unknown[] = await db()('event').where({ account_id: accountId })
  return rows.length
}

describe('record', () => {
  it('records a push once, however often it comes, and answers with the same event', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    const push = eventOf(account, { from, name: 'subscribe' })
    const first = await recorder.record(push)
    expect(first).toMatchObject({ outcome: 'recorded', kind: 'event.subscribe' })
    expect(await recorder.record(push)).toEqual({ ...first, outcome: 'repeated' })
    expect(await countEvents(account.id)).toBe(1)
    expect(await readLedger(db(), account.id, from)).toEqual([
      'follow granted',
      'conversation:action granted',
    ])
  })

  it('keeps the welcome code of a repeated push once, sealed, for the event', async () => {
    const account = { ...(await anAccount()), kind: 'wecom_app' as const }
    const more = { ChangeType: 'add_external_contact', UserID: 'LiXiaoMing', WelcomeCode: 'code1' }
    const event = { MsgType: 'event', Event: 'change_external_contact', ExternalUserID: 'wmOne' }
    const contact = pushOf(account, { from: 'sys', fields: { ...event, ...more } })
    const push = { ...contact, source: 'wecom' as const }
    const other = {
      ...eventOf(account, { from: 'WangFang', name: 'subscribe' }),
      source: push.source,
    }
    const recorders = [startRecorder(), startRecorder(database().openAnother())]
    const outcomes = await Promise.all(
      [other, push, push].flatMap((one) => recorders.map((recorder) => recorder.record(one))),
    )
    const told = outcomes.find(({ kind }) => kind.endsWith('add_external_contact'))
    const rows = await db()('welcome_code').where({ account_id: account.id })
    expect(rows).toMatchObject([{ event_id: told?.eventId }])
    expect(JSON.stringify(rows)).not.toMatch(/code1|wmOne|LiXiaoMing/)
  })

  it('records the same pushes once when two processes take them at the same time', async () => {
    const [one, other] = [startRecorder(), startRecorder(database().openAnother())]
    const account = await anAccount()
    const people = Array.from({ length: 40 }, newPerson)
    const pushes = people.map((from) => eventOf(account, { from, name: 'subscribe' }))
    const outcomes = await Promise.all(
      [...pushes, ...pushes.toReversed()].map((push, index) =>
        (index % 2 === 0 ? one : other).record(push),
      ),
    )
    expect(outcomes.filter(({ outcome }) => outcome === 'recorded')).toHaveLength(40)
    expect(new Set(outcomes.map(({ eventId }) => eventId)).size).toBe(40)
    for (const from of people) expect(await readLedger(db(), account.id, from)).toHaveLength(2)
  })

  it('keeps two pushes apart that differ in AgentID alone', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const [from, at] = [newPerson(), ago(5)]
    const unsubscribed = (AgentID: string) =>
      eventOf(account, { from, at, name: 'unsubscribe', more: { AgentID } })
    const first = await recorder.record(unsubscribed('1000007'))
    const other = await recorder.record(unsubscribed('1000008'))
    expect(other).toMatchObject({ outcome: 'recorded' })
    expect(other.eventId).not.toBe(first.eventId)
    expect(await recorder.record(unsubscribed('1000007'))).toEqual({
      ...first,
      outcome: 'repeated',
    })
    expect(await countEvents(account.id)).toBe(2)
  })

  it('keeps different pushes of one second apart', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const [from, at] = [newPerson(), ago(5)]
    const names = ['subscribe', 'unsubscribe', 'CLICK']
    await Promise.all(names.map((name) => recorder.record(eventOf(account, { from, at, name }))))
    expect(await countEvents(account.id)).toBe(3)
  })

  it('records the neighbours of a push that cannot be recorded, and keeps that one aside', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    const pushes = Array.from({ length: 12 }, (_, index) => {
      const push = eventOf(account, { from: index === 7 ? from : newPerson(), name: 'subscribe' })
      // what JSON can say and no text of PostgreSQL can hold
      return index === 7 ? { ...push, document: `${push.document}\0` } : push
    })
    const results = await Promise.allSettled(pushes.map((push) => recorder.record(push)))
    const failed = results.flatMap((result, index) => (result.status === 'rejected' ? [index] : []))
    expect(failed).toEqual([7])
    expect(results[7]).toMatchObject({ reason: { code: 'push_kept_aside' } })
    expect(String((results[7] as PromiseRejectedResult).reason)).toContain('22021')
    expect(await countEvents(account.id)).toBe(11)
    await expect(recorder.record(pushes[7] ?? aPush(account))).rejects.toBeInstanceOf(
      UnavailableError,
    )
    expect(await readAside(account.id)).toEqual([
      { kind: 'event.subscribe', document: pushes[7]?.document, times: 2 },
    ])
  })

  it('forgets what it keeps aside when the person is erased', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const subject = newPerson()
    const push = eventOf(account, { from: subject, name: 'subscribe' })
    await recorder.record({ ...push, document: `${push.document}\0` }).catch(() => undefined)
    expect(await readAside(account.id)).toHaveLength(1)
    const why = { actor: 'test', reason: 'test', effectiveAt: new Date() }
    await eraseSubject(db(), { accountId: account.id, subject, ...why })
    expect(await readAside(account.id)).toEqual([])
  })

  it('waits for calls under way after an opt-out, and after nothing else', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    await aCallUnderWay(account.id, from)
    await recorder.record(eventOf(account, { from, name: 'CLICK' }))
    await recorder.record(eventOf(account, { from: newPerson(), name: 'unsubscribe' }))
    expect(recorder.settled).toEqual([])
    const optOut = eventOf(account, { from, name: 'unsubscribe' })
    await recorder.record(optOut)
    expect(recorder.settled).toEqual([from])
    await recorder.record(optOut)
    expect(recorder.settled).toEqual([from, from])
  })

  it('waits for calls under way also when the opt-out erases the person', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    await aCallUnderWay(account.id, from)
    await recorder.record(cancellation(account, from, new Date()))
    expect(recorder.settled).toEqual([from])
  })

  it('turns a receipt into the fate of its message', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    const { id, attemptId } = await aCallUnderWay(account.id, from)
    const attempt = { attemptId, messageId: id, accountId: account.id, recipient: from }
    await finishOne(db(), attempt, { outcome: 'sent', status: 'sent', msgid: '9007199254740993' })
    const more = { MsgID: '9007199254740993', Status: 'failed:user block' }
    await recorder.record(eventOf(account, { from, name: 'TEMPLATESENDJOBFINISH', more }))
    expect(await readMessage(db(), id)).toMatchObject({ status: 'not_delivered' })
    expect(await readLedger(db(), account.id, from)).toContain('follow revoked')
  })
})

describe('record without a database', () => {
  it('says so at once when nothing listens', async () => {
    const closed = await portOf(createServer())
    const gone = openDatabase({
      url: `postgres://a:b@127.0.0.1:${closed}/c`,
      log: createLog('silent'),
    })
    try {
      const before = systemClock.monotonicMs()
      const push = eventOf(accountOf(1), { from: newPerson(), name: 'subscribe' })
      await expect(startRecorder(gone).record(push)).rejects.toBeInstanceOf(UnavailableError)
      expect(systemClock.monotonicMs() - before).toBeLessThan(3_500)
    } finally {
      await gone.destroy()
    }
  })

  it('says so inside the platform’s five seconds when the server hangs', async () => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => void sockets.add(socket))
    const port = await portOf(silent, { keepOpen: true })
    const gone = openDatabase({
      url: `postgres://a:b@127.0.0.1:${port}/c`,
      log: createLog('silent'),
    })
    try {
      const before = systemClock.monotonicMs()
      const push = eventOf(accountOf(1), { from: newPerson(), name: 'subscribe' })
      await expect(startRecorder(gone).record(push)).rejects.toBeInstanceOf(UnavailableError)
      expect(systemClock.monotonicMs() - before).toBeLessThan(4_000)
    } finally {
      for (const socket of sockets) socket.destroy()
      silent.close()
      await gone.destroy()
    }
  })
})

describe('erasure on user_authorization_cancellation', () => {
  it('leaves a tombstone, and the openid nowhere', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    await recorder.record(eventOf(account, { from, at: ago(60), name: 'subscribe' }))
    await recorder.record(
      pushOf(account, {
        from,
        at: ago(50),
        fields: { MsgType: 'text', MsgId: '1', Content: 'hello' },
      }),
    )
    const waiting = await insertMessage(db(), {
      accountId: account.id,
      recipient: from,
      channel: 'template_message',
    })
    await aCallUnderWay(account.id, from)
    await recorder.record(cancellation(account, from, ago(10)))
    expect(await placesOf(account.id, from)).toEqual([])
    expect(await readMessage(db(), waiting)).toMatchObject({
      status: 'cancelled',
      reason: 'erased',
    })
    const tombstones: unknown[] = await db()('erasure').where({ account_id: account.id })
    expect(tombstones).toMatchObject([{ actor: 'platform', events: 3, messages: 2 }])
  })

  it('keeps what was said before and comes late without the person', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    await recorder.record(cancellation(account, from, ago(10)))
    const late = eventOf(account, { from, at: ago(20), name: 'subscribe' })
    expect(await recorder.record(late)).toMatchObject({ outcome: 'recorded' })
    expect(await recorder.record(late)).toMatchObject({ outcome: 'repeated' })
    expect(await placesOf(account.id, from)).toEqual([])
    expect(await readLedger(db(), account.id, from)).toEqual([])
  })

  it('covers what stands in the same commit', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    await Promise.all([
      recorder.record(eventOf(account, { from: newPerson(), name: 'CLICK' })),
      recorder.record(eventOf(account, { from, at: ago(20), name: 'subscribe' })),
      recorder.record(cancellation(account, from, ago(10))),
      recorder.record(eventOf(account, { from, at: ago(15), name: 'CLICK' })),
    ])
    expect(await placesOf(account.id, from)).toEqual([])
  })

  it('knows a person who comes back', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    await recorder.record(cancellation(account, from, ago(10)))
    await recorder.record(eventOf(account, { from, at: ago(5), name: 'subscribe' }))
    expect(await readLedger(db(), account.id, from)).toEqual([
      'follow granted',
      'conversation:action granted',
    ])
  })

  it('does not reach into the future when a clock was wrong', async () => {
    const recorder = startRecorder()
    const account = await anAccount()
    const from = newPerson()
    await recorder.record(cancellation(account, from, ago(-86_400)))
    await recorder.record(eventOf(account, { from, at: ago(-2), name: 'subscribe' }))
    expect(await readLedger(db(), account.id, from)).toContain('follow granted')
  })

  it('follows an unfollow where the account says so, and a new follow counts', async () => {
    const recorder = startRecorder()
    const account = accountOf(await insertAccount(db()), { erase_on_unfollow: true })
    const from = newPerson()
    await recorder.record(eventOf(account, { from, at: ago(20), name: 'subscribe' }))
    await recorder.record(eventOf(account, { from, at: ago(10), name: 'unsubscribe' }))
    expect(await placesOf(account.id, from)).toEqual([])
    await recorder.record(eventOf(account, { from, at: ago(5), name: 'subscribe' }))
    expect(await readLedger(db(), account.id, from)).toContain('follow granted')
  })

  it('is left out where the account says so', async () => {
    const recorder = startRecorder()
    const account = accountOf(await insertAccount(db()), { erase_on_cancellation: false })
    const from = newPerson()
    await recorder.record(cancellation(account, from, ago(10)))
    expect(await readLedger(db(), account.id, from)).toEqual(['everything revoked'])
  })
})

function cancellation(account: ReturnType<typeof accountOf>, person: string, at: Date) {
  const more = { OpenID: person, AppID: account.appId, RevokeInfo: '301' }
  return eventOf(account, { from: 'oPlatform', at, name: 'user_authorization_cancellation', more })
}

async function aCallUnderWay(accountId: number, subject: string) {
  await giveConsent(db(), { accountId, subject, scope: 'follow' })
  const id = await insertMessage(db(), {
    accountId,
    recipient: subject,
    channel: 'template_message',
    dueAt: ago(3_600),
  })
  await db().raw(
    `update message set lease_owner = 'p', leased_until = now() + interval '1 minute' where id = ?`,
    [id],
  )
  const [decision] = await beginAttempts(db(), { process: 'p', leaseSeconds: 60, messageIds: [id] })
  if (decision?.kind !== 'begun') throw new Error(`not begun: ${JSON.stringify(decision)}`)
  return { id, attemptId: decision.attemptId }
}

/** Tables with a row of this account that holds the text in any column. */
async function placesOf(accountId: number, text: string): Promise<string[]> {
  const found: string[] = []
  for (const table of [
    'event',
    'consent',
    'consent_ledger',
    'message',
    'attempt',
    'receipt',
    'erasure',
  ]) {
    const { rows } = await db().raw<{ rows: unknown[] }>(
      `select 1 from ${table} as held where held.account_id = ? and to_jsonb(held)::text like ?`,
      [accountId, `%${text}"%`],
    )
    if (rows.length > 0) found.push(table)
  }
  return found
}

async function portOf(
  server: ReturnType<typeof createServer>,
  options: { keepOpen?: boolean } = {},
) {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  if (!options.keepOpen) await new Promise((resolve) => server.close(resolve))
  return port
}
