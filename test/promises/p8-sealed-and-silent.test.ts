import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { useRoad, type Road } from '../support/road.ts'
import {
  agree,
  bodyOf,
  nextSecond,
  NOTICE,
  PATHS,
  senderOf,
  SUBSCRIPTION,
  until,
  type ApiAnswer,
  ROAD_CHANNELS,
} from '../support/send-road.ts'
import { signPush } from '../support/sign-push.ts'

const MAIN = resolve(import.meta.dirname, '../../src/main.ts')
/** Said by people and sent to them; nowhere else in the world. */
const SAID = '我的病历号是零七三一四'
const SENT = '您的化验单已出具零九二六'

describe('P8 sealed-and-silent', () => {
  const road = useRoad({ processes: 2, env: { LOG_LEVEL: 'trace' } })
  const people: string[] = []
  const tokens: string[] = []
  /** Everything the gateway has said to anybody who may not see a secret. */
  const said: Said[] = []

  const newPerson = () => {
    const person = road().people.newOpenid()
    people.push(person)
    return person
  }

  test('says no secret, token, openid or content in a log, an error, a metric or a command', async () => {
    await liveThroughPushes(road(), newPerson)
    await liveThroughSends(road(), newPerson, tokens)
    await askWrongly(road(), newPerson, said)
    await breakTheDatabase(road(), newPerson, said)
    await useTheCommandLine(road(), newPerson, said)
    for (const gateway of road().gateways) {
      const metrics = await fetch(`${gateway.url}/metrics`)
      said.push({ where: 'metrics', text: await metrics.text() })
      await gateway.end()
      said.push(...gateway.lines.map((text) => ({ where: 'log', text })))
    }

    // what was looked for was really there to be said
    expect(tokens.length).toBeGreaterThan(1)
    expect(people.length).toBeGreaterThan(20)
    const log = said.filter(({ where }) => where === 'log').map(({ text }) => text)
    for (const line of EXPECTED_LINES) {
      expect(log.filter((text) => text.includes(`"${line}"`)).length, line).toBeGreaterThan(0)
    }
    const unsaid = [
      ...secretsOf(road(), tokens),
      ...people.map((openid) => ({ name: 'openid', secret: openid })),
      ...[SAID, SENT].map((secret) => ({ name: 'content', secret })),
    ]
    expect(leaks(said, unsaid)).toEqual([])
  }, 90_000)

  test('keeps no secret and no token in clear in any column of any table', async () => {
    const tables = await dumpTables(road())
    // the search finds what is there: what people have said is in the log of events
    expect(leaks(tables, [{ name: 'content', secret: SAID }])).not.toEqual([])
    const secrets = secretsOf(road(), tokens)
    expect(leaks(tables, secrets)).toEqual([])
    // nor as bytes or in another writing
    const writings = secrets.flatMap(({ name, secret }) => [
      { name: `${name} in hex`, secret: Buffer.from(secret).toString('hex') },
      { name: `${name} in base64`, secret: Buffer.from(secret).toString('base64') },
      { name: `${name} in base64url`, secret: Buffer.from(secret).toString('base64url') },
    ])
    expect(leaks(tables, writings)).toEqual([])
  })

  test.for([
    `update consent_ledger set reason = 'other'`,
    `delete from consent_ledger`,
    `truncate consent_ledger`,
    `truncate consent_ledger cascade`,
  ])('refuses to the database itself: %s', async (statement) => {
    await expect(road().database.db.raw(statement)).rejects.toMatchObject({ code: 'WCG01' })
  })
})

