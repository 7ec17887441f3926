import { beforeAll, describe, expect, it } from 'vitest'
import { createApplicationStore } from '../../src/applications/application-store.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { exchangeRedirect, makeAuthorizationPage } from '../../src/follow-ups/authorization-page.ts'
import {
  createSecretBox,
  newMasterKey,
  parseMasterKey,
} from '../../src/foundation/sealed-secrets.ts'
import { admitTenant } from '../../src/follow-ups/tenant-store.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { createLog } from '../../src/foundation/log.ts'
import { runWcg } from '../support/run-wcg.ts'
import { newAesKey } from '../support/road.ts'
import { createSender, until } from '../support/send-road.ts'
import { CORP, MERCHANT, OTHER_MERCHANT, useTenantRoad } from '../support/tenant-road.ts'

const key = parseMasterKey(TEST_MASTER_KEY)
if (!key) throw new Error('the master key of the tests is none')
const box = createSecretBox([key])

const UNCHANGED = { token: undefined, aesKey: undefined, secret: undefined }

describe('authorisations', { timeout: 30_000 }, () => {
  const road = useTenantRoad({ platform: { refreshToken: 'rotated' } })
  const codes: string[] = []
  let apiKey = ''
  beforeAll(async () => {
    const tickets = [
      (await road().component.act('push_ticket')).made.ticket,
      (await road().suite.act('push_ticket')).made.ticket,
    ]
    codes.push(...tickets.map(String))
  })

  /** Where the platform's page sends the browser; the page itself needs a platform's browser. */
  async function proofOf(name: string): Promise<string> {
    const account = await road().store.findByName(name)
    if (!account) throw new Error(`no account ${name}`)
    const page = await makeAuthorizationPage(
      {
        api: async () => ({
          ...{ errcode: 0, errmsg: 'ok', httpStatus: 200, platformTime: null, rid: null },
          body: { pre_auth_code: 'preauthcode@@@x' },
        }),
        box,
        clock: systemClock,
      },
      { account, gatewayUrl: 'https://wx.example.com' },
    )
    const back = new URL(new URL(page).searchParams.get('redirect_uri') ?? '')
    expect(back.pathname).toBe(`/callbacks/${name}/authorized`)
    return back.searchParams.get('proof') ?? ''
  }
  async function comeBack(name: string, code: string, proof: string): Promise<number> {
    const url = new URL(`/callbacks/${name}/authorized`, road().gateway.url)
    url.search = new URLSearchParams({ proof, auth_code: code, expires_in: '3600' }).toString()
    return (await fetch(url)).status
  }
  const wait = () => road().untilJobsDone()

  it('keep the newest ticket by the platform’s time, in whatever order they come', async () => {
    const { component, store, ids, sandbox } = road()
    const [first] = await store.openTickets(ids.component)
    const at = (first?.effectiveAt.getTime() ?? 0) / 1000
    const document = (value: string, time: number) =>
      [
        `<xml><AppId>${component.appId}</AppId><CreateTime>${time}</CreateTime>`,
        '<InfoType>component_verify_ticket</InfoType>',
        `<ComponentVerifyTicket>${value}</ComponentVerifyTicket></xml>`,
      ].join('')
    await component.pushDocument(document('older', at - 600))
    await component.pushDocument(document('oldest', at - 1200))
    const kept = (await store.openTickets(ids.component)).map(({ value }) => value)
    expect(kept).toEqual([first?.value, 'older'])
    sandbox.advance(1)
    codes.push(String((await component.act('push_ticket')).made.ticket))
  })

  it('have their tickets pushed again when somebody asks for it', async () => {
    const { database, component, platformUrl } = road()
    const wcg = (...typed: string[]) =>
      runWcg(database.url, ['account', 'start-tickets', ...typed], {
        env: { WECHAT_API_BASE_URL: platformUrl },
      })
    await component.act('stop_tickets')
    const started = await wcg('platform', '--json')
    expect(JSON.parse(started.out)).toEqual({ name: 'platform', outcome: 'started' })
    const again = await wcg('platform', '--lang', 'zh')
    expect([again.code, again.out]).toEqual([0, expect.stringContaining('本来就是开启的')])
    expect((await wcg('suite')).err).toContain('only the pushes of a component')
  })

  it('have a gauge of their tickets’ age', async () => {
    const { gateway } = road()
    await until(
      async () => (await fetch(`${gateway.url}/metrics`)).text(),
      (text) => text.includes('wcg_ticket_age_seconds{account="suite",kind="wecom_suite"} '),
    )
  })

  it('are exchanged once, whether the push or the redirect comes first', async () => {
    const { component, ids, store, sandbox, database } = road()
    const follower = sandbox.account(MERCHANT).newOpenid()
    await sandbox.account(MERCHANT).follow(follower, { silent: true })
    const { made } = await component.act('authorize', { app_id: MERCHANT })
    const code = String(made.auth_code)
    codes.push(code)
    expect(await comeBack('platform', code, await proofOf('platform'))).toBe(200)
    const merchant = await road().untilTenant(ids.component, MERCHANT)
    await wait()
    expect(await store.openSecret(merchant.id, 'refresh_token')).toMatch(/^refreshtoken@@@/)
    // who followed before is known from then on
    const row = { account_id: merchant.id, subject: follower, scope: 'follow' }
    expect(await database.db('consent_ledger').where(row)).toMatchObject([
      { change: 'granted', evidence: 'sync' },
    ])

    const silent = await component.act('authorize', { app_id: OTHER_MERCHANT }, { silent: true })
    codes.push(String(silent.made.auth_code))
    const proof = await proofOf('platform')
    expect(await comeBack('platform', String(silent.made.auth_code), proof)).toBe(200)
    await road().untilTenant(ids.component, OTHER_MERCHANT)
    expect(await road().tenantState(ids.component, OTHER_MERCHANT)).toBe('granted')
    await wait()
  })

  it('are taken from no browser that we did not send to the page', async () => {
    const proof = await proofOf('platform')
    expect(await comeBack('platform', 'queryauthcode@@@x', '')).toBe(403)
    expect(await comeBack('platform', 'queryauthcode@@@x', `${proof}x`)).toBe(403)
    expect(await comeBack('suite', 'queryauthcode@@@x', proof)).toBe(403)
    expect(await comeBack('service', 'queryauthcode@@@x', proof)).toBe(403)
    expect(await comeBack('nobody', 'queryauthcode@@@x', proof)).toBe(403)
    expect(await comeBack('platform', '', proof)).toBe(403)
    const account = await road().store.findByName('platform')
    const late = { now: () => new Date(Date.now() + 31 * 60_000), monotonicMs: () => 0 }
    const redirect = { code: 'queryauthcode@@@x', proof }
    const { db } = road().database
    expect(account && (await exchangeRedirect({ db, box, clock: late }, account, redirect))).toBe(
      false,
    )
  })

  it('give the merchant a token, and keep the refresh token that comes with it', async () => {
    const { ids, store, database, gateway } = road()
    const merchant = await road().untilTenant(ids.component, MERCHANT)
    const before = await store.openSecret(merchant.id, 'refresh_token')
    const applications = createApplicationStore({ db: database.db, clock: systemClock })
    apiKey = (await applications.add({ name: 'shop', accountNames: [merchant.name] })).key
    const ask = async () => {
      const answer = await fetch(`${gateway.url}/v1/accounts/${merchant.name}/access-token`, {
        headers: { authorization: `Bearer ${apiKey}` },
      })
      return answer.status
    }
    await until(ask, (status) => status === 200, 5_000)
    // the token that the follower sync had is over
    await database.db.raw(
      `update access_token set version = version + 1, expires_at = now() where account_id = ?`,
      [merchant.id],
    )
    const askAgain = async () => {
      await ask()
      return store.openSecret(merchant.id, 'refresh_token')
    }
    expect(await until(askAgain, (now) => now !== before, 5_000)).toMatch(/^refreshtoken@@@/)
  })

  it('are taken again where the master key of the stored one is lost', async () => {
    const { ids, store, database } = road()
    const { id, name } = await road().untilTenant(ids.component, MERCHANT)
    const value = (await store.openSecret(id, 'refresh_token')) ?? ''
    const lostKey = parseMasterKey(newMasterKey())
    if (!lostKey) throw new Error('a new master key is none')
    const lost = createSecretBox([lostKey])
    await database
      .db('account_secret')
      .where({ account_id: id, name: 'refresh_token' })
      .update({
        sealed: lost.seal(value, `account/${id}/refresh_token`),
        key_id: lost.keyId,
      })
    const { originalId, serves } = await store.show(name)
    const admission = {
      ...{ parentId: ids.component, parentName: 'platform', appId: MERCHANT },
      ...({ kind: 'authorizer', originalId, serves } as const),
      ...({
        secret: { name: 'refresh_token', value },
        grant: null,
        readAfterwards: false,
      } as const),
    }
    const releaseParked = async () => ({ recorded: 0, aside: 0, dropped: 0 })
    const parts = { db: database.db, box, log: createLog('silent'), releaseParked }
    expect(await admitTenant(parts, admission)).toBe('admitted')
    expect(await store.openSecret(id, 'refresh_token')).toBe(value)
  })

  it('are one thing, the provider’s own token another', async () => {
    const { database, gateway, store } = road()
    const applications = createApplicationStore({ db: database.db, clock: systemClock })
    const { key } = await applications.add({ name: 'isv', accountNames: ['suite', 'platform'] })
    const ask = async (path: string) => {
      const headers = { authorization: `Bearer ${key}` }
      const answer = await fetch(`${gateway.url}/v1/accounts/${path}`, { headers })
      return (await answer.json()) as Record<string, unknown>
    }
    const token = await until(
      () => ask('suite/provider-access-token'),
      ({ access_token: given }) => given !== undefined,
    )
    expect(await ask('suite/provider-access-token')).toEqual(token)
    expect(await ask('suite/access-token')).not.toEqual(token)
    expect(await ask('platform/provider-access-token')).toMatchObject({ code: 'no_provider_token' })
    // another secret makes the token of the old one worthless, here at once
    await store.rotate('suite', { ...UNCHANGED, providerSecret: 'not the provider’s' })
    await until(
      () => ask('suite/provider-access-token'),
      ({ code }) => code === 'token_unavailable',
    )
  })

  it('of which the merchant takes a part back stop what that carried, and nothing else', async () => {
    const { component, ids, database, sandbox, gateway } = road()
    const merchant = await road().untilTenant(ids.component, MERCHANT)
    const people = sandbox.account(MERCHANT)
    const openid = people.newOpenid()
    await people.follow(openid)
    const sender = createSender({ urls: () => [gateway.url], key: apiKey, account: merchant.name })
    const check = () => sender.check({ to: openid, channel: 'template_message', templateId: 'T1' })
    const give = async (scopes: number[], silent = false) => {
      sandbox.advance(2)
      await component.act('update_authorization', { app_id: MERCHANT, scopes }, { silent })
    }
    expect(await check()).toMatchObject({ allowed: true })
    await give([1])
    await wait()
    const missing = { reason: 'permission_missing', scope: 'permission_set:7|100|101' }
    expect(await check()).toEqual({ allowed: false, ...missing })
    const asked = await sender.ask({ to: openid, channel: 'template_message', templateId: 'T1' })
    expect(await sender.ended(asked)).toMatchObject({
      ...{ status: 'blocked', reason: missing.reason, missing_scope: missing.scope },
    })
    const reply = await sender.check({ to: openid, channel: 'customer_service_message' })
    expect(reply).toMatchObject({ allowed: true })
    await give([1, 100, 300])
    await wait()
    expect(await check()).toMatchObject({ allowed: true })

    // Admitted before the sets were kept, and the notice was lost: asked about at night.
    const unknown = { permission_sets: null, permission_sets_at: null }
    await database.db('account').where({ id: merchant.id }).update(unknown)
    await give([1, 300], true)
    expect(await check()).toMatchObject({ allowed: true })
    const env = { WECHAT_API_BASE_URL: road().platformUrl, LOG_LEVEL: 'silent' }
    await runWcg(database.url, ['account', 'reconcile', 'platform'], { env })
    expect(await check()).toEqual({ allowed: false, ...missing })
    // The operator knows better than the table: what was told before is held against it anew.
    const others = { WCG_PERMISSION_SETS: 'template_message:300' }
    await runWcg(database.url, ['account', 'reconcile', 'platform'], { env: { ...env, ...others } })
    expect(await check()).toMatchObject({ allowed: true })
  })

  it('that the merchant takes back end every send, and the token with them', async () => {
    const { component, ids, database, sandbox, gateway, store } = road()
    const { db } = database
    const merchant = await road().untilTenant(ids.component, MERCHANT)
    const people = sandbox.account(MERCHANT)
    const openid = people.newOpenid()
    await people.follow(openid)
    sandbox.advance(1)
    await component.act('unauthorize', { app_id: MERCHANT })
    await wait()
    expect(await store.openSecret(merchant.id, 'refresh_token')).toBeUndefined()
    const asked = await fetch(`${gateway.url}/v1/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ account: merchant.name, to: openid, channel: 'template_message' },
        content: { template_id: 'T1', data: { thing1: { value: 'too late' } } },
      }),
    })
    expect(asked.status).toBe(202)
    await until(
      () =>
        db<{ id: string; account_id: number; status: string; reason: string | null }>('message')
          .where({ account_id: merchant.id })
          .orderBy('id', 'desc')
          .first('status', 'reason'),
      (row) => row?.status === 'blocked' && row.reason === 'tenant_revoked',
      10_000,
    )
    expect(people.messages(openid)).toEqual([])
  })

  it('of which the notice was lost are found in the platform’s list', async () => {
    const { component, ids, store, sandbox } = road()
    const { db } = road().database
    const reconcile = () =>
      runWcg(road().database.url, ['account', 'reconcile', 'platform', '--json'], {
        env: { WECHAT_API_BASE_URL: road().platformUrl, LOG_LEVEL: 'silent' },
      })
    // Nothing to do: one merchant is listed and known, the other has left and is not listed.
    expect(JSON.parse((await reconcile()).out)).toEqual({
      ...{ name: 'platform', listed: 1, admitted: 0, withdrawn: 0, unclear: 0 },
    })
    sandbox.advance(2)
    await component.act('unauthorize', { app_id: OTHER_MERCHANT }, { silent: true })
    const silent = await component.act('authorize', { app_id: MERCHANT }, { silent: true })
    codes.push(String(silent.made.auth_code))
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('revoked')
    expect(await road().tenantState(ids.component, OTHER_MERCHANT)).toBe('granted')

    const { out, code } = await reconcile()
    expect([JSON.parse(out), code]).toMatchObject([{ admitted: 1, withdrawn: 1, unclear: 0 }, 0])
    expect(await road().tenantState(ids.component, MERCHANT)).toBe('granted')
    expect(await road().tenantState(ids.component, OTHER_MERCHANT)).toBe('revoked')
    const back = await road().untilTenant(ids.component, MERCHANT)
    expect(await store.openSecret(back.id, 'refresh_token')).toMatch(/^refreshtoken@@@/)
    const gone = await road().untilTenant(ids.component, OTHER_MERCHANT)
    expect(await store.openSecret(gone.id, 'refresh_token')).toBeUndefined()
    const evidence = await db('consent_ledger')
      .where({ account_id: ids.component, scope: 'tenant', evidence: 'sync' })
      .orderBy('id')
      .select('subject', 'change', 'reason')
    expect(evidence.slice(-2)).toEqual([
      { subject: MERCHANT, change: 'granted', reason: 'listed' },
      { subject: OTHER_MERCHANT, change: 'revoked', reason: 'not_authorized' },
    ])
    const ended = await db('consent_ledger').where({ account_id: ids.component }).count()
    expect(JSON.parse((await reconcile()).out)).toMatchObject({ admitted: 0, withdrawn: 0 })
    expect(await db('consent_ledger').where({ account_id: ids.component }).count()).toEqual(ended)

    const wrong = await runWcg(road().database.url, ['account', 'reconcile', 'suite'])
    expect([wrong.code, wrong.err.includes('wecom_suite')]).toEqual([2, true])
  })

  it('whose withdrawal came while the list was read stay withdrawn', async () => {
    const { component, ids, sandbox } = road()
    const info = '/cgi-bin/component/api_get_authorizer_info'
    sandbox.advance(2)
    const lost = await component.act('authorize', { app_id: OTHER_MERCHANT }, { silent: true })
    codes.push(String(lost.made.auth_code))
    sandbox.addFault({ path: info, delay_ms: 400, times: 1 })
    const calls = () =>
      sandbox.log({ kind: 'call' }).entries.filter((one) => 'path' in one && one.path === info)
    const before = calls().length
    const reconciled = runWcg(road().database.url, ['account', 'reconcile', 'platform', '--json'], {
      env: { WECHAT_API_BASE_URL: road().platformUrl },
    })
    await until(calls, (made) => made.length > before, 5_000)
    sandbox.advance(2)
    await component.act('unauthorize', { app_id: OTHER_MERCHANT })
    expect(JSON.parse((await reconciled).out)).toMatchObject({ admitted: 0 })
    expect(await road().tenantState(ids.component, OTHER_MERCHANT)).toBe('revoked')
    await wait()
  })

  it('that the platform does not know any more are found out, and what is gone is erased', async () => {
    const { suite, ids, store, database, sandbox } = road()
    codes.push(String((await suite.act('create_auth', { corp_id: CORP })).made.auth_code))
    const corp = await road().untilTenant(ids.suite, CORP)
    await wait()
    const doubt = async () => {
      sandbox.advance(1)
      const document = [
        `<xml><SuiteId>${suite.suiteId}</SuiteId><InfoType>del_auth</InfoType>`,
        `<TimeStamp>${Math.floor(sandbox.now().getTime() / 1000)}</TimeStamp>`,
        `<AuthCorpId>${CORP}</AuthCorpId></xml>`,
      ].join('')
      await suite.pushDocument(document)
      sandbox.advance(1)
      await wait()
    }
    await doubt()
    expect(await road().tenantState(ids.suite, CORP)).toBe('granted')
    await suite.act('cancel_auth', { corp_id: CORP }, { silent: true })
    await doubt()
    expect(await road().tenantState(ids.suite, CORP)).toBe('revoked')
    expect(await store.openSecret(corp.id, 'permanent_code')).toBeUndefined()
    const reasons = await database.db('erasure').where({ account_id: corp.id }).pluck('reason')
    expect(reasons).toContain('not_authorized')
  })

  it('of an agency’s app give the corp’s token for the permanent code alone', async () => {
    const { store, sandbox, gateway, database, platformUrl } = road()
    const [agency, corp] = ['dk5b1d7f3a9c2e8064', 'ww6a1c3e5b7d9f2048']
    const pair = { token: 'AgencyToken1', aesKey: newAesKey() }
    const { id } = await store.add({
      ...{ ...pair, name: 'agency', kind: 'wecom_suite', appId: agency, mode: 'safe' },
      ...{ secret: 'agency secret', providerCorpId: 'ww1f5d9b3a7c0e8264', settings: {} },
    })
    sandbox.addCorp({ corp_id: corp, members: ['SunLi'] })
    const platform = sandbox.addSuite({
      ...{ suite_id: agency, secret: 'agency secret', provider_corp_id: 'ww1f5d9b3a7c0e8264' },
      ...{ token: pair.token, aes_key: pair.aesKey },
      callback_url: `${gateway.url}/callbacks/agency`,
      data_url: `${gateway.url}/callbacks/agency/$CORPID$`,
    })
    codes.push(String((await platform.act('push_ticket')).made.ticket))
    codes.push(String((await platform.act('create_auth', { corp_id: corp })).made.auth_code))
    const { name } = await road().untilTenant(id, corp)
    const env = { WECHAT_API_BASE_URL: platformUrl, WECOM_API_BASE_URL: platformUrl }
    const checked = await runWcg(database.url, ['account', 'check', name, '--online', '--json'], {
      env,
    })
    expect(JSON.parse(checked.out)).toMatchObject({ online: { ok: true } })
    const asked = sandbox.log({ kind: 'call' }).entries.map((one) => 'path' in one && one.path)
    expect(asked).toContain('/cgi-bin/gettoken')
    expect(asked).not.toContain('/cgi-bin/service/get_corp_token')
  })

  it('leave no ticket and no code in a log line, an event or a job', async () => {
    const { db } = road().database
    const { rows } = await db.raw<{ rows: { text: string }[] }>(
      `select to_jsonb(event)::text as text from event
       union all select to_jsonb(secret)::text from account_secret as secret
       union all select to_jsonb(job)::text from graphile_worker._private_jobs as job
       union all select to_jsonb(entry)::text from consent_ledger as entry`,
    )
    const said = [...rows.map(({ text }) => text), ...road().gateway.lines].join('\n')
    expect(codes.length).toBeGreaterThan(5)
    for (const code of codes) expect(said).not.toContain(code)
    expect(said).not.toMatch(/refreshtoken@@@|queryauthcode@@@|preauthcode@@@/)
  })
})
