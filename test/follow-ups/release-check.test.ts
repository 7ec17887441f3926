import { describe, expect, it } from 'vitest'
import { useTenantRoad } from '../support/tenant-road.ts'

describe('the release check of a component', { timeout: 30_000 }, () => {
  const road = useTenantRoad()

  it.each(['official_account', 'mini_program'] as const)('is passed for its %s', async (kind) => {
    const result = await road().component.releaseCheck({ kind, wait_ms: 10_000 })
    expect(result).toMatchObject({
      text_reply: { passed: true },
      api_reply: { passed: true },
      event_reply: { passed: true },
      passed: true,
    })
    await road().untilJobsDone()
  })

  it('leaves nothing behind: no account and no event of the checkers', async () => {
    const { db } = road().database
    const { ids } = road()
    expect(await db('account').where({ parent_id: ids.component })).toEqual([])
    const kinds = await db('event').where({ account_id: ids.component }).distinct().pluck('kind')
    expect(kinds).toEqual(['component.component_verify_ticket'])
  })
})