describe('P8 sealed-and-silent, one person', () => {
  const road = useRoad({ env: { LOG_LEVEL: 'trace' } })

  test('takes neither an openid nor a key for the id of a request', async () => {
    const names = { openid: road().people.newOpenid(), 'API key': road().key }
    for (const [name, secret] of Object.entries(names)) {
      const headers = { 'x-request-id': secret }
      const said: Said[] = []
      keep(said, await senderOf(road()).request('/v1/events', { headers }))
      const lines = await until(
        () => (road().gateways[0]?.lines ?? []).filter((line) => line.includes('"api.answered"')),
        (answered) => answered.length > 0,
      )
      said.push(...lines.map((text) => ({ where: 'log', text })))
      expect(leaks(said, [{ name, secret }])).toEqual([])
    }
  })

  test('exports all that is held, and erases it from every column of every table', async () => {
    const person = road().people.newOpenid()
    const document = await liveAFullLife(road(), person)
    const { db } = road().database
    const { name, id } = road().account

    const exported = parseExport((await wcg(road(), 'consent', 'export', name, person)).stdout)
    const messages = await db('message').where({ recipient: person }).pluck<string[]>('id')
    const attempts = await db('attempt').whereIn('message_id', messages).pluck<string[]>('id')
    const events = await db('event').where({ subject: person }).pluck<string[]>('id')
    const ledger = await db('consent_ledger').where({ subject: person }).pluck<string[]>('id')
    const held = await db('consent').where({ subject: person })
    expect(ids(exported.messages)).toEqual(messages.toSorted())
    expect(ids(exported.messages.flatMap((one) => one.attempts ?? []))).toEqual(
      attempts.map(String).toSorted(),
    )
    expect(ids(exported.events)).toEqual(events.toSorted())
    const ledgerIds = exported.ledger.map(({ ledger_id }) => ledger_id)
    expect(ledgerIds.toSorted()).toEqual(ledger.toSorted())
    expect(exported.consents).toHaveLength(held.length)
    expect(JSON.stringify(exported)).toContain(SAID)
    expect(JSON.stringify(exported)).toContain(SENT)
    expect(Math.min(messages.length, attempts.length, events.length)).toBeGreaterThan(3)

    const erased = await wcg(
      road(),
      ...['consent', 'erase', name, person, '--yes', '--reason', 'a request', '--actor', 'anna'],
    )
    expect(erased.code).toBe(0)
    const wanted = [
      { name: 'openid', secret: person },
      { name: 'openid in hex', secret: Buffer.from(person).toString('hex') },
      { name: 'what was said', secret: SAID },
      { name: 'what was sent', secret: SENT },
    ]
    expect(leaks(await dumpTables(road()), wanted)).toEqual([])
    const tombstones = await db('erasure').where({ account_id: id })
    expect(tombstones).toMatchObject([
      { actor: 'anna', reason: 'a request', ledger_rows: ledger.length, events: events.length },
    ])

    // an old push that the platform repeats brings nothing back
    expect((await road().push(document)).text).toBe('success')
    expect(leaks(await dumpTables(road()), wanted)).toEqual([])
    expect(await senderOf(road()).check({ to: person, channel: 'template_message' })).toMatchObject(
      {
        allowed: false,
        reason: 'follow_unknown',
      },
    )
    // a new act of the person is a new beginning, and nothing more; one of the same second, by the
    // platform's whole clock, could have come before the erasure
    await nextSecond()
    await road().people.follow(person)
    const tables = await dumpTables(road())
    const places = new Set(leaks(tables, wanted.slice(0, 1)).map(({ where }) => where))
    expect([...places].toSorted()).toEqual(['consent', 'consent_ledger', 'event'])
    expect(leaks(tables, wanted.slice(2))).toEqual([])
  }, 60_000)
})

/** Lines that prove that the road was really travelled while we listened. */
const EXPECTED_LINES = [
  'push.recorded',
  'push.refused',
  'dispatch.attempted',
  'dispatch.not_begun',
  'platform.called',
  'api.answered',
  'api.failed',
  'message.accepted',
]

interface Said {
  readonly where: string
  readonly text: string
}

interface Secret {
  readonly name: string
  readonly secret: string
}

function secretsOf(road: Road, tokens: readonly string[]): Secret[] {
  const { secret, token, aesKey } = road.account
  return [
    { name: 'app secret', secret },
    { name: 'callback token', secret: token },
    { name: 'AES key', secret: aesKey },
    { name: 'AES key in hex', secret: Buffer.from(aesKey, 'base64').toString('hex') },
    { name: 'API key', secret: road.key },
    { name: 'master key', secret: TEST_MASTER_KEY },
    { name: 'master key in hex', secret: Buffer.from(TEST_MASTER_KEY, 'base64').toString('hex') },
    ...NEW_SECRETS.map((one) => ({ name: 'rotated secret', secret: one })),
    ...tokens.map((one) => ({ name: 'access token', secret: one })),
  ]
}

