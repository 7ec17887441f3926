import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'
import { createAccountCodes } from '../../src/wechat/account-codes.ts'
import {
  listOverrides,
  loadOverrides,
  putOverride,
  removeOverride,
} from '../../src/wechat/code-override-store.ts'
import { meaningOf, OVERRIDE_CLASSES, overrideFault } from '../../src/wechat/code-override.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import { until } from '../support/send-road.ts'

const database = useTestDatabase()
const db = () => database().db
const OFFICIAL = { kind: 'official_account' } as const
const APP = { kind: 'wecom_app' } as const

describe('overrideFault', () => {
  it.each([43004, 40132])('leaves %i an opt-out, for every product of WeChat', (code) => {
    for (const errorClass of OVERRIDE_CLASSES.filter((name) => name !== 'opt_out')) {
      for (const space of ['oa', 'mini', 'open'] as const) {
        expect(overrideFault(space, code, errorClass)).toBe('always_opt_out')
      }
      expect(overrideFault('wecom', code, errorClass)).toBeNull()
    }
    expect(overrideFault('oa', code, 'opt_out')).toBeNull()
  })

  it('leaves success alone, and offers no class of success', () => {
    expect(overrideFault('oa', 0, 'other')).toBe('code_of_success')
    expect(OVERRIDE_CLASSES).not.toContain('ok')
  })
})

describe('meaningOf', () => {
  const reason = 'a test'

  it('has the table’s words in the operator’s class', () => {
    const meaning = meaningOf(OFFICIAL, 43101, { class: 'other', reason })
    expect(meaning).toMatchObject({ known: true, class: 'other', row: { class: 'other' } })
    expect(meaning.row?.nameZh).toBe(meaningOf(OFFICIAL, 43101, undefined).row?.nameZh)
  })

  it('lets an opt-out reach as far as the table says, and else the wider way', () => {
    const kept = meaningOf(OFFICIAL, 43101, { class: 'opt_out', reason })
    expect(kept.row).toMatchObject({ optOutScope: 'template' })
    const made = meaningOf(OFFICIAL, 45015, { class: 'opt_out', reason })
    expect(made.row).toMatchObject({ optOutScope: 'follow' })
  })

  it('knows a code that no table has, from then on', () => {
    expect(meaningOf(OFFICIAL, 987654, { class: 'content', reason })).toMatchObject({
      known: true,
      class: 'content',
      row: { code: 987654, action: reason },
    })
  })

  it('pays no heed to a row that may not be', () => {
    expect(meaningOf(OFFICIAL, 43004, { class: 'other', reason }).class).toBe('opt_out')
    expect(meaningOf(APP, 43004, { class: 'other', reason }).class).toBe('other')
  })
})

describe('the overrides of an account', () => {
  it('are recorded with who, why and when, also when they are replaced or taken back', async () => {
    const accountId = await insertAccount(db())
    const act = { accountId, code: 43101, actor: 'ops', reason: 'first' }
    await putOverride(db(), { ...act, class: 'other' })
    await putOverride(db(), { ...act, class: 'template', actor: 'ops-2', reason: 'second' })
    expect(await loadOverrides(db())).toMatchObject([{ accountId, code: 43101, class: 'template' }])
    expect(await removeOverride(db(), { ...act, reason: 'over' })).toBe(true)
    expect(await removeOverride(db(), act)).toBe(false)
    expect(await loadOverrides(db())).toEqual([])
    expect(await listOverrides(db(), accountId)).toMatchObject([
      {
        class: 'template',
        actor: 'ops-2',
        reason: 'second',
        removedBy: 'ops',
        removalReason: 'over',
      },
      { class: 'other', actor: 'ops', reason: 'first', removedBy: 'ops-2' },
    ])
  })

  it('are one per code when two operators decide at once', async () => {
    const accountId = await insertAccount(db())
    const act = { accountId, code: 47003, actor: 'ops', reason: 'at once' }
    await Promise.all(
      (['other', 'content', 'template', 'config'] as const).map((name) =>
        putOverride(db(), { ...act, class: name }),
      ),
    )
    const recorded = await listOverrides(db(), accountId)
    expect(recorded).toHaveLength(4)
    expect(recorded.filter(({ removedAt }) => removedAt === null)).toHaveLength(1)
  })
})

describe('createAccountCodes', () => {
  it('answers at once, follows a change, and serves on while the database is away', async () => {
    const lines: string[] = []
    const log = createLog('debug', { write: (line: string) => void lines.push(line) })
    const accountId = await insertAccount(db())
    const account = { id: accountId, ...OFFICIAL }
    let isAway = false
    const read = () => (isAway ? Promise.reject(new Error('away')) : loadOverrides(db()))
    const codes = createAccountCodes({ read, clock: systemClock, log })
    expect(codes.lookUp(account, 45047).class).toBe('window_closed')
    await codes.settle()
    await putOverride(db(), { accountId, code: 45047, actor: 'ops', reason: 'x', class: 'other' })
    codes.invalidate()
    await until(
      () => codes.lookUp(account, 45047).class,
      (found) => found === 'other',
    )
    isAway = true
    await codes.load()
    expect(codes.lookUp(account, 45047).class).toBe('other')
    expect(lines.join('')).toContain('codes.overrides_unreadable')
    expect(codes.lookUp({ ...account, id: accountId + 1 }, 45047).class).toBe('window_closed')
  })
})
