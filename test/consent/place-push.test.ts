import { describe, expect, it } from 'vitest'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import type { Account, EventSource } from '../../src/accounts/account.ts'
import { eraseSubject } from '../../src/consent/consent-store.ts'
import { dropParkedPushes } from '../../src/consent/drop-parked.ts'
import { countParked } from '../../src/consent/parked-store.ts'
import { isOfItsPeople } from '../../src/consent/place-push.ts'
import { createRecorder } from '../../src/consent/record-push.ts'
import { releaseParked } from '../../src/consent/release-parked.ts'
import { withTransaction } from '../../src/database/unit-of-work.ts'
import type { Fields } from '../../src/events/document.ts'
import { readEvent } from '../../src/events/read-event.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { forgetTenant } from '../../src/follow-ups/tenant-store.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import { acceptParked } from '../../src/receiver/receive-push.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent } from '../support/messages.ts'
import { accountOf } from '../support/proven-pushes.ts'

const database = useTestDatabase()
const db = () => database().db
const key = parseMasterKey('5e'.repeat(32))
if (!key) throw new Error('a master key has 32 bytes')
const box = createSecretBox([key])
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000)

let families = 0

/** A suite, and the name of a corp that nobody has admitted. */
async function aFamily() {
  families += 1
  const [row] = await db()('account')
    .insert({
      ...{ name: `suite-${families}`, kind: 'wecom_suite', app_id: `ww5u1te${families}` },
      ...{ provider_corp_id: 'wwprovider', mode: 'safe' },
    })
    .returning<{ id: number }[]>('id')
  const suite: Account = {
    ...accountOf(row?.id ?? 0),
    ...{ name: `suite-${families}`, kind: 'wecom_suite', appId: `ww5u1te${families}` },
  }
  return { suite, corp: `wwc0rp${families}` }
}

async function admit(suite: Account, corp: string): Promise<number> {
  const [row] = await db()('account')
    .insert({
      ...{ name: corp, kind: 'wecom_authorizer', app_id: corp, mode: 'safe' },
      parent_id: suite.id,
    })
    .returning<{ id: number }[]>('id')
  return row?.id ?? 0
}

function aRecorder() {
  const store = createAccountStore({ db: db(), box })
  return createRecorder({
    ...{ db: db(), clock: systemClock, metrics: createMetrics() },
    settle: async () => undefined,
    findTenant: async () => undefined,
    findStoredTenant: (parentId, appId) => store.findStoredTenant(parentId, appId),
    seal: (text, place) => ({ sealed: box.seal(text, place), keyId: box.keyId }),
  })
}

