import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAccountCache, type AccountCache } from '../../src/accounts/account-cache.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import type { Account } from '../../src/accounts/account.ts'
import { createRecorder } from '../../src/consent/record-push.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createMetrics } from '../../src/foundation/metrics.ts'
import {
  createSecretBox,
  newMasterKey,
  parseMasterKey,
} from '../../src/foundation/sealed-secrets.ts'
import { addCallbackRoutes } from '../../src/receiver/callback-routes.ts'
import { COMPONENT, SUITE, WECOM_APP, sealedVector } from '../fixtures/vectors.ts'
import { useTestDatabase } from '../support/database.ts'
import {
  KIND_ACCOUNTS,
  plainHandshake,
  sealFor,
  vectorFor,
  vectorHandshake,
} from '../support/kind-accounts.ts'
import { recorderParts } from '../support/recorder-parts.ts'
import { justAfter } from '../support/sealed-pushes.ts'

/** All vectors are of these few minutes. */
const NOW = justAfter('1767312300')

const database = useTestDatabase()
const lines: Record<string, unknown>[] = []
const ids = { component: 0, suite: 0, merchant: 0, corp: 0, app: 0 }
let server: Server
let cache: AccountCache
let port = 0

/** The routes over the real store, cache and recorder, with one family of each platform. */
beforeAll(async () => {
  const { db } = database()
  const key = parseMasterKey(newMasterKey())
  if (!key) throw new Error('a new master key does not parse')
  const store = createAccountStore({ db, box: createSecretBox([key]) })
  const clock = { now: () => NOW, monotonicMs: () => performance.now() }
  const base = { mode: 'safe', secret: 'appSecret', settings: {} } as const
  const none = { ...base, token: null, aesKey: null, secret: null } as const
  const parts = [
    { ...base, ...COMPONENT, name: 'platform', kind: 'component' },
    { ...base, ...SUITE, name: 'suite', kind: 'wecom_suite' },
    { ...base, ...WECOM_APP, name: 'app', kind: 'wecom_app' },
  ] as const
  const [component, suite, app] = await Promise.all(parts.map((one) => store.add(one)))
  ids.component = component?.id ?? 0
  ids.suite = suite?.id ?? 0
  ids.app = app?.id ?? 0
  const { originalId, appId } = KIND_ACCOUNTS.authorizer
  const merchant = await store.add({
    ...{ ...none, name: 'merchant', kind: 'authorizer', appId, originalId },
    ...{ parentId: ids.component, serves: 'official_account' },
  })
  const corp = await store.add({
    ...{ ...none, name: 'corp', kind: 'wecom_authorizer', appId: WECOM_APP.appId },
    parentId: ids.suite,
  })
  ids.merchant = merchant.id
  ids.corp = corp.id
  cache = createAccountCache({ load: () => store.load(), clock })
  const metrics = createMetrics()
  const recorder = createRecorder({
    ...recorderParts,
    findTenant: (parentId, id) => cache.findTenant(parentId, id),
    findStoredTenant: (parentId, id) => store.findStoredTenant(parentId, id),
    db,
    clock,
    metrics,
    settle: async () => undefined,
  })
  const app_ = express()
  addCallbackRoutes(app_, {
    findAccount: (name) => cache.find(name),
    findTenant: (parentId, id) => cache.findTenant(parentId, id),
    recordPush: (push) => recorder.record(push),
    placePush: (early) => recorder.place(early),
    queueReleaseCheck: async () => undefined,
    exchangeRedirect: async () => false,
    mayReply: () => true,
    askForReply: async () => null,
    clock,
    log: createLog('debug', {
      write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    }),
    metrics,
  })
  server = createServer(app_).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})

afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

async function send(path: string, query: Record<string, string>, body?: string) {
  const url = `http://127.0.0.1:${port}/callbacks/${path}?${new URLSearchParams(query).toString()}`
  const answer = await fetch(url, body === undefined ? {} : { method: 'POST', body })
  return { status: answer.status, text: await answer.text() }
}

function push(path: string, account: Account, name: string) {
  const { query, body } = vectorFor(account, sealedVector(name))
  return send(path, query, body)
}

async function accountsOf(name: string): Promise<number[]> {
  const rows = await database()
    .db<{ account_id: number; document: string }>('event')
    .where({
      document: sealedVector(name).message ?? '',
    })
  return rows.map((row) => row.account_id)
}

const { component, wecom_suite, wecom_app } = KIND_ACCOUNTS
const MERCHANT_PATH = `platform/${KIND_ACCOUNTS.authorizer.appId}`
const CORP_PATH = `suite/${WECOM_APP.appId}`

