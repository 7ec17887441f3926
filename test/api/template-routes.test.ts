import request from 'supertest'
import { beforeAll, describe, expect, it } from 'vitest'
import { inSync } from '../../src/templates/template-store.ts'
import type { Template } from '../../src/templates/template.ts'
import { useTestDatabase } from '../support/database.ts'
import { aTemplate } from '../templates/known.ts'
import { addAccount, serveApi, templateSend, type ServedApi } from './served-api.ts'

const database = useTestDatabase()
let api: ServedApi
let key: string
let accountId: number

const store = (accountId: number, templates: readonly Template[]) =>
  inSync(database().db, accountId, ({ save }) => save({ templates, doubted: [] }))

beforeAll(async () => {
  api = serveApi(database().db)
  const { id } = await addAccount(database().db, 'acme')
  await addAccount(database().db, 'other')
  accountId = id
  key = (await api.applications.add({ name: 'shop', accountNames: ['acme'] })).key
  await store(id, [
    aTemplate('EXACT', ['thing1', 'time2']),
    aTemplate('GENERAL', ['thing5']),
    aTemplate('GONE', ['thing1'], { status: 'withdrawn' }),
  ])
})

const call = (method: 'get' | 'put' | 'delete' | 'post', path: string, body?: object) =>
  request(api.app)[method](path).set('authorization', `Bearer ${key}`).send(body)

const ALIAS = '/v1/accounts/acme/template-aliases/order_shipped'
const body = {
  channel: 'template_message',
  template_id: 'EXACT',
  fallbacks: [{ template_id: 'GENERAL', map: { thing5: 'thing1' } }],
}

interface Problem {
  readonly code: string
  readonly faults: readonly { readonly field: string; readonly rule: string }[]
}

const fieldsOf = ({ body: problem }: { body: unknown }) =>
  (problem as Problem).faults.map(({ field }) => field)

describe('GET /v1/accounts/{account}/templates', () => {
  it('answers what is known, with fields, rules and status', async () => {
    const answer = await call('get', '/v1/accounts/acme/templates')
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({
      account: 'acme',
      templates: [
        {
          ...{ template_id: 'EXACT', channel: 'template_message', status: 'live', aliases: [] },
          fields: [
            { name: 'thing1', type: 'thing', label: '字段thing1', rule: 'at most 20 characters' },
            { name: 'time2', type: 'time', choices: [] },
          ],
        },
        { template_id: 'GENERAL' },
        { template_id: 'GONE', status: 'withdrawn' },
      ],
    })
  })

  it('does not tell whether an account of others exists', async () => {
    expect((await call('get', '/v1/accounts/other/templates')).status).toBe(404)
    expect((await call('put', ALIAS.replace('acme', 'other'), body)).status).toBe(404)
  })
})

describe('/v1/accounts/{account}/template-aliases', () => {
  it('is set, read, replaced and taken away', async () => {
    const set = await call('put', ALIAS, body)
    expect(set.body).toMatchObject({ alias: 'order_shipped', actor: 'shop', ...body })
    expect((await call('get', ALIAS)).body).toEqual(set.body)
    const replaced = await call('put', ALIAS, { ...body, fallbacks: [] })
    expect(replaced.body).toMatchObject({ template_id: 'EXACT', fallbacks: [] })
    const listed = await call('get', '/v1/accounts/acme/template-aliases')
    expect(listed.body).toEqual({ account: 'acme', aliases: [replaced.body] })
    expect((await call('delete', ALIAS)).body).toEqual(replaced.body)
    for (const method of ['get', 'delete'] as const) {
      const missing = await call(method, ALIAS)
      expect([missing.status, missing.body]).toMatchObject([
        404,
        { code: 'template_alias_not_found' },
      ])
    }
  })

  it.each([
    ['a field too many', { ...body, more: 1 }, 'more'],
    ['another channel', { ...body, channel: 'wecom_app_message' }, 'channel'],
    ['an alias as a template', { ...body, template_id: '@other' }, 'template_id'],
    [
      'a map to no field',
      {
        ...body,
        fallbacks: [{ template_id: 'GENERAL', map: { thing5: 'thing1', thing6: 'thing1' } }],
      },
      'fallbacks.0.map.thing6',
    ],
    [
      'a template twice',
      { ...body, fallbacks: [{ template_id: 'EXACT' }] },
      'fallbacks.0.template_id',
    ],
    [
      'a field without a value',
      { ...body, fallbacks: [{ template_id: 'GENERAL' }] },
      'fallbacks.0.map.thing5',
    ],
  ])('refuses %s', async (_, wrong, field) => {
    const answer = await call('put', ALIAS, wrong)
    expect(answer.status).toBe(400)
    expect(fieldsOf(answer)).toContain(field)
  })

  it('refuses a name that is none', async () => {
    const answer = await call('put', ALIAS.replace('order_shipped', 'Order-Shipped'), body)
    expect([answer.status, fieldsOf(answer)]).toEqual([400, ['alias']])
  })
})

