import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { placeOfSecret } from '../../src/accounts/secret-store.ts'
import { placeOfParked } from '../../src/consent/place-push.ts'
import { placeOfJobSecret } from '../../src/consent/push-effects.ts'
import { placeOfSigningSecret } from '../../src/applications/signing-store.ts'
import { addJob } from '../../src/database/job-queue.ts'
import { placeOfSecret as placeOfEndpoint } from '../../src/delivery/endpoint-store.ts'
import { openJobSecret, openCode, readPayload } from '../../src/follow-ups/follow-up-payload.ts'
import { newId, sha256 } from '../../src/foundation/ids.ts'
import {
  createSecretBox,
  newMasterKey,
  parseMasterKey,
} from '../../src/foundation/sealed-secrets.ts'
import { placeOfMessageSecret } from '../../src/messages/message-secret.ts'
import { useTestDatabase } from '../support/database.ts'
import { runWcg } from '../support/run-wcg.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db

const [NEW, OLD] = [newMasterKey(), newMasterKey()]
const boxOf = (text: string) => {
  const key = parseMasterKey(text)
  if (!key) throw new Error('no master key')
  return createSecretBox([key])
}
const [newBox, oldBox] = [boxOf(NEW), boxOf(OLD)]

/** Every column that holds sealed texts; a new one needs its part of `wcg account reseal`. */
const SEALED_COLUMNS = [
  'access_token.sealed',
  'account_secret.sealed',
  'application.previous_signing_secret',
  'application.sealed_signing_secret',
  'endpoint.previous_secret',
  'endpoint.sealed_secret',
  'message.sealed_secret',
  'parked_push.sealed',
  'provider_token.sealed',
  // lives for minutes, and is forgotten before a key is
  'reply.sealed',
  // the same: of no use after twenty seconds
  'welcome_code.sealed',
]

/** More than one batch. */
const MESSAGES = 501
/** Of them some that a worker has in hand. */
const SENDING = 3

let accountId: number
let applicationId: string
let messageIds: string[]
beforeAll(async () => {
  accountId = await insertAccount(db())
  const place = placeOfSecret(accountId, 'app_secret')
  await db()('account_secret').insert({
    account_id: accountId,
    name: 'app_secret',
    sealed: oldBox.seal('plainAppSecret', place),
    key_id: oldBox.keyId,
  })
  await db()('provider_token').insert({
    ...{ account_id: accountId, kind: 'provider', key_id: oldBox.keyId },
    sealed: oldBox.seal('provider token', `provider_token/${accountId}`),
  })
  const now = new Date()
  const endpointId = newId(now)
  applicationId = newId(now)
  await db()('application').insert({
    ...{ id: applicationId, name: 'shop', key_hash: randomBytes(32), key_hint: 'hint' },
    signatures: 'required',
    sealed_signing_secret: oldBox.seal('wcgs_now', placeOfSigningSecret(applicationId)),
    previous_signing_secret: oldBox.seal('wcgs_before', placeOfSigningSecret(applicationId)),
    previous_until: now,
  })
  await db()('endpoint').insert({
    ...{ id: endpointId, application_id: applicationId, purpose: 'callbacks', kinds: [] },
    sealed_secret: oldBox.seal('whsec_now', placeOfEndpoint(endpointId)),
    previous_secret: oldBox.seal('whsec_before', placeOfEndpoint(endpointId)),
  })
  messageIds = Array.from({ length: MESSAGES }, () => newId(now))
  await db().batchInsert(
    'message',
    messageIds.map((id, n) => ({
      id,
      account_id: accountId,
      recipient: `oGroup${n}`,
      channel: 'wecom_robot_message',
      content: '{}',
      status: n < SENDING ? 'sending' : n % 2 === 0 ? 'queued' : 'scheduled',
      send_at: now,
      due_at: now,
      expires_at: new Date(now.getTime() + 3_600_000),
      sealed_secret: oldBox.seal(`key ${n}`, placeOfMessageSecret(id)),
    })),
    100,
  )
  await addJob(db(), {
    task: 'exchange_authorization_code',
    payload: {
      account_id: accountId,
      code: oldBox.seal('the code', placeOfJobSecret(accountId, 'code')),
    },
  })
  await db().raw(`select from graphile_worker.add_job('exchange_auth_code', ?::json)`, [
    JSON.stringify({
      account_id: accountId,
      tenant: 'wwcorp',
      secrets: { AuthCode: oldBox.seal('auth code', placeOfJobSecret(accountId, 'AuthCode')) },
    }),
  ])
  await addJob(db(), { task: 'sync-all-followers', payload: {} })
  await parkPushes()
})

const parked = () => ({
  ...{ parentId: accountId, tenant: 'wwcorp', repeatKey: sha256('parked') },
})

/** One that waits for an hour, and one that waited in vain. */
async function parkPushes() {
  const received_at = new Date(Date.now() - 3_600_000)
  const rows = [
    { repeat_key: sha256('parked'), sealed: oldBox.seal('words', placeOfParked(parked())) },
    { repeat_key: sha256('dropped'), dropped_at: received_at, dropped_reason: 'too_old' },
  ]
  for (const row of rows) {
    await db()('parked_push').insert({
      parent_id: accountId,
      tenant: 'wwcorp',
      received_at,
      ...row,
    })
  }
}

