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
import { ERROR_CODES } from '../../src/wechat/error-code-table.ts'
import { ERROR_CLASSES } from '../../src/wechat/error-codes.ts'
import { TOKEN_SOURCES } from '../../src/wechat/token-sources.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'
import { until } from '../support/send-road.ts'

const database = useTestDatabase()
const db = () => database().db
const OFFICIAL = { kind: 'official_account' } as const
const APP = { kind: 'wecom_app' } as const

describe('overrideFault', () => {
  it.each([43004, 40132, 48002, 50005])(
    'leaves %i an opt-out, for every product of WeChat',
    (code) => {
      for (const errorClass of OVERRIDE_CLASSES.filter((name) => name !== 'opt_out')) {
        for (const space of ['oa', 'mini', 'open'] as const) {
          expect(overrideFault(space, code, errorClass)).toBe('always_opt_out')
        }
        expect(overrideFault('wecom', code, errorClass)).not.toBe('always_opt_out')
      }
      expect(overrideFault('oa', code, 'opt_out')).toBeNull()
    },
  )

  it('lets only the platform say that a call succeeded or that a token is dead', () => {
    expect(OVERRIDE_CLASSES).toEqual(
      ERROR_CLASSES.filter((name) => !['ok', 'duplicate', 'token'].includes(name)),
    )
    for (const { platform, code } of ERROR_CODES) {
      const space = platform === 'any' ? 'oa' : platform
      for (const name of ['ok', 'duplicate', 'token'] as const) {
        expect(overrideFault(space, code, name), `${space} ${code} ${name}`).not.toBeNull()
      }
    }
    expect(overrideFault('oa', 0, 'other')).toBe('code_of_success')
    expect(overrideFault('oa', 45065, 'other')).toBe('code_of_success')
    expect(overrideFault('oa', 987654, 'duplicate')).toBe('class_is_settled')
    expect(overrideFault('oa', 47001, 'token')).toBe('class_is_settled')
  })

  it('leaves what ends a token of some account to end it', () => {
    for (const { space, deadCodes } of Object.values(TOKEN_SOURCES)) {
      for (const code of deadCodes)
        expect(overrideFault(space, code, 'other')).toBe('code_of_token')
    }
  })

  it.each([
    // a refusal the platform does not document, or uses for a spent credit too, may be judged
    ['oa', 43101, 'other', null],
    ['oa', 43006, 'invalid_recipient', null],
    ['oa', 10703, 'content', null],
    ['mini', 103010, 'permission', null],
    // but is never called again, and brings no other message
    ['oa', 43101, 'transient', 'refusal_is_repeated'],
    ['oa', 43101, 'rate_minute', 'refusal_is_repeated'],
    ['oa', 43101, 'quota_daily', 'refusal_is_repeated'],
    ['oa', 43101, 'template', 'code_of_one_person'],
    // what is about one person stops nobody else
    ['oa', 45015, 'opt_out', null],
    ['oa', 45047, 'rate_minute', null],
    ['oa', 45047, 'blocked_account', 'code_of_one_person'],
    ['oa', 40003, 'quota_daily', 'code_of_one_person'],
    // what is about everybody is nobody's refusal
    ['oa', 47003, 'opt_out', 'code_of_no_refusal'],
    ['oa', 40037, 'opt_out', 'code_of_no_refusal'],
    ['wecom', 48002, 'opt_out', 'code_of_no_refusal'],
    ['oa', 45011, 'opt_out', 'code_of_no_refusal'],
    ['wecom', 60011, 'invalid_recipient', null],
    ['oa', 45009, 'invalid_recipient', 'code_of_no_person'],
    ['oa', -1, 'window_closed', 'code_of_no_person'],
    ['oa', 45009, 'rate_minute', null],
    ['oa', 987654, 'opt_out', null],
    ['wecom', 84061, 'opt_out', null],
  ] as const)('%s %i as %s: %s', (space, code, errorClass, fault) => {
    expect(overrideFault(space, code, errorClass)).toBe(fault)
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
    expect(meaningOf(OFFICIAL, 45015, { class: 'duplicate', reason }).class).toBe('window_closed')
    expect(meaningOf(OFFICIAL, 47001, { class: 'token', reason }).class).toBe('content')
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

  it('serves on beside an override that was possible once, and says once that it is ignored', async () => {
    const lines: string[] = []
    const log = createLog('debug', { write: (line: string) => void lines.push(line) })
    const accountId = await insertAccount(db())
    const old = { account_id: accountId, actor: 'ops', reason: 'as it was' }
    await db()('code_override').insert([
      { ...old, code: 45015, class: 'duplicate' },
      { ...old, code: 47001, class: 'token' },
      { ...old, code: 45047, class: 'other' },
    ])
    const codes = createAccountCodes({ read: () => loadOverrides(db()), clock: systemClock, log })
    await codes.load()
    await codes.load()
    const classOf = (code: number) => codes.lookUp({ id: accountId, ...OFFICIAL }, code).class
    expect([45015, 47001, 45047].map(classOf)).toEqual(['window_closed', 'content', 'other'])
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(told.filter(({ msg }) => msg === 'codes.override_ignored')).toMatchObject([
      { level: 'warn', errcode: 45015, class: 'duplicate', reason: 'class_is_settled' },
      { level: 'warn', errcode: 47001, class: 'token', reason: 'class_is_settled' },
    ])
  })
})