/** Where a secret was said; the text is cut around it, so that a failure can be read. */
function leaks(said: readonly Said[], secrets: readonly Secret[]) {
  return said.flatMap(({ where, text }) =>
    secrets.flatMap(({ name, secret }) => {
      const found = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]
        .map((writing) => text.indexOf(writing))
        .find((at) => at >= 0)
      if (found === undefined) return []
      return [{ name, where, around: text.slice(Math.max(0, found - 200), found + 100) }]
    }),
  )
}

/** Pushes that are taken, refused for every reason, and unreadable. */
async function liveThroughPushes(road: Road, newPerson: () => string): Promise<void> {
  const { people, sandbox, account } = road
  for (const tamper of [
    'bad_signature',
    'unsigned',
    'wrong_receive_id',
    'foreign_key',
    'stale_timestamp',
  ] as const) {
    sandbox.addPushFault({ times: 1, tamper })
    await people.say(newPerson(), SAID)
  }
  sandbox.clearPushFaults()
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const person = newPerson()
      await people.follow(person)
      await people.say(person, SAID)
      await people.accept(person, [SUBSCRIPTION])
      await people.switchOff(person, NOTICE)
    }),
  )
  await people.cancelAccount(newPerson())
  const malformed = [
    (person: string) => `<xml><FromUserName>${person}</FromUserName><Content>${SAID}`,
    (person: string) => `<!DOCTYPE x [<!ENTITY e "${person}">]><xml><a>&e;</a></xml>`,
    (person: string) => `{"FromUserName": "${person}", "Content": "${SAID}"`,
    (person: string) => `<xml><${person}>${SAID}</${person}></xml>`,
    (person: string) => `${person} ${SAID}`,
    (person: string) => `<xml><FromUserName>${person}\u0000</FromUserName></xml>`,
  ]
  for (const write of malformed) await road.push(write(newPerson()))
  for (const write of malformed) {
    // as if an encrypted push had lost its envelope
    await postRaw(road.callbackUrl(), write(newPerson()))
  }
  const spoiled = signPush(account, `<xml><FromUserName>${newPerson()}</FromUserName></xml>`)
  const query = new URLSearchParams(Object.fromEntries(spoiled.query))
  await postRaw(`${road.callbackUrl()}?${query.toString()}`, spoiled.body.replace(/.{8}]]>/, ']]>'))
  await postRaw(`${road.gateways[0]?.url}/callbacks/${newPerson()}`, SAID)
  await postRaw(`${road.callbackUrl()}?openid=${newPerson()}&token=${account.token}`, '')
}

/** Sends with every kind of end; the token is refused once on the way. */
async function liveThroughSends(
  road: Road,
  newPerson: () => string,
  tokens: string[],
): Promise<void> {
  const sender = senderOf(road)
  const readToken = async () => {
    const answer = await sender.request(`/v1/accounts/${road.account.name}/access-token`)
    const { access_token } = JSON.parse(answer.text) as { access_token: string }
    if (!tokens.includes(access_token)) tokens.push(access_token)
  }
  await readToken()
  const failures = [
    { errcode: 43004 },
    { errcode: 40003 },
    { errcode: 40037 },
    { errcode: -1, times: 1 },
    { http_status: 502, times: 1 },
    { reset: 'before' as const, times: 1 },
    { reset: 'after' as const, times: 1 },
    { receipt: 'failed:user block' },
    {},
  ]
  await Promise.all(
    failures.flatMap((failure) =>
      ROAD_CHANNELS.map(async (channel) => {
        const to = newPerson()
        await agree(road.people, to, channel)
        // platforms have been seen to repeat their input in their words
        const echo = 'errcode' in failure ? { errmsg: `no such user ${to}` } : {}
        road.sandbox.addFault({ openid: to, path: PATHS[channel], times: 4, ...failure, ...echo })
        const body = { ...bodyOf(road.account.name, { to, channel }), content: contentOf(channel) }
        const answer = await sender.request('/v1/messages', { body })
        expect(answer.status).toBe(202)
      }),
    ),
  )
  // one whose token has died, because somebody had another made, and one nobody has agreed to
  const { appId, secret } = road.account
  const forced = { grant_type: 'client_credential', appid: appId, secret, force_refresh: true }
  await postRaw(`${road.sandboxUrl}/cgi-bin/stable_token`, JSON.stringify(forced))
  const unlucky = newPerson()
  await road.people.follow(unlucky)
  await sender.ask({ to: unlucky, channel: 'template_message' })
  await sender.ask({ to: newPerson(), channel: 'template_message' })
  await sender.allEnded()
  await road.sandbox.settled()
  // the process that is asked hears of the new token a moment after the one that fetched it
  const readAgain = async () => {
    await readToken()
    return tokens.length
  }
  await until(readAgain, (count) => count > 1, 10_000)
}

