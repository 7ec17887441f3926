import { beforeAll, describe, expect, it } from 'vitest'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import type { PlatformActResult } from '../../src/sandbox/platform-act.ts'
import { linesNamed } from '../support/log-lines.ts'
import { until } from '../support/send-road.ts'
import { CORP, KF, MERCHANT, MERCHANT_ORIGINAL_ID, useTenantRoad } from '../support/tenant-road.ts'

/** While the process is dead the platform tries again, soon instead of after seconds. */
const PATIENT = { repeats: 60, repeatAfterNoConnectionMs: 250 }
const AGENT = '1000042'
/** A person of the corp. */
const MEMBER = 'LiXiaoMing'

/**
 * Three lives that meet one kill -9, because the jobs of a dead process come back after seconds: a
 * merchant's code and a corp's code that nobody has exchanged yet, and a customer's words that nobody
 * has fetched yet.
 */
describe('a tenant’s life, with a kill -9 in the middle,', { timeout: 60_000 }, () => {
  const road = useTenantRoad({ push: PATIENT })
  let merchantCame: PlatformActResult
  let corpCame: PlatformActResult
  let customerSpoke: PlatformActResult
  let customer = ''
  /** Who spoke while the codes were being exchanged: a follower, a member, two customers. */
  const early = { follower: '', stays: '', leaves: '' }

  beforeAll(async () => {
    const { component, suite, corp, database, ids, store } = road()
    for (const [owner, id] of [
      [component, ids.component],
      [suite, ids.suite],
    ] as const) {
      const { made } = await owner.act('push_ticket')
      expect((await store.openTickets(id)).map(({ value }) => value)).toEqual([made.ticket])
    }
    customer = corp.newExternalUserid()
    merchantCame = await road().hangAt('/cgi-bin/component/api_query_auth', () =>
      component.act('authorize', { app_id: MERCHANT }),
    )
    corpCame = await road().hangAt('/cgi-bin/service/v2/get_permanent_code', () =>
      suite.act('create_auth', { corp_id: CORP, agent_id: AGENT }),
    )
    await speakEarly()
    customerSpoke = await road().hangAt('/cgi-bin/kf/sync_msg', () =>
      corp.act('kf_say', { open_kfid: KF, external_userid: customer, text: 'hello' }),
    )
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('granted')
    const jobs = await database.db.raw<{ rows: { payload: unknown }[] }>(
      `select payload from graphile_worker._private_jobs`,
    )
    expect(jobs.rows).toHaveLength(3)
    for (const code of [merchantCame.made.auth_code, corpCame.made.auth_code]) {
      expect(code).toMatch(/\S{16}/)
      expect(JSON.stringify(jobs.rows)).not.toContain(code)
    }
    await road().restart()
  }, 60_000)

  /** The platform does not wait for our exchange: what the tenants' people do comes at once. */
  async function speakEarly() {
    const { corp, sandbox, suite, database, ids } = road()
    const { db } = database
    const people = sandbox.account(MERCHANT)
    early.follower = people.newOpenid()
    expect((await people.follow(early.follower))?.outcome).toBe('acknowledged')
    const befriend = async () => {
      const { made, push } = await corp.act('add_external_contact', {
        ...{ userid: MEMBER, agent_id: AGENT },
      })
      expect(push?.outcome).toBe('acknowledged')
      return String(made.external_userid)
    }
    early.stays = await befriend()
    early.leaves = await befriend()
    expect(await pushFromMember('event', '<Event>subscribe</Event>')).toBe('acknowledged')
    sandbox.advance(1)
    const left = contactNotice('del_follow_user', early.leaves)
    for (let time = 0; time < 2; time += 1) {
      expect((await suite.pushDocument(left)).outcome).toBe('acknowledged')
    }
    // Nobody's record yet: it lies sealed, and the parents have nothing of it.
    const parents = [ids.component, ids.suite]
    expect(
      await db('event').whereIn('account_id', parents).whereNot('kind', 'like', '%ticket'),
    ).toMatchObject([{ kind: 'component.authorized' }, { kind: 'suite.create_auth' }])
    const { rows } = await db.raw<{ rows: { text: string }[] }>(
      `select to_jsonb(parked)::text as text from parked_push as parked`,
    )
    expect(rows).toHaveLength(5)
    for (const person of [...Object.values(early), MEMBER]) {
      expect(JSON.stringify(rows)).not.toContain(person)
    }
  }

  function contactNotice(change: string, person: string): string {
    const { suite, sandbox } = road()
    return [
      `<xml><SuiteId>${suite.suiteId}</SuiteId><InfoType>change_external_contact</InfoType>`,
      `<TimeStamp>${Math.floor(sandbox.now().getTime() / 1000)}</TimeStamp>`,
      `<AuthCorpId>${CORP}</AuthCorpId><ChangeType>${change}</ChangeType>`,
      `<UserID>${MEMBER}</UserID><ExternalUserID>${person}</ExternalUserID></xml>`,
    ].join('')
  }

  it('of a third-party platform goes from a ticket to unauthorized and loses nothing', async () => {
    const { component, sandbox, database, ids, store } = road()
    const { db } = database
    expect(merchantCame.push?.outcome).toBe('acknowledged')
    const merchant = await road().untilTenant(ids.component, MERCHANT)
    expect(merchant).toMatchObject({
      name: `platform-${MERCHANT}`,
      kind: 'authorizer',
      original_id: MERCHANT_ORIGINAL_ID,
      serves: 'official_account',
      disabled_at: null,
    })
    // Who followed while the code was exchanged is on record with the account itself.
    expect(await statesOf(merchant.id, early.follower)).toContain('follow granted')
    await road().untilJobsDone()

    // Its people are heard, and may be written to.
    const people = sandbox.account(MERCHANT)
    const openid = people.newOpenid()
    expect((await people.follow(openid))?.outcome).toBe('acknowledged')
    const followed = await db('consent').where({ account_id: merchant.id, subject: openid })
    expect(followed).toContainEqual(expect.objectContaining({ scope: 'follow', state: 'granted' }))
    const send = await senderOf(merchant.name)
    const first = await send(openid, 'template_message', notice('on its way'))
    expect(['sent', 'delivered']).toContain((await endOf(first)).status)

    sandbox.advance(2)
    expect((await component.act('unauthorize', { app_id: MERCHANT })).push?.outcome).toBe(
      'acknowledged',
    )
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('revoked')
    const late = await send(openid, 'template_message', notice('too late'))
    expect(await endOf(late)).toMatchObject({ status: 'blocked', reason: 'tenant_revoked' })
    expect(people.messages(openid)).toHaveLength(1)
    await road().untilJobsDone()
    expect(await store.openSecret(merchant.id, 'refresh_token')).toBeUndefined()
    const tokens = await db('access_token')
      .where({ account_id: merchant.id })
      .whereNotNull('sealed')
    expect(tokens).toEqual([])
    // Without any token, the reason is still the tenant's.
    const later = await send(openid, 'template_message', notice('later still'))
    expect(await endOf(later)).toMatchObject({ status: 'blocked', reason: 'tenant_revoked' })
    // What it was is still known, and so are its people.
    expect((await road().tenant(ids.component, MERCHANT))?.disabled_at).toBeNull()

    sandbox.advance(2)
    await component.act('authorize', { app_id: MERCHANT })
    await road().untilJobsDone()
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('granted')
    expect(await store.openSecret(merchant.id, 'refresh_token')).toMatch(/^refreshtoken@@@/)
    expect(await road().tenant(ids.component, MERCHANT)).toMatchObject({ id: merchant.id })
    const again = await send(openid, 'template_message', notice('welcome back'))
    expect(['sent', 'delivered']).toContain((await endOf(again)).status)
    for (const gateway of road().gateways) expect(linesNamed(gateway, 'job.died')).toEqual([])
  })

  it('of a suite goes from suite_ticket to cancel_auth, and then nothing is left', async () => {
    const { suite, corp: platformCorp, sandbox, database, ids, store } = road()
    const { db } = database
    // The platform's API was slow; the notice was answered inside its second all the same.
    expect(corpCame.push).toMatchObject({ outcome: 'acknowledged' })
    expect(corpCame.push?.tries).toHaveLength(1)
    const [first] = corpCame.push?.tries ?? []
    expect((first?.ended_ms ?? Infinity) - (first?.started_ms ?? 0)).toBeLessThan(1_000)

    const corp = await road().untilTenant(ids.suite, CORP)
    expect(corp).toMatchObject({ name: `suite-${CORP}`, kind: 'wecom_authorizer' })
    await until(
      () => road().tenant(ids.suite, CORP),
      (row) => row?.agent_id === AGENT,
      10_000,
    )
    expect(await road().tenantState(ids.suite, CORP)).toBe('granted')
    await expectEarlyWords(corp.id)
    const permanentCode = await store.openSecret(corp.id, 'permanent_code')
    expect(permanentCode).toMatch(/^\S{64}$/)

    // Its people are heard, and may be written to.
    expect(await pushFromMember('text', '<Content>a secret of the corp</Content>')).toBe(
      'acknowledged',
    )
    expect(await db('event').where({ account_id: corp.id, subject: MEMBER })).toHaveLength(2)
    expect(await pushFromMember('event', '<Event>subscribe</Event>')).toBe('acknowledged')
    const send = await senderOf(corp.name)
    const words = { msgtype: 'text', text: { content: 'words to a member' } }
    const sent = await send(MEMBER, 'wecom_app_message', words)
    expect((await endOf(sent)).status).toBe('sent')
    expect(platformCorp.messages(MEMBER)).toHaveLength(1)
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
    const planned = await send(MEMBER, 'wecom_app_message', words, tomorrow)

    // Switched off, it sends nothing; what its people say is its own all the same.
    await store.disable(corp.name)
    await untilOff(corp.name)
    sandbox.advance(1)
    const refusal = contactNotice('del_follow_user', early.stays)
    expect((await suite.pushDocument(refusal)).outcome).toBe('acknowledged')
    expect(await pushFromMember('text', '<Content>退订</Content>')).toBe('acknowledged')
    await store.enable(corp.name)
    expect(await statesOf(corp.id, early.stays)).toEqual([`external_contact:${MEMBER} revoked`])
    expect(await statesOf(corp.id, MEMBER)).toContain('everything revoked')
    expect(await statesOf(ids.suite, early.stays)).toEqual([])
    const offer = await send(early.stays, 'wecom_group_message', {
      ...{ sender: MEMBER, text: { content: 'an offer' } },
    })
    expect(await endOf(offer)).toMatchObject({ status: 'blocked' })

    // Its customers have new ids: what they said is on record under both.
    const people = { userid: MEMBER, agent_id: AGENT }
    const [customer, gone] = await Promise.all(
      [1, 2].map(async () => {
        const { made } = await platformCorp.act('add_external_contact', people)
        return String(made.external_userid)
      }),
    )
    sandbox.advance(1)
    await platformCorp.act('del_follow_user', { ...people, external_userid: gone })
    await suite.act('agree_external_userid_migration', { corp_id: CORP })
    await until(
      () => db('consent').where({ account_id: corp.id, scope: `external_contact:${MEMBER}` }),
      (rows: { subject: string; state: string; effective_at: Date }[]) => {
        const of = (subject?: string) => rows.find((row) => row.subject === subject)
        const others = rows.filter(({ subject }) => subject !== customer && subject !== gone)
        return [customer, gone].every((person) =>
          others.some(({ state, effective_at: at }) => {
            return state === of(person)?.state && Number(at) === Number(of(person)?.effective_at)
          }),
        )
      },
      10_000,
    )

    // A new permanent code replaces the old one.
    sandbox.advance(2)
    await suite.act('reset_permanent_code', { corp_id: CORP })
    await until(
      () => store.openSecret(corp.id, 'permanent_code'),
      (code) => code !== permanentCode,
      10_000,
    )
    await road().untilJobsDone()

    // What it changed is read again; that notice is no grant, and the answer is on record already.
    sandbox.advance(2)
    await suite.act('change_auth', { corp_id: CORP })
    await road().untilJobsDone()
    const lastWord = await db('consent_ledger')
      .where({ account_id: ids.suite, subject: CORP })
      .orderBy('id', 'desc')
      .first<{ change: string; reason: string }>('change', 'reason')
    expect(lastWord).toEqual({ change: 'granted', reason: 'exchanged' })

    sandbox.advance(2)
    const cancelled = await suite.act('cancel_auth', { corp_id: CORP })
    expect(cancelled.push).toMatchObject({ outcome: 'acknowledged' })
    expect(await road().tenantState(ids.suite, CORP)).toBe('revoked')
    await road().untilJobsDone()

    const left = await road().tenant(ids.suite, CORP)
    expect(left?.disabled_at).toBeInstanceOf(Date)
    expect(await db('account_secret').where({ account_id: corp.id })).toEqual([])
    expect(await db('consent').where({ account_id: corp.id })).toEqual([])
    expect(await db('consent_ledger').where({ account_id: corp.id })).toEqual([])
    const events: { document: string; subject: string | null }[] = await db('event')
      .where({ account_id: corp.id })
      .select('document', 'subject')
    expect(events.length).toBeGreaterThan(0)
    for (const event of events) expect(event).toEqual({ document: '', subject: null })
    expect(await db('message').where({ id: planned }).first()).toMatchObject({
      ...{ status: 'cancelled', reason: 'erased', recipient: null, content: null },
    })
    // What comes late is acknowledged, and nothing of it stays anywhere.
    const late = { customer: 'wmLateCustomer', other: 'wmOtherLateCustomer' }
    expect(
      (await suite.pushDocument(contactNotice('add_external_contact', late.customer))).outcome,
    ).toBe('acknowledged')
    expect((await suite.pushDocument(contactNotice('del_follow_user', late.other))).outcome).toBe(
      'acknowledged',
    )
    expect(await pushFromMember('text', '<Content>late words</Content>')).toBe('acknowledged')
    for (const table of ['event', 'consent', 'consent_ledger']) {
      const { rows } = await db.raw<{ rows: unknown[] }>(
        `select from ?? as every where every::text ~ ?`,
        [table, `${Object.values(late).join('|')}|late words`],
      )
      expect([table, rows.length]).toEqual([table, 0])
    }
    // what these hold of a person is sealed or a digest: there must be none at all
    expect(await db('parked_push')).toEqual([])
    expect(await db('push_aside')).toEqual([])
    const tombstones = await db('erasure').where({ account_id: corp.id }).pluck('reason')
    expect(tombstones).toContain('suite.cancel_auth')
    expect(platformCorp.messages(MEMBER)).toHaveLength(1)

    // It comes back as if it had never been here.
    sandbox.advance(2)
    const exchange = { path: '/cgi-bin/service/v2/get_permanent_code', delay_ms: 500, times: 1 }
    sandbox.addFault(exchange)
    await suite.act('create_auth', { corp_id: CORP, agent_id: AGENT })
    const back = contactNotice('add_external_contact', 'wmNewCustomer')
    expect((await suite.pushDocument(back)).outcome).toBe('acknowledged')
    expect(await db('parked_push').where({ tenant: CORP })).toHaveLength(1)
    await until(
      () => road().tenant(ids.suite, CORP),
      (row) => row?.disabled_at === null,
      10_000,
    )
    expect(await statesOf(corp.id, 'wmNewCustomer')).toEqual([`external_contact:${MEMBER} granted`])
    expect(await road().tenantState(ids.suite, CORP)).toBe('granted')
    for (const gateway of road().gateways) expect(linesNamed(gateway, 'job.died')).toEqual([])
  })

  it('of a corp counts two notices of one second as two, and the same one twice as one', async () => {
    const { corp, database, ids, sandbox } = road()
    const at = Math.floor(sandbox.now().getTime() / 1000)
    const left = (agentId: string) =>
      [
        `<xml><ToUserName>${CORP}</ToUserName><FromUserName>WangFang</FromUserName>`,
        `<CreateTime>${at}</CreateTime><MsgType>event</MsgType><Event>unsubscribe</Event>`,
        `<AgentID>${agentId}</AgentID></xml>`,
      ].join('')
    for (const agentId of ['1000007', '1000008', '1000007']) {
      expect((await corp.pushDocument(left(agentId))).outcome).toBe('acknowledged')
    }
    const kept = await database
      .db('event')
      .where({ account_id: ids.kf, subject: 'WangFang' })
      .orderBy('id')
      .pluck('document')
    expect(kept).toEqual([left('1000007'), left('1000008')])
  })

  it('of customer service fetches each message once, and on with the cursor', async () => {
    const { corp, sandbox } = road()
    const at = { open_kfid: KF, external_userid: customer }
    expect(customerSpoke.push).toMatchObject({ outcome: 'acknowledged' })
    await untilKf('granted')
    expect(await kfEvents()).toHaveLength(1)

    sandbox.advance(1)
    await corp.act('kf_say', { ...at, text: 'once more' })
    await road().untilJobsDone()
    expect(await kfEvents()).toHaveLength(2)

    // What the person refuses shows here alone.
    sandbox.advance(1)
    await corp.act('kf_fail', { ...at, msgid: 'm1', fail_type: 10 })
    await untilKf('revoked')
    await road().untilJobsDone()
    expect(await kfEvents()).toHaveLength(3)
    for (const gateway of road().gateways) expect(linesNamed(gateway, 'job.died')).toEqual([])
  })

  it('of customer service comes in pages, without the token of a push that is over', async () => {
    const { corp, sandbox, database, ids } = road()
    const before = (await kfEvents()).length
    const people = Array.from({ length: 450 }, () => corp.newExternalUserid())
    for (const person of people) {
      const said = { open_kfid: KF, external_userid: person, text: 'hello' }
      await corp.act('kf_say', said, { silent: true })
    }
    sandbox.advance(1)
    sandbox.addFault({ path: '/cgi-bin/kf/sync_msg', errcode: 95007, times: 1 })
    await corp.act('kf_say', {
      ...{ open_kfid: KF, external_userid: people[0] ?? '', text: 'and now' },
    })
    await until(
      async () => (await kfEvents()).length,
      (count) => count === before + 451,
      20_000,
    )
    await road().untilJobsDone()
    // An account that is new to us is read without any push of its own.
    await database.db('kf_cursor').delete()
    const document = [
      `<xml><ToUserName>${corp.corpId}</ToUserName><FromUserName>sys</FromUserName>`,
      `<CreateTime>${Math.floor(road().sandbox.now().getTime() / 1000)}</CreateTime>`,
      '<MsgType>event</MsgType><Event>kf_account_auth_change</Event></xml>',
    ].join('')
    expect((await corp.pushDocument(document)).outcome).toBe('acknowledged')
    await until(
      () => database.db('kf_cursor').where({ account_id: ids.kf }),
      (rows: unknown[]) => rows.length === 1,
      10_000,
    )
    await road().untilJobsDone()
    expect(await kfEvents()).toHaveLength(before + 451)
    const cursors = await database.db('kf_cursor').where({ account_id: ids.kf })
    expect(cursors).toHaveLength(1)
  })

  /** What came while the code was exchanged, in the order in which it came, and once. */
  async function expectEarlyWords(corpId: number): Promise<void> {
    const { database, ids } = road()
    const { db } = database
    const told = await db('event')
      .where({ account_id: corpId })
      .orderBy('id')
      .select('kind', 'subject')
    const contact = 'suite.change_external_contact'
    expect(told).toEqual([
      { kind: `${contact}.add_external_contact`, subject: early.stays },
      { kind: `${contact}.add_external_contact`, subject: early.leaves },
      { kind: 'wecom.subscribe', subject: MEMBER },
      { kind: `${contact}.del_follow_user`, subject: early.leaves },
    ])
    expect(await statesOf(corpId, early.stays)).toEqual([`external_contact:${MEMBER} granted`])
    expect(await statesOf(corpId, early.leaves)).toEqual([`external_contact:${MEMBER} revoked`])
    expect(await statesOf(corpId, MEMBER)).toEqual(['member granted'])
    for (const person of Object.values(early)) {
      expect(await statesOf(ids.suite, person)).toEqual([])
    }
    expect(await db('parked_push').where({ tenant: CORP })).toEqual([])
  }

  async function statesOf(accountId: number, subject: string): Promise<string[]> {
    const rows: { scope: string; state: string }[] = await road()
      .database.db('consent')
      .where({ account_id: accountId, subject })
      .orderBy('scope')
      .select('scope', 'state')
    return rows.map(({ scope, state }) => `${scope} ${state}`)
  }

  /** Until the process has heard that the account is switched off. */
  async function untilOff(account: string): Promise<void> {
    const { key } = await createApplicationStore({
      ...{ db: road().database.db, clock: systemClock },
    }).add({ name: `off-${account}`, accountNames: [account] })
    await until(
      async () => {
        const url = `${road().gateway.url}/v1/accounts/${account}/access-token`
        const answer = await fetch(url, { headers: { authorization: `Bearer ${key}` } })
        return answer.text()
      },
      (text) => text.includes('account_disabled'),
      10_000,
    )
  }

  /** An application of its own for an account, in whose name messages are asked for. */
  async function senderOf(account: string) {
    const applications = createApplicationStore({ db: road().database.db, clock: systemClock })
    const { key } = await applications.add({ name: `for-${account}`, accountNames: [account] })
    return async (to: string, channel: string, content: object, send_at?: string) => {
      const post = () =>
        fetch(`${road().gateway.url}/v1/messages`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: JSON.stringify({ account, to, channel, content, send_at }),
        })
      // A key that has just been made is known everywhere within a second or two.
      const answer = await until(post, ({ status }) => status !== 401)
      expect(answer.status).toBe(202)
      return ((await answer.json()) as { id: string }).id
    }
  }

  function endOf(id: string) {
    return until(
      () =>
        road()
          .database.db<{ id: string; status: string; reason: string | null }>('message')
          .where({ id })
          .first('status', 'reason')
          .then((row) => row ?? { status: 'missing', reason: null }),
      ({ status }) => !['scheduled', 'queued', 'sending'].includes(status),
      20_000,
    )
  }

  async function pushFromMember(type: string, fields: string): Promise<string | undefined> {
    const { corp, sandbox } = road()
    const document = [
      `<xml><ToUserName>${CORP}</ToUserName><FromUserName>${MEMBER}</FromUserName>`,
      `<CreateTime>${Math.floor(sandbox.now().getTime() / 1000)}</CreateTime>`,
      `<MsgType>${type}</MsgType>${fields}<AgentID>${AGENT}</AgentID></xml>`,
    ].join('')
    return (await corp.pushDocument(document, {}, AGENT)).outcome
  }

  async function untilKf(wanted: string): Promise<void> {
    await until(
      () =>
        road()
          .database.db<{ account_id: number; subject: string; scope: string; state: string }>(
            'consent',
          )
          .where({ account_id: road().ids.kf, subject: customer, scope: `kf:${KF}` })
          .first('state'),
      (row) => row?.state === wanted,
      25_000,
    )
  }

  function kfEvents() {
    return road()
      .database.db('event')
      .where({ account_id: road().ids.kf })
      .whereLike('kind', 'kf.%')
      .pluck('document')
  }
})

function notice(words: string) {
  return { template_id: 'T1', data: { thing1: { value: words } } }
}