describe('POST /callbacks/{account}/{tenant}', () => {
  it.each<[string, string, Account, 'component' | 'suite' | 'merchant' | 'corp' | 'app']>([
    ['F5', 'platform', component, 'component'],
    ['F6', MERCHANT_PATH, component, 'merchant'],
    ['F8', 'app', wecom_app, 'app'],
    ['F9', 'suite', wecom_suite, 'suite'],
    ['F13', CORP_PATH, wecom_suite, 'corp'],
  ])(
    'records %s, sent to %s, for the account whose event it is',
    async (name, path, account, id) => {
      expect(await push(path, account, name)).toEqual({ status: 200, text: 'success' })
      expect(await push(path, account, name)).toEqual({ status: 200, text: 'success' })
      expect(await accountsOf(name)).toEqual([ids[id]])
    },
  )

  it('records what a suite is told in JSON, for the corp that the notice names', async () => {
    const notice = { AuthCorpId: WECOM_APP.appId, TimeStamp: 1767312000 }
    const migration = { ...notice, InfoType: 'agree_external_userid_migration' }
    const agreement = {
      ...notice,
      event_type: 'chat_archive_audit_approved_single',
      ExternalUserID: 'wm1',
    }
    for (const document of [migration, agreement].map((one) => JSON.stringify(one))) {
      const { query, body } = sealFor(wecom_suite, document, SUITE.appId)
      expect(await send('suite', query, body)).toEqual({ status: 200, text: 'success' })
    }
    const events = await database().db('event').whereLike('document', '{%').orderBy('id')
    expect(events).toMatchObject([
      { account_id: ids.corp, kind: 'suite.agree_external_userid_migration' },
      { account_id: ids.corp, kind: 'suite.chat_archive_audit_approved_single', subject: 'wm1' },
    ])
    const consents = await database().db('consent').where({ subject: 'wm1' })
    expect(consents).toMatchObject([{ account_id: ids.corp, scope: 'msgaudit', state: 'granted' }])
  })

  it.each<[string, string, string, Account, string, string]>([
    ['unknown_authorizer', 'platform/$APPID$', 'F6', component, 'platform', 'warn'],
    ['unknown_authorizer', 'platform/%00', 'F6', component, 'platform', 'warn'],
    ['missing_field', 'platform', 'F6', component, 'platform', 'warn'],
    ['wrong_receive_id', CORP_PATH, 'F9', wecom_suite, 'corp', 'warn'],
    ['wrong_receive_id', 'suite', 'F13', wecom_suite, 'suite', 'warn'],
    ['wrong_receive_id', 'suite/ww0000000000000000', 'F13', wecom_suite, 'suite', 'warn'],
    ['unknown_account', 'merchant', 'F6', component, 'unknown', 'info'],
    ['unknown_account', 'corp', 'F13', wecom_suite, 'unknown', 'info'],
    ['unknown_account', `app/${WECOM_APP.appId}`, 'F8', wecom_app, 'unknown', 'info'],
    ['unknown_account', `nobody/${WECOM_APP.appId}`, 'F13', wecom_suite, 'unknown', 'info'],
    ['unknown_account', 'platform/%ff', 'F6', component, 'unknown', 'info'],
    ['bad_signature', MERCHANT_PATH, 'F13', wecom_suite, 'merchant', 'info'],
  ])('refuses with %s on %s: %s', async (reason, path, name, account, owner, level) => {
    const signed = vectorFor(account, sealedVector(name))
    const query = { ...signed.query, encrypt_type: 'aes' }
    lines.length = 0
    expect(await send(path, query, signed.body)).toEqual({ status: 403, text: '' })
    expect(lines).toMatchObject([{ msg: 'push.refused', reason, account: owner, level }])
  })
})

describe('POST of a tenant without an account', () => {
  const STRANGER = 'platform/wx0000000000000000'
  const parked = () => database().db('parked_push').where({ tenant: 'wx0000000000000000' })

  it('is acknowledged and waits, once, until too much waits', async () => {
    for (let time = 0; time < 2; time += 1) {
      lines.length = 0
      expect(await push(STRANGER, component, 'F6')).toEqual({ status: 200, text: 'success' })
      expect(lines).toMatchObject([{ msg: 'push.parked', account: 'platform', level: 'info' }])
    }
    expect(await parked()).toHaveLength(1)
    expect(await accountsOf('F6')).toEqual([ids.merchant])

    await parked().delete()
    await database().db.raw(
      `insert into parked_push (parent_id, tenant, repeat_key, sealed, received_at)
       select ?, 'wx0000000000000000', sha256(n::text::bytea), 'x', now()
       from generate_series(1, 1000) as n`,
      [ids.component],
    )
    lines.length = 0
    expect(await push(STRANGER, component, 'F6')).toEqual({ status: 403, text: '' })
    expect(lines).toMatchObject([{ reason: 'unknown_authorizer', detail: 'full', level: 'warn' }])
    expect(await parked()).toHaveLength(1_000)
  })

  it('is recorded where the account is only switched off', async () => {
    await database().db('account').where({ id: ids.merchant }).update({ disabled_at: NOW })
    cache.invalidate()
    const fields = `<MsgType>event</MsgType><Event>unsubscribe</Event>`
    const { originalId } = KIND_ACCOUNTS.authorizer
    const document = [
      `<xml><ToUserName>${originalId}</ToUserName><FromUserName>oLeaves</FromUserName>`,
      `<CreateTime>${Math.floor(NOW.getTime() / 1000)}</CreateTime>${fields}</xml>`,
    ].join('')
    const { query, body } = sealFor(component, document, component.appId)
    expect(await send(MERCHANT_PATH, query, body)).toEqual({ status: 200, text: 'success' })
    const states = await database().db('consent').where({ subject: 'oLeaves', scope: 'follow' })
    expect(states).toMatchObject([{ account_id: ids.merchant, state: 'revoked' }])
  })
})

describe('GET /callbacks/{account}/{tenant}', () => {
  it('answers the handshake of every address, whatever stands behind the account', async () => {
    const f12 = sealedVector('F12')
    for (const path of ['suite', CORP_PATH, 'suite/$CORPID$', 'suite/anything']) {
      const answer = await send(path, vectorHandshake(f12))
      expect(answer).toEqual({ status: 200, text: f12.message })
    }
    for (const path of ['platform', MERCHANT_PATH, 'platform/$APPID$']) {
      const answer = await send(path, plainHandshake(component, 'echo'))
      expect(answer).toEqual({ status: 200, text: 'echo' })
    }
    const f7 = sealedVector('F7')
    expect(await send('app', vectorHandshake(f7))).toEqual({ status: 200, text: f7.message })
  })

  it.each(['merchant', 'corp', `app/${WECOM_APP.appId}`])('refuses %s', async (path) => {
    expect(await send(path, vectorHandshake(sealedVector('F7')))).toEqual({ status: 403, text: '' })
  })
})