describe('a send', () => {
  const send = (content: object, path = '/v1/messages') =>
    call('post', path, templateSend({ content }))

  it.each(['/v1/messages', '/v1/messages:check'])(
    'names each field that does not fit its template (%s)',
    async (path) => {
      const data = { thing1: { value: '字'.repeat(21) }, thing9: { value: 'x' } }
      const answer = await send({ template_id: 'EXACT', data }, path)
      expect(answer.status).toBe(400)
      expect(fieldsOf(answer)).toEqual([
        'content.data.thing9',
        'content.data.time2',
        'content.data.thing1.value',
      ])
    },
  )

  it('refuses a withdrawn template, and an unknown one where the account says so', async () => {
    expect(fieldsOf(await send({ template_id: 'GONE', data: {} }))).toEqual(['content.template_id'])
    expect((await send({ template_id: 'UNKNOWN', data: {} })).status).toBe(202)
    api.setStrictTemplates(true)
    expect(fieldsOf(await send({ template_id: 'UNKNOWN', data: {} }))).toEqual([
      'content.template_id',
    ])
    api.setStrictTemplates(false)
  })

  it('is answered as before under its key when its template has gone meanwhile', async () => {
    await store(accountId, [aTemplate('SOON', ['thing1'])])
    const ask = () =>
      call(
        'post',
        '/v1/messages',
        templateSend({ content: { template_id: 'SOON', data: { thing1: { value: '茶' } } } }),
      ).set('idempotency-key', 'soon-1')
    const first = await ask()
    expect(first.status).toBe(202)
    await store(accountId, [aTemplate('SOON', ['thing1'], { status: 'withdrawn' })])
    const again = await ask()
    expect([again.status, again.body]).toEqual([202, first.body])
    expect((await ask().set('idempotency-key', 'soon-2')).status).toBe(400)
  })
})

describe('a broadcast', () => {
  const post = (lines: readonly object[]) =>
    request(api.app)
      .post('/v1/broadcasts')
      .set('authorization', `Bearer ${key}`)
      .set('content-type', 'application/x-ndjson')
      .send(lines.map((line) => JSON.stringify(line)).join('\n'))
  const head = (data: object, more: object = {}) => ({
    ...{ account: 'acme', channel: 'template_message' },
    ...{ content: { template_id: 'EXACT', data }, ...more },
  })
  const TEA = { thing1: { value: '茶' } }

  it('refuses a head that does not fit', async () => {
    const answer = await post([head({ thing7: { value: 'x' } }), { to: 'oAnn' }])
    expect([answer.status, fieldsOf(answer)]).toEqual([400, ['content.data.thing7']])
  })

  it('keeps lines apart whose values are missing, too long or unknown', async () => {
    const answer = await post([
      head(TEA),
      { to: 'oAnn', data: { time2: { value: '15:01' } } },
      { to: 'oBob' },
      { to: 'oCyn', data: { time2: { value: '15:01' }, thing1: { value: '字'.repeat(21) } } },
      { to: 'oDan', data: { time2: { value: '15:01' }, thing7: { value: 'x' } } },
    ])
    expect(answer.status).toBe(202)
    const { lines, bad_lines: bad } = answer.body as {
      lines: { accepted: number; bad: number }
      bad_lines: { line: number; reason: string }[]
    }
    expect(lines).toMatchObject({ accepted: 1, bad: 3 })
    expect(bad.map(({ line, reason }) => [line, reason.split(':')[0]])).toEqual([
      [3, 'data.time2'],
      [4, 'data.thing1.value'],
      [5, 'data.thing7'],
    ])
  })

  it('to an audience must have every value, and may name its template by the alias', async () => {
    const audience = { scope: 'template:@news' }
    await call('put', ALIAS.replace('order_shipped', 'news'), { ...body, fallbacks: [] })
    const content = { template_id: '@news', data: TEA }
    const lacking = await call('post', '/v1/broadcasts', head(TEA, { audience, content }))
    expect([lacking.status, fieldsOf(lacking)]).toEqual([400, ['content.data.time2']])
    const whole = { template_id: '@news', data: { ...TEA, time2: { value: '15:01' } } }
    const made = await call('post', '/v1/broadcasts', head(TEA, { audience, content: whole }))
    expect(made.body).toMatchObject({ template_id: 'EXACT', audience: { scope: 'template:EXACT' } })
    const other = { audience: { scope: 'template:@olds' }, content: whole }
    expect(fieldsOf(await call('post', '/v1/broadcasts', head(TEA, other)))).toEqual([
      'audience.scope',
    ])
  })
})
