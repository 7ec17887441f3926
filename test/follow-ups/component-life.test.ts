import { describe, expect, it } from 'vitest'
import { linesNamed } from '../support/log-lines.ts'
import { MERCHANT, MERCHANT_ORIGINAL_ID, useTenantRoad } from '../support/tenant-road.ts'

/** While the process is dead the platform tries again, soon instead of after seconds. */
const PATIENT = { repeats: 60, repeatAfterNoConnectionMs: 250 }

describe('the life of a third-party platform', { timeout: 60_000 }, () => {
  const road = useTenantRoad({ push: PATIENT })

  it('goes from a ticket to unauthorized, with a kill -9 in the middle, and loses nothing', async () => {
    const { component, sandbox, database, ids, store } = road()
    const { db } = database

    const { made } = await component.act('push_ticket')
    expect((await store.openTickets(ids.component)).map(({ value }) => value)).toEqual([
      made.ticket,
    ])

    // The code has come, nobody has exchanged it yet.
    const granted = await road().hangAt('/cgi-bin/component/api_query_auth', () =>
      component.act('authorize', { app_id: MERCHANT }),
    )
    expect(granted.push?.outcome).toBe('acknowledged')
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('granted')
    await road().restart()

    const merchant = await road().untilTenant(ids.component, MERCHANT)
    expect(merchant).toMatchObject({
      name: `platform-${MERCHANT}`,
      kind: 'authorizer',
      original_id: MERCHANT_ORIGINAL_ID,
      serves: 'official_account',
      disabled_at: null,
    })
    await road().untilJobsDone()

    // Its people are heard.
    const people = sandbox.account(MERCHANT)
    const openid = people.newOpenid()
    expect((await people.follow(openid))?.outcome).toBe('acknowledged')
    const followed = await db('consent').where({ account_id: merchant.id, subject: openid })
    expect(followed).toContainEqual(expect.objectContaining({ scope: 'follow', state: 'granted' }))

    sandbox.advance(2)
    expect((await component.act('unauthorize', { app_id: MERCHANT })).push?.outcome).toBe(
      'acknowledged',
    )
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('revoked')
    await road().untilJobsDone()
    expect(await store.openSecret(merchant.id, 'refresh_token')).toBeUndefined()
    const tokens = await db('access_token')
      .where({ account_id: merchant.id })
      .whereNotNull('sealed')
    expect(tokens).toEqual([])
    // What it was is still known, and so are its people.
    expect((await road().tenant(ids.component, MERCHANT))?.disabled_at).toBeNull()

    sandbox.advance(2)
    await component.act('authorize', { app_id: MERCHANT })
    await road().untilJobsDone()
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('granted')
    expect(await store.openSecret(merchant.id, 'refresh_token')).toMatch(/^refreshtoken@@@/)
    expect(await road().tenant(ids.component, MERCHANT)).toMatchObject({ id: merchant.id })
    for (const gateway of road().gateways) expect(linesNamed(gateway, 'job.died')).toEqual([])
  })
})