/** What happened between an employee and a customer of the corp, as it is told to the suite. */
function noticeOf(
  { suite, corp }: { suite: Account; corp: string },
  notice: { customer: string; change?: string; at?: Date },
) {
  const seconds = String(Math.floor((notice.at ?? new Date()).getTime() / 1000))
  const fields = {
    ...{ SuiteId: suite.appId, AuthCorpId: corp, InfoType: 'change_external_contact' },
    ...{ TimeStamp: seconds, ChangeType: notice.change ?? 'add_external_contact' },
    ...{ UserID: 'LiXiaoMing', ExternalUserID: notice.customer },
  }
  const inner = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>`)
  const document = `<xml>${inner.join('')}</xml>`
  const source: EventSource = 'wecom_suite'
  return { account: suite, source, fields, document, timestamp: seconds, receivedAt: new Date() }
}

/** @param before the commit, after all has been recorded. */
function release(suite: Account, corp: string, before = () => undefined as void) {
  const recorder = aRecorder()
  return withTransaction(db(), async (trx) => {
    const store = createAccountStore({ db: trx, box })
    const parts = {
      ...{ box, acceptParked },
      recordWithin: (...within: Parameters<typeof recorder.recordWithin>) =>
        recorder.recordWithin(...within),
      async findFamily() {
        const tenant = await store.findStoredTenant(suite.id, corp)
        return tenant && { parent: suite, tenant }
      },
    }
    const released = await releaseParked(parts, trx, { parentId: suite.id, tenant: corp })
    before()
    return released
  })
}

const parkedOf = (corp: string) => db()('parked_push').where({ tenant: corp })
async function eventsOf(accountId: number) {
  const rows: { subject: string | null; document: string }[] = await db()('event')
    .where({ account_id: accountId })
    .orderBy('id')
    .select('subject', 'document')
  return rows
}

describe('isOfItsPeople', () => {
  it.each<[boolean, Fields]>([
    [true, { InfoType: 'change_external_contact', ChangeType: 'del_follow_user' }],
    [true, { InfoType: 'change_external_chat', ChangeType: 'create' }],
    [true, { InfoType: 'change_contact', ChangeType: 'update_user' }],
    [true, { InfoType: 'chat_archive_audit_approved_single' }],
    [true, { InfoType: 'never_heard_of' }],
    [false, { InfoType: 'license_pay_success' }],
    [false, { InfoType: 'open_order' }],
    [false, { InfoType: 'share_agent_change' }],
    [false, { InfoType: 'register_corp' }],
  ])('is %s for %o', (expected, fields) => {
    const event = readEvent({
      ...{ source: 'wecom_suite', timestamp: '1767312000', receivedAt: new Date() },
      fields: { AuthCorpId: 'wwcorp', TimeStamp: '1767312000', ...fields },
    })
    expect(isOfItsPeople(event)).toBe(expected)
  })
})

describe('a notice about the people of a corp', () => {
  it('waits for the account, and is recorded there in the order of arrival', async () => {
    const family = await aFamily()
    const { suite, corp } = family
    const recorder = aRecorder()
    const customers = ['wmLater', 'wmEarlier', 'wmLeaves']
    for (const [place, customer] of customers.entries()) {
      const push = noticeOf(family, { customer, at: ago(60 - place) })
      expect(await recorder.record(push)).toEqual({ outcome: 'parked' })
    }
    const last = noticeOf(family, { customer: 'wmLeaves', change: 'del_follow_user' })
    for (let time = 0; time < 2; time += 1) {
      expect(await recorder.record(last)).toEqual({ outcome: 'parked' })
    }
    expect(await parkedOf(corp)).toHaveLength(4)
    expect(await eventsOf(suite.id)).toEqual([])

    const id = await admit(suite, corp)
    // the platform repeats one before the others are recorded
    expect(await recorder.record(last)).toMatchObject({ outcome: 'recorded' })
    expect(await release(suite, corp)).toEqual({ recorded: 4, aside: 0, dropped: 0 })
    expect((await eventsOf(id)).map(({ subject }) => subject)).toEqual(['wmLeaves', ...customers])
    expect(await parkedOf(corp)).toEqual([])
    const left = await db()('consent').where({ subject: 'wmLeaves' })
    expect(left).toMatchObject([{ account_id: id, state: 'revoked' }])
  })

  it('is kept aside where the database refuses it, and holds nothing else up', async () => {
    const family = await aFamily()
    const { suite, corp } = family
    const recorder = aRecorder()
    const notices = ['wmOne', 'wmTwo', 'wmThree'].map((customer) => noticeOf(family, { customer }))
    const [one, two, three] = notices
    for (const push of notices) await recorder.record(push)
    const id = await admit(suite, corp)
    // stands for whatever the database may find wrong with one of them
    await db().raw(`alter table event add constraint test_check check (subject <> 'wmTwo')`)
    expect(await release(suite, corp)).toEqual({ recorded: 2, aside: 1, dropped: 0 })
    await db().raw(`alter table event drop constraint test_check`)
    const documents = [one, three].map((push) => push?.document)
    expect((await eventsOf(id)).map(({ document }) => document)).toEqual(documents)
    const aside: { document: Buffer }[] = await db()('push_aside')
      .where({ account_id: id })
      .select('document')
    expect(aside.map(({ document }) => document.toString())).toEqual([two?.document])
    expect(await parkedOf(corp)).toEqual([])
  })

  it('goes on waiting where the process dies before the commit', async () => {
    const family = await aFamily()
    const { suite, corp } = family
    await aRecorder().record(noticeOf(family, { customer: 'wmWaits' }))
    expect(await release(suite, corp)).toEqual({ recorded: 0, aside: 0, dropped: 0 })
    const id = await admit(suite, corp)
    const died = release(suite, corp, () => {
      throw new Error('killed')
    })
    await expect(died).rejects.toThrow('killed')
    expect(await parkedOf(corp)).toHaveLength(1)
    expect(await eventsOf(id)).toEqual([])
    expect(await release(suite, corp)).toEqual({ recorded: 1, aside: 0, dropped: 0 })
    expect(await eventsOf(id)).toHaveLength(1)
  })

  it('of a corp that has left leaves nothing behind; of one that comes back it waits', async () => {
    const family = await aFamily()
    const { suite, corp } = family
    const recorder = aRecorder()
    const id = await admit(suite, corp)
    const withdrawn = { accountId: suite.id, subject: corp, scope: 'tenant', at: ago(30) }
    await giveConsent(db(), { ...withdrawn, change: 'revoked' })
    expect(await recorder.record(noticeOf(family, { customer: 'wmLate' }))).toMatchObject({
      outcome: 'recorded',
    })
    expect(await eventsOf(id)).toEqual([{ subject: null, document: '' }])
    expect(await db()('consent').where({ account_id: id })).toEqual([])

    const fields = { InfoType: 'create_auth', AuthCode: 'a code', TimeStamp: unix(ago(5)) }
    const document = JSON.stringify(fields)
    await recorder.record({ ...noticeOf(family, { customer: '' }), fields, document })
    const back = noticeOf(family, { customer: 'wmBack' })
    expect(await recorder.record(back)).toEqual({ outcome: 'parked' })
    // another corp's code: this one stays away
    await parkedOf(corp).update({ received_at: ago(3_660) })
    await dropParkedPushes({ db: db(), log: createLog('silent') })
    expect(await parkedOf(corp)).toEqual([])
    expect(await recorder.record(back)).toEqual({ outcome: 'parked' })
    const before = noticeOf(family, { customer: 'wmBefore', at: ago(60) })
    expect(await recorder.record(before)).toMatchObject({ outcome: 'recorded' })
    // who is erased meanwhile is erased here, too
    const who = { accountId: id, subject: 'wmBack', actor: 'test', reason: 'asked' }
    await eraseSubject(db(), { ...who, effectiveAt: new Date() })
    expect(await parkedOf(corp)).toEqual([])
    expect((await eventsOf(id)).map(({ subject }) => subject)).toEqual([null, null])
  })

  it('is forgotten when the corp withdraws before it has an account', async () => {
    const family = await aFamily()
    const { suite, corp } = family
    const recorder = aRecorder()
    await recorder.record(noticeOf(family, { customer: 'wmEarly' }))
    await parkedOf(corp).update({ received_at: ago(60) })
    await recorder.record(noticeOf(family, { customer: 'wmAgain' }))
    // it has authorised the suite again since
    const key = { parentId: suite.id, appId: corp }
    const tenant = { accountId: suite.id, subject: corp, scope: 'tenant' }
    await giveConsent(db(), { ...tenant, at: ago(20) })
    expect(await forgetTenant(db(), key, ago(30))).toBe(false)
    expect(await parkedOf(corp)).toHaveLength(1)
    await giveConsent(db(), { ...tenant, change: 'revoked', at: ago(10) })
    expect(await forgetTenant(db(), key, ago(10))).toBe(false)
    expect(await parkedOf(corp)).toEqual([])
    // a notice that comes now is acknowledged, on the suite, without its words
    const late = noticeOf(family, { customer: 'wmLate' })
    expect(await recorder.record(late)).toMatchObject({ outcome: 'recorded' })
    expect(await eventsOf(suite.id)).toEqual([{ subject: null, document: '' }])
  })

  it('that names no corp changes no consent of the suite', async () => {
    const family = await aFamily()
    const push = noticeOf(family, { customer: 'wmNobodys' })
    const fields: Fields = { ...push.fields, AuthCorpId: '' }
    expect(await aRecorder().record({ ...push, fields })).toMatchObject({ outcome: 'recorded' })
    expect(await db()('consent').where({ account_id: family.suite.id })).toEqual([])
  })

  it('is dropped after three days, and that it was stays known', async () => {
    const family = await aFamily()
    const { suite, corp } = family
    const lines: string[] = []
    const log = createLog('debug', { write: (line) => void lines.push(line) })
    await aRecorder().record(noticeOf(family, { customer: 'wmForgotten' }))
    await dropParkedPushes({ db: db(), log })
    expect(lines).toEqual([])
    await parkedOf(corp).update({ received_at: ago(3 * 86_400 + 60) })
    await dropParkedPushes({ db: db(), log })
    expect(lines.join()).toContain('push.parked_dropped')
    expect(await parkedOf(corp)).toMatchObject([{ sealed: null, dropped_reason: 'too_old' }])
    expect(await countParked(db())).toContainEqual({
      ...{ account: suite.name, waiting: 0, oldestAt: null, dropped: 1 },
    })
    await parkedOf(corp).update({ received_at: ago(31 * 86_400) })
    await dropParkedPushes({ db: db(), log })
    expect(await parkedOf(corp)).toEqual([])
  })
})

const unix = (at: Date) => String(Math.floor(at.getTime() / 1000))
