import { describe, expect, it } from 'vitest'
import { linesNamed } from '../support/log-lines.ts'
import { until } from '../support/send-road.ts'
import { CORP, useTenantRoad } from '../support/tenant-road.ts'

const PATIENT = { repeats: 60, repeatAfterNoConnectionMs: 250 }
const AGENT = '1000042'
/** A person of the corp, and what was said to nobody else. */
const MEMBER = 'LiXiaoMing'

describe('the life of a suite', { timeout: 60_000 }, () => {
  const road = useTenantRoad({ push: PATIENT })

  it('goes from suite_ticket to cancel_auth, with a kill -9 in the middle, and then nothing is left', async () => {
    const { suite, sandbox, database, ids, store } = road()
    const { db } = database

    const { made } = await suite.act('push_ticket')
    expect((await store.openTickets(ids.suite)).map(({ value }) => value)).toEqual([made.ticket])

    // The platform's API is slow; the notice is answered inside its second all the same.
    const granted = await road().hangAt('/cgi-bin/service/v2/get_permanent_code', () =>
      suite.act('create_auth', { corp_id: CORP, agent_id: AGENT }),
    )
    expect(granted.push).toMatchObject({ outcome: 'acknowledged' })
    expect(granted.push?.tries).toHaveLength(1)
    const [first] = granted.push?.tries ?? []
    expect((first?.ended_ms ?? Infinity) - (first?.started_ms ?? 0)).toBeLessThan(1_000)
    const jobs = await db.raw<{ rows: { payload: unknown }[] }>(
      `select payload from graphile_worker._private_jobs`,
    )
    expect(jobs.rows).toHaveLength(1)
    expect(JSON.stringify(jobs.rows)).not.toContain(granted.made.auth_code)
    await road().restart()

    const corp = await road().untilTenant(ids.suite, CORP)
    expect(corp).toMatchObject({ name: `suite-${CORP}`, kind: 'wecom_authorizer' })
    await until(
      () => road().tenant(ids.suite, CORP),
      (row) => row?.agent_id === AGENT,
      10_000,
    )
    expect(await road().tenantState(ids.suite, CORP)).toBe('granted')
    const permanentCode = await store.openSecret(corp.id, 'permanent_code')
    expect(permanentCode).toMatch(/^\S{64}$/)

    // Its people are heard.
    const heard = await pushFromMember(sandbox.now())
    expect(heard).toBe('acknowledged')
    expect(await db('event').where({ account_id: corp.id, subject: MEMBER })).toHaveLength(1)
    await db('message').insert({
      id: '0190aaaa-0000-7000-8000-000000000001',
      ...{ account_id: corp.id, recipient: MEMBER, channel: 'app_message', status: 'queued' },
      content: JSON.stringify({ text: 'words to a member' }),
      send_at: '2999-01-01',
      expires_at: '2999-01-02',
      due_at: '2999-01-01',
    })

    // Its customers have new ids: what they said is on record under both.
    const people = { userid: MEMBER, agent_id: AGENT }
    const [customer, gone] = await Promise.all(
      [1, 2].map(async () => {
        const { made } = await road().corp.act('add_external_contact', people)
        return String(made.external_userid)
      }),
    )
    sandbox.advance(1)
    await road().corp.act('del_follow_user', { ...people, external_userid: gone })
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
    expect(await db('message').where({ account_id: corp.id }).first()).toMatchObject({
      ...{ status: 'cancelled', reason: 'erased', recipient: null, content: null },
    })
    const tombstones = await db('erasure').where({ account_id: corp.id }).pluck('reason')
    expect(tombstones).toContain('suite.cancel_auth')

    // It comes back as if it had never been here.
    sandbox.advance(2)
    await suite.act('create_auth', { corp_id: CORP, agent_id: AGENT })
    await until(
      () => road().tenant(ids.suite, CORP),
      (row) => row?.disabled_at === null,
      10_000,
    )
    expect(await road().tenantState(ids.suite, CORP)).toBe('granted')
    for (const gateway of road().gateways) expect(linesNamed(gateway, 'job.died')).toEqual([])
  })

  async function pushFromMember(now: Date): Promise<string | undefined> {
    const { corp } = road()
    const document = [
      `<xml><ToUserName>${CORP}</ToUserName><FromUserName>${MEMBER}</FromUserName>`,
      `<CreateTime>${Math.floor(now.getTime() / 1000)}</CreateTime><MsgType>text</MsgType>`,
      `<Content>a secret of the corp</Content><MsgId>7</MsgId><AgentID>${AGENT}</AgentID></xml>`,
    ].join('')
    return (await corp.pushDocument(document, {}, AGENT)).outcome
  }
})
