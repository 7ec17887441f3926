import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { countEndpointSeals, resealEndpoints } from '../../src/delivery/endpoint-seal-store.ts'
import { createEndpoints } from '../../src/delivery/manage-endpoints.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'
import { addAccount } from '../api/served-api.ts'
import { useTestDatabase } from '../support/database.ts'
import { runWcg } from '../support/run-wcg.ts'

const URL = 'https://shop.example.com/events'

describe('wcg endpoint', () => {
  const database = useTestDatabase()
  const wcg = (...typed: string[]) => runWcg(database().url, typed)

  it('adds an endpoint for an application, lists, rotates and removes it', async () => {
    const { db } = database()
    await addAccount(db, 'acme')
    await createApplicationStore({ db, clock: systemClock }).add({
      ...{ name: 'shop', accountNames: ['acme'] },
    })
    expect((await wcg('endpoint', 'list', '--lang', 'zh')).out).toContain('还没有接收地址')

    const typed = ['--account', 'acme', '--url', URL, '--event', 'message.text']
    const added = await wcg('endpoint', 'add', 'shop', ...typed, '--json')
    const { id, secret } = JSON.parse(added.out) as { id: string; secret: string }
    expect(secret).toMatch(/^whsec_/)
    const listed = await wcg('endpoint', 'list')
    expect(listed.out).toContain(URL)
    expect(listed.out).not.toContain(secret)
    expect((await wcg('endpoint', 'pause', id)).out).toContain(`wcg endpoint resume ${id}`)
    expect((await wcg('endpoint', 'list', '--lang', 'zh')).out).toContain('已暂停（by_request）')
    expect((await wcg('doctor')).out).toContain(`endpoint ${id} of shop is paused`)
    expect((await wcg('endpoint', 'resume', id)).out).toContain('resumed')
    await db('endpoint').where({ id }).update({ failing_since: new Date() })
    expect((await wcg('endpoint', 'list')).out).toContain('failing since')
    expect((await wcg('endpoint', 'rotate', id)).out).toMatch(/whsec_[\w+/]{43}=/)
    expect((await wcg('endpoint', 'remove', id)).out).toContain('removed')
    const again = await wcg('endpoint', 'remove', id, '--lang', 'zh')
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('没有此接收地址')])
  })

  it('names what is wrong', async () => {
    const noUrl = await wcg('endpoint', 'add', 'shop', '--account', 'acme')
    expect([noUrl.code, noUrl.err]).toEqual([2, expect.stringContaining('--url: is required')])
    const noAccount = await wcg('endpoint', 'add', 'shop', '--url', URL, '--lang', 'zh')
    expect(noAccount.err).toContain('--account: 必须填写')
    const nobody = await wcg('endpoint', 'add', 'nobody', '--purpose', 'callbacks')
    expect([nobody.code, nobody.err]).toEqual([1, expect.stringContaining('wcg app list')])
  })

  it('has its secrets sealed again with a new master key', async () => {
    const { db } = database()
    const [first, second] = [parseMasterKey('11'.repeat(32)), parseMasterKey('22'.repeat(32))]
    if (!first || !second) throw new Error('the master keys of this test are none')
    const known = ['--kind', 'wecom_kf', '--corp-id', 'wwcorp', '--secret', 'x', '--token', 'T']
    await wcg('account', 'add', 'sealed', ...known, '--aes-key', 'k'.repeat(43))
    const { id } = await createApplicationStore({ db, clock: systemClock }).find('shop')
    const old = createSecretBox([first])
    const parts = { db, clock: systemClock, randomBytes, privateAddresses: 'refuse' } as const
    const caller = { id, name: 'shop', accounts: [] }
    const { endpoint } = await createEndpoints({ ...parts, box: old }).add(caller, {
      purpose: 'callbacks',
    })
    await createEndpoints({ ...parts, box: old }).rotate(caller, endpoint.id)

    const both = createSecretBox([second, first])
    expect(await countEndpointSeals(db, both)).toEqual({ total: 1, underOldKeys: 1 })
    expect(await resealEndpoints(db, both)).toBe(1)
    const row = await db('endpoint').where({ id: endpoint.id }).first<Record<string, string>>()
    const fresh = createSecretBox([second])
    for (const column of ['sealed_secret', 'previous_secret']) {
      expect(fresh.open(row[column] ?? '', `endpoint/${endpoint.id}`)).toMatch(/^whsec_/)
    }
    expect(await resealEndpoints(db, both)).toBe(0)

    const { id: lost } = endpoint
    const found = await wcg('doctor')
    expect([found.code, found.out]).toEqual([1, expect.stringContaining(`endpoint/${lost}`)])
    expect(found.out).toContain(`master key ${second.id}`)
    expect((await wcg('endpoint', 'rotate', lost)).code).toBe(0)
    expect(await db('endpoint').where({ id: lost }).first()).toMatchObject({
      ...{ previous_secret: null, previous_until: null },
    })
    expect((await wcg('doctor')).code).toBe(0)
  })
})
