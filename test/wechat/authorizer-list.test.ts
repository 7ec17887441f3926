import { describe, expect, it } from 'vitest'
import {
  findListedToken,
  walkAuthorizerList,
  type AskForPage,
  type AuthorizerListCall,
} from '../../src/wechat/authorizer-list.ts'

const entry = (index: number) => ({
  authorizer_appid: `wx${index}`,
  refresh_token: `token ${index}`,
  auth_time: 1_767_312_000 + index,
})

/** A platform with so many merchants; a page may be changed on its way. */
function listOf(count: number, change: (body: object, page: number) => unknown = (body) => body) {
  const calls: AuthorizerListCall[] = []
  const ask: AskForPage<'away'> = async (call) => {
    calls.push(call)
    const { offset, count: most } = call.body
    const list = Array.from({ length: count }, (_, index) => entry(index)).slice(
      offset,
      offset + most,
    )
    const body = change({ total_count: count, list }, calls.length)
    return body === 'away' ? { kind: 'failed', failure: 'away' } : { kind: 'body', body }
  }
  return { componentAppId: 'wxcomponent', ask, calls }
}

async function readAll(list: ReturnType<typeof listOf>) {
  const seen: string[] = []
  const walked = await walkAuthorizerList({
    ...list,
    visit: (page) => {
      seen.push(...page.map(({ appId }) => appId))
      return true
    },
  })
  return { ...walked, seen }
}

describe('walkAuthorizerList', () => {
  it.each([
    [0, 1],
    [1, 1],
    [500, 1],
    [501, 2],
    [1_203, 3],
  ])('reads %i merchants in %i pages', async (count, pages) => {
    const list = listOf(count)
    const { kind, seen } = await readAll(list)
    expect([kind, seen.length, new Set(seen).size]).toEqual(['complete', count, count])
    expect(list.calls.map(({ body }) => body)).toEqual(
      Array.from({ length: pages }, (_, page) => {
        return { component_appid: 'wxcomponent', offset: page * 500, count: 500 }
      }),
    )
  })

  it('ends at an empty page, whatever the platform counts', async () => {
    const list = listOf(3, (body) => ({ ...body, total_count: 9_999 }))
    expect((await readAll(list)).kind).toBe('complete')
    expect(list.calls).toHaveLength(2)
  })

  it('gives up a list that goes on and on', async () => {
    const list = listOf(1, () => ({ total_count: 1e9, list: [entry(1)] }))
    expect((await readAll(list)).kind).toBe('partly')
    expect(list.calls).toHaveLength(200)
  })

  it('tells a failure and an answer that is no list, also on the second page', async () => {
    const away = listOf(600, (body, page) => (page === 2 ? 'away' : body))
    expect(await readAll(away)).toMatchObject({ kind: 'failed', failure: 'away' })
    const bad = listOf(600, (body, page) => (page === 2 ? { list: 'x' } : body))
    expect((await readAll(bad)).kind).toBe('bad')
  })

  it('reads what may be missing', async () => {
    const listed: unknown[] = []
    const list = listOf(1, () => ({
      total_count: 2,
      list: [
        { authorizer_appid: 'wxa', refresh_token: '' },
        { ...entry(1), auth_time: 'x' },
      ],
    }))
    await walkAuthorizerList({ ...list, visit: (page) => listed.push(...page) > 0 })
    expect(listed).toEqual([
      { appId: 'wxa', refreshToken: null, authorizedAt: null },
      { appId: 'wx1', refreshToken: 'token 1', authorizedAt: null },
    ])
  })
})

describe('findListedToken', () => {
  it('stops at the page that has the merchant', async () => {
    const list = listOf(1_600)
    expect(await findListedToken(list, 'wx700')).toEqual({
      kind: 'listed',
      refreshToken: 'token 700',
    })
    expect(list.calls).toHaveLength(2)
  })

  it('finds none where none is', async () => {
    const none = { kind: 'listed', refreshToken: null }
    expect(await findListedToken(listOf(1_600), 'wxelse')).toEqual(none)
  })
})