const wcg = (key: string, ...typed: string[]) =>
  runWcg(database().url, [...typed, '--json'], {
    env: { WCG_MASTER_KEY: key, LOG_LEVEL: 'silent' },
  })

async function payloads(): Promise<unknown[]> {
  const { rows } = await db().raw<{ rows: { payload: unknown }[] }>(
    `select payload from graphile_worker._private_jobs order by id`,
  )
  return rows.map(({ payload }) => payload)
}

/** The tables in which a text under the old master key rests, whatever their columns are. */
async function tablesUnderOldKey(): Promise<string[]> {
  const { rows: tables } = await db().raw<{ rows: { name: string }[] }>(
    `select oid::regclass::text as name from pg_class
     where relkind in ('r', 'p') and not relispartition
       and relnamespace in ('public'::regnamespace, 'graphile_worker'::regnamespace)
     order by 1`,
  )
  const found: string[] = []
  for (const { name } of tables) {
    const { rows } = await db().raw<{ rows: unknown[] }>(
      `select from ${name} as every where every::text like ? limit 1`,
      [`%v1.${oldBox.keyId}.%`],
    )
    if (rows.length > 0) found.push(name)
  }
  return found
}

describe('wcg account reseal', () => {
  it('knows every column that holds something sealed', async () => {
    const { rows } = await db().raw<{ rows: { name: string }[] }>(
      `select table_name || '.' || column_name as name from information_schema.columns
       where table_schema = 'public' and column_name ~ 'sealed|secret' order by 1`,
    )
    expect(rows.map(({ name }) => name)).toEqual(SEALED_COLUMNS)
  })

  it('reaches everything that an older master key sealed, waiting messages and jobs too', async () => {
    expect(await tablesUnderOldKey()).toEqual([
      'account_secret',
      'application',
      'endpoint',
      'graphile_worker._private_jobs',
      'message',
      'parked_push',
      'provider_token',
    ])
    const doctor = await wcg(`${NEW},${OLD}`, 'doctor')
    expect(doctor.out).toContain(
      `${1 + 1 + 1 + 1 + MESSAGES + 2 + 1} secrets are sealed under an older key`,
    )

    expect(doctor.out).toContain('1 wait for an account, the oldest since')
    expect(doctor.out).toContain('1 were dropped within 30 days')

    const first = await wcg(`${NEW},${OLD}`, 'account', 'reseal')
    expect([first.code, JSON.parse(first.out)]).toEqual([
      0,
      {
        secrets: 1,
        tokens: 1,
        applications: 1,
        endpoints: 1,
        messages: MESSAGES,
        jobs: 2,
        pushes: 1,
      },
    ])
    expect(await tablesUnderOldKey()).toEqual([])
    const again = await wcg(`${NEW},${OLD}`, 'account', 'reseal')
    expect(JSON.parse(again.out)).toEqual({
      secrets: 0,
      tokens: 0,
      applications: 0,
      endpoints: 0,
      messages: 0,
      jobs: 0,
      pushes: 0,
    })
  })

  it('leaves what every credential says, for its place alone', async () => {
    const rows = await db()('message').select<{ id: string; sealed_secret: string }[]>(
      'id',
      'sealed_secret',
    )
    const opened = new Map(
      rows.map((row) => [row.id, newBox.open(row.sealed_secret, placeOfMessageSecret(row.id))]),
    )
    expect(messageIds.map((id) => opened.get(id))).toEqual(messageIds.map((_, n) => `key ${n}`))

    const push = await db()('parked_push')
      .whereNotNull('sealed')
      .first<{ sealed: string }>('sealed')
    expect(newBox.open(push.sealed, placeOfParked(parked()))).toBe('words')

    const token = await db()('provider_token').first<{ sealed: string }>('sealed')
    expect(newBox.open(token.sealed, `provider_token/${accountId}`)).toBe('provider token')

    const [endpoint] = await db()('endpoint').select<
      { id: string; sealed_secret: string; previous_secret: string }[]
    >('id', 'sealed_secret', 'previous_secret')
    const place = placeOfEndpoint(endpoint?.id ?? '')
    expect(newBox.open(endpoint?.sealed_secret ?? '', place)).toBe('whsec_now')
    expect(newBox.open(endpoint?.previous_secret ?? '', place)).toBe('whsec_before')

    const [application] = await db()('application').select<
      { sealed_signing_secret: string; previous_signing_secret: string }[]
    >('sealed_signing_secret', 'previous_signing_secret')
    const signs = placeOfSigningSecret(applicationId)
    expect(newBox.open(application?.sealed_signing_secret ?? '', signs)).toBe('wcgs_now')
    expect(newBox.open(application?.previous_signing_secret ?? '', signs)).toBe('wcgs_before')

    const [code, secrets, none] = await payloads()
    expect(openCode(newBox, readPayload(code))).toBe('the code')
    expect(openJobSecret(newBox, readPayload(secrets), 'AuthCode')).toBe('auth code')
    expect(secrets).toMatchObject({ tenant: 'wwcorp' })
    expect(none).toEqual({})
  })

  it('says which key is missing where nobody has it', async () => {
    const { code, out, err } = await wcg(newMasterKey(), 'account', 'reseal')
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('WCG_MASTER_KEY does not hold')
  })
})
