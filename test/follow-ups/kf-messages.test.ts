import { describe, expect, it } from 'vitest'
import { linesNamed } from '../support/log-lines.ts'
import { until } from '../support/send-road.ts'
import { KF, useTenantRoad } from '../support/tenant-road.ts'

const PATIENT = { repeats: 60, repeatAfterNoConnectionMs: 250 }
const SCOPE = `kf:${KF}`

describe('the messages of customer service', { timeout: 60_000 }, () => {
  const road = useTenantRoad({ push: PATIENT })
  const stateOf = async (person: string) => {
    const row = await road()
      .database.db<{ account_id: number; subject: string; scope: string; state: string }>('consent')
      .where({ account_id: road().ids.kf, subject: person, scope: SCOPE })
      .first('state')
    return row?.state
  }
  const kfEvents = () =>
    road()
      .database.db('event')
      .where({ account_id: road().ids.kf })
      .whereLike('kind', 'kf.%')
      .pluck('document')

  it('are fetched once each, and on with the cursor after a kill -9', async () => {
    const { corp, sandbox } = road()
    const person = corp.newExternalUserid()
    const at = { open_kfid: KF, external_userid: person }

    const said = await road().hangAt('/cgi-bin/kf/sync_msg', () =>
      corp.act('kf_say', { ...at, text: 'hello' }),
    )
    expect(said.push).toMatchObject({ outcome: 'acknowledged' })
    await road().restart()
    await until(
      () => stateOf(person),
      (state) => state === 'granted',
      25_000,
    )
    expect(await kfEvents()).toHaveLength(1)

    sandbox.advance(1)
    await corp.act('kf_say', { ...at, text: 'once more' })
    await road().untilJobsDone()
    expect(await kfEvents()).toHaveLength(2)

    // What the person refuses shows here alone.
    sandbox.advance(1)
    await corp.act('kf_fail', { ...at, msgid: 'm1', fail_type: 10 })
    await until(
      () => stateOf(person),
      (state) => state === 'revoked',
      10_000,
    )
    await road().untilJobsDone()
    expect(await kfEvents()).toHaveLength(3)
    for (const gateway of road().gateways) expect(linesNamed(gateway, 'job.died')).toEqual([])
  })

  it('come in pages, without the token of a push that is over, and need no second push', async () => {
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
})