function contentOf(channel: string): Record<string, unknown> {
  const data = { thing1: { value: `${SENT} ${randomUUID()}` } }
  if (channel === 'template_message') return { template_id: NOTICE, data }
  if (channel === 'subscription_message') return { template_id: SUBSCRIPTION, data }
  return { msgtype: 'text', text: { content: `${SENT} ${randomUUID()}` } }
}

/** Requests that are refused, with an openid, a key or a text where none belongs. */
async function askWrongly(road: Road, newPerson: () => string, said: Said[]): Promise<void> {
  const sender = senderOf(road)
  const { name } = road.account
  const person = newPerson()
  const good = { ...bodyOf(name, { to: person, channel: 'template_message' }) }
  const content = { template_id: NOTICE, data: { thing1: { value: SENT } } }
  const bodies: unknown[] = [
    `{"to": "${person}", "content": "${SENT}"`,
    `{"to": "${person}", "to": "${person}"}`,
    { ...good, account: person },
    { ...good, channel: person },
    { ...good, to: [person] },
    { ...good, to: `${person} ${SENT}` },
    { ...good, send_at: person },
    { ...good, content: { ...content, touser: person } },
    { ...good, content: { ...content, access_token: road.account.secret } },
    { ...good, content: { ...content, data: { thing1: SENT } } },
    { ...good, content: { ...content, template_id: `${person} ${SENT}` } },
    { ...good, content: SENT },
    [person, SENT],
  ]
  const answers = bodies.map((body) => sender.request('/v1/messages', { body }))
  const paths = [
    `/v1/messages/${person}`,
    `/v1/messages?cursor=${person}`,
    `/v1/messages?to=${person}&status=${person}`,
    `/v1/messages?account=${person}`,
    `/v1/accounts/${person}/consents/${person}`,
    `/v1/accounts/${name}/consents/${person}${'x'.repeat(200)}`,
    `/v1/accounts/${name}/consents/%${person}`,
    `/v1/events?kind=${person}&subject=${encodeURIComponent(`${person} x`)}`,
    `/v1/${person}`,
    `/${person}?key=${road.key}`,
  ]
  answers.push(...paths.map((path) => sender.request(path)))
  const consents = `/v1/accounts/${name}/consents/${person}`
  answers.push(
    sender.request(`${consents}/opt-in`, { body: { scope: person, reason: SENT } }),
    sender.request(`${consents}/opt-out`, { body: { scope: `template:${person} x`, reason: '' } }),
    sender.request('/v1/messages', { body: good, headers: { 'idempotency-key': `${person} x` } }),
    sender.request('/v1/messages', { body: good, headers: { 'content-type': `text/${person}` } }),
    sender.request('/v1/events', { headers: { authorization: `Bearer ${road.key}x` } }),
    sender.request('/v1/events', { headers: { authorization: road.key } }),
    sender.request(`/v1/messages?key=${road.key}`, { headers: { authorization: '' } }),
  )
  for (const answer of await Promise.all(answers)) {
    expect(Math.floor(answer.status / 100), answer.text).toBe(4)
    keep(said, answer)
  }
  // a field that does not exist is named to the one who wrote it, and to nobody else: not in a log
  const named = [
    { ...good, [person]: SENT },
    { ...good, content: { ...content, [person]: SENT } },
    { ...good, content: { ...content, data: { [person]: { value: 7 } } } },
  ]
  for (const body of named) {
    expect((await sender.request('/v1/messages', { body })).status).toBe(400)
  }
  expect((await sender.request(`/v1/events?${person}=1`)).status).toBe(400)
}

