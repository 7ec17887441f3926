import { beforeAll, describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { SCHEMAS } from '../../src/api/schemas.ts'
import { putOverride } from '../../src/wechat/code-override-store.ts'
import { codesOf } from '../../src/wechat/explain-code.ts'
import { useTestDatabase } from '../support/database.ts'
import { addAccount, clientOf, serveApi } from './served-api.ts'

const database = useTestDatabase()
let client: ReturnType<typeof clientOf>

beforeAll(async () => {
  const api = serveApi(database().db)
  const { id } = await addAccount(database().db, 'acme')
  await addAccount(database().db, 'foreign')
  const shop = await api.applications.add({ name: 'shop', accountNames: ['acme'] })
  client = clientOf(api.app, shop.key)
  const act = { accountId: id, actor: 'ops', reason: 'our templates are exempt' }
  await putOverride(database().db, { ...act, code: 43101, class: 'other' })
  await putOverride(database().db, { ...act, code: 987654, class: 'content' })
})

async function list(query: string) {
  const answer = await client.get(`/v1/error-codes${query}`)
  expect(answer.status).toBe(200)
  return SCHEMAS.ErrorCodeList.parse(answer.body)
}

describe('GET /v1/error-codes', () => {
  it('explains one code of one platform, in both languages', async () => {
    const { error_codes: found, next_cursor: next } = await list('?platform=oa&code=43004')
    expect(next).toBeNull()
    expect(found).toMatchObject([
      {
        code: 43004,
        platform: 'oa',
        found_in: 'oa',
        class: 'opt_out',
        name: { en: expect.any(String) as string, zh: expect.any(String) as string },
        retry: 'never',
        source: expect.stringContaining('https://') as string,
        override: null,
      },
    ])
  })

  it('tells the platforms apart', async () => {
    const { error_codes: found } = await list('?code=43004')
    expect(found.map((one) => [one.platform, one.found_in, one.class])).toEqual([
      ['oa', 'oa', 'opt_out'],
      ['mini', 'oa', 'opt_out'],
      ['open', 'oa', 'opt_out'],
      ['wecom', 'wecom', 'invalid_recipient'],
    ])
  })

  it('pages through every code of a platform, each once', async () => {
    const seen: number[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const more: string = cursor === '' ? '' : `&cursor=${cursor}`
      const page: z.output<typeof SCHEMAS.ErrorCodeList> = await list(
        `?platform=wecom&limit=100${more}`,
      )
      seen.push(...page.error_codes.map(({ code }) => code))
      cursor = page.next_cursor
    }
    expect(seen).toEqual([...codesOf('wecom')])
  })

  it('shows what an operator decided for an account, and who and why', async () => {
    const { error_codes: found } = await list('?account=acme&code=43101')
    expect(found).toMatchObject([
      {
        class: 'other',
        override: { replaces: 'opt_out', actor: 'ops', reason: 'our templates are exempt' },
      },
    ])
    expect((await list('?code=43101&platform=oa')).error_codes).toMatchObject([
      { class: 'opt_out', override: null },
    ])
  })

  it('knows the codes that only an operator knows', async () => {
    const { error_codes: found } = await list('?account=acme&code=987654')
    expect(found).toMatchObject([{ found_in: null, class: 'content', source: null }])
  })

  it.each([
    ['?platform=weibo', 'platform'],
    ['?code=abc', 'code'],
    ['?cursor=nonsense', 'cursor'],
    ['?colour=red', 'colour'],
  ])('refuses %s by name', async (query, field) => {
    const answer = await client.get(`/v1/error-codes${query}`)
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ code: 'invalid_query', faults: [{ field }] })
  })

  it('knows no account of others', async () => {
    expect((await client.get('/v1/error-codes?account=foreign')).status).toBe(404)
  })
})