function keep(said: Said[], answer: ApiAnswer): void {
  said.push({ where: `answer ${answer.status}`, text: answer.text })
  said.push({ where: 'headers', text: JSON.stringify([...answer.headers]) })
}

/** A database that fails and repeats what it was given, as some of its own messages do. */
async function breakTheDatabase(road: Road, newPerson: () => string, said: Said[]): Promise<void> {
  const { db } = road.database
  const sender = senderOf(road)
  const person = newPerson()
  await db.raw(`
    create function repeat_it_all() returns trigger language plpgsql as $$
    begin
      raise exception 'cannot take %', new using detail = new::text, hint = new::text;
    end
    $$`)
  for (const table of ['message', 'event', 'consent_ledger']) {
    await db.raw(
      `create trigger break_it before insert on ${table} for each row execute function repeat_it_all()`,
    )
  }
  road.sandbox.addPushFault({ drop: true, times: 50, event: 'none' })
  for (const channel of ROAD_CHANNELS) {
    const body = {
      ...bodyOf(road.account.name, { to: person, channel }),
      content: contentOf(channel),
    }
    const answer = await sender.request('/v1/messages', { body })
    expect(answer.status).toBe(500)
    keep(said, answer)
  }
  keep(said, await sender.optOut(person, 'everything'))
  const at = Math.floor(Date.now() / 1000)
  const document = [
    `<xml><ToUserName>${road.account.originalId}</ToUserName><FromUserName>${person}</FromUserName>`,
    `<CreateTime>${at}</CreateTime><MsgType>text</MsgType><Content>${SAID}</Content>`,
    `<MsgId>${at}</MsgId></xml>`,
  ].join('')
  const pushed = await road.push(document)
  expect(pushed.text).not.toBe('success')
  said.push({ where: 'push answer', text: pushed.text })
  for (const table of ['message', 'event', 'consent_ledger']) {
    await db.raw(`drop trigger break_it on ${table}`)
  }
  await db.raw(`drop function repeat_it_all()`)

  // an attempt that cannot be begun, and one that cannot be ended
  const friends = [newPerson(), newPerson()]
  for (const friend of friends) await road.people.follow(friend)
  await db.raw(`alter table consent rename to consent_elsewhere`)
  const id = await sender.ask({ to: friends[0] ?? '', channel: 'template_message' })
  await until(
    () => road.gateways.flatMap(({ lines }) => lines),
    (lines) => lines.some((line) => line.includes('"dispatch.failed"')),
  )
  keep(said, await sender.request(`/v1/accounts/${road.account.name}/consents/${person}`))
  await db.raw(`alter table consent_elsewhere rename to consent`)
  expect((await sender.message(id)).id).toBe(id)
}

/** Secrets that an operator types; those of an account that is never used. */
const NEW_SECRETS = ['f00df00df00df00df00df00df00df00d', 'tokentypedbyhand', 'Q'.repeat(43)]

async function useTheCommandLine(road: Road, newPerson: () => string, said: Said[]): Promise<void> {
  const { name } = road.account
  const person = newPerson()
  await road.people.follow(person)
  const [secret = '', token = '', aesKey = ''] = NEW_SECRETS
  const typed = ['--secret', secret, '--token', token, '--aes-key', aesKey]
  const ids = ['--kind', 'official_account', '--app-id', 'wx00aa11bb22cc33dd']
  const commands = [
    ['account', 'list'],
    ['account', 'show', name],
    ['account', 'check', name],
    ['account', 'add', 'second', ...ids, '--original-id', 'gh_001122334455', ...typed],
    ['account', 'add', 'second!', ...ids, '--original-id', 'wrong', ...typed],
    ['account', 'add', 'third', ...ids, ...typed.map((one) => (one === aesKey ? `${one}!` : one))],
    ['account', 'rotate', 'second', '--token', `${token} with a space`],
    ['app', 'list'],
    ['doctor'],
    ['help'],
    ['frobnicate', '--token', token],
  ]
  // a few at a time: each is a process of its own
  for (let next = 0; next < commands.length; next += 3) {
    const some = commands.slice(next, next + 3)
    for (const one of await Promise.all(some.map((words) => wcg(road, ...words)))) {
      said.push({ where: `command ${one.words}`, text: one.stdout + one.stderr })
    }
  }
  // these answer about a person, to an operator who has named them; their log is silent all the same
  for (const words of [
    ['consent', 'show', name, person],
    ['consent', 'export', name, person],
    ['consent', 'show', 'nowhere', person],
  ]) {
    const { stderr } = await wcg(road, ...words)
    said.push({ where: `command ${words.slice(0, 2).join(' ')}`, text: stderr })
  }
}

/** Runs one command beside the gateways, with every log line there is. */
function wcg(
  road: Road,
  ...words: string[]
): Promise<{ code: number; stdout: string; stderr: string; words: string }> {
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    DATABASE_URL: road.database.url,
    WECHAT_API_BASE_URL: road.sandboxUrl,
    WCG_MASTER_KEY: TEST_MASTER_KEY,
    LOG_LEVEL: 'trace',
  }
  return new Promise((done) => {
    const options = { env, timeout: 20_000 }
    execFile(process.execPath, [MAIN, ...words, '--json'], options, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error ? 1 : 0
      done({ code, stdout, stderr, words: words.slice(0, 2).join(' ') })
    })
  })
}

/** Every row of every table as text, bytes in hex. */
async function dumpTables(road: Road): Promise<Said[]> {
  const { db } = road.database
  const { rows: tables } = await db.raw<{ rows: { name: string }[] }>(
    `select oid::regclass::text as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
  )
  const dumped: Said[] = []
  for (const { name } of tables) {
    const { rows } = await db.raw<{ rows: { text: string }[] }>(
      `select to_jsonb(held)::text as text from ${name} as held`,
    )
    dumped.push(...rows.map(({ text }) => ({ where: name, text })))
  }
  expect(dumped.length).toBeGreaterThan(0)
  return dumped
}

/** All a person can leave behind with us. @returns the document of one of their pushes. */
async function liveAFullLife(road: Road, person: string): Promise<string> {
  const sender = senderOf(road)
  const { people, sandbox, account } = road
  await people.follow(person)
  await people.accept(person, [SUBSCRIPTION])
  const at = Math.floor(Date.now() / 1000)
  const document = [
    `<xml><ToUserName>${account.originalId}</ToUserName><FromUserName>${person}</FromUserName>`,
    `<CreateTime>${at}</CreateTime><MsgType>text</MsgType><Content>${SAID}</Content>`,
    `<MsgId>${at}7</MsgId></xml>`,
  ].join('')
  await road.push(document)
  const ask = async (channel: (typeof ROAD_CHANNELS)[number], extra = {}) => {
    const body = { ...bodyOf(account.name, { to: person, channel }), content: contentOf(channel) }
    // an application may well put the person into its key
    const headers = { 'idempotency-key': `${person}-${randomUUID()}` }
    const answer = await sender.request('/v1/messages', { body: { ...body, ...extra }, headers })
    const { id } = JSON.parse(answer.text) as { id: string }
    return id
  }
  for (const channel of ROAD_CHANNELS) {
    await sender.ended(await ask(channel, { purpose: `an order of ${person}` }))
  }
  await sandbox.settled()
  await ask('template_message', { send_at: new Date(Date.now() + 3_600_000).toISOString() })
  // the platform repeats the person in its words
  const errmsg = `invalid openid ${person}`
  sandbox.addFault({
    openid: person,
    path: PATHS.customer_service_message,
    errcode: 40003,
    errmsg,
    times: 1,
  })
  await sender.ended(await ask('customer_service_message'))
  await sender.optOut(person, 'follow')
  await sender.ended(await ask('template_message'))
  return document
}

interface Exported {
  readonly consents: readonly unknown[]
  readonly ledger: readonly { readonly ledger_id: string }[]
  readonly events: readonly { id: string }[]
  readonly messages: readonly { id: string; attempts?: readonly { id: string | number }[] }[]
}

function parseExport(text: string): Exported {
  return JSON.parse(text) as Exported
}

function ids(rows: readonly { readonly id: string | number }[]): string[] {
  return rows.map(({ id }) => String(id)).toSorted()
}

async function postRaw(url: string, body: string): Promise<void> {
  await fetch(url, { method: 'POST', body, headers: { 'content-type': 'text/xml' } })
}
