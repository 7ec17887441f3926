import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changeConsents, findConsents } from '../../src/consent/consent-store.ts'
import { modelOf, type ModelRow } from '../support/consent-model.ts'
import { useTestDatabase } from '../support/database.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const T0 = Date.parse('2026-03-01T00:00:00Z')
const SCOPES = [
  'follow',
  'everything',
  'template:A',
  'template:B',
  'template:*',
  'conversation',
  'member',
  'external_contact:A',
]

let people = 0
const newPerson = () => `oPerson${(people += 1)}`

function toJson(accountId: number, subject: string, row: ModelRow) {
  return {
    account_id: accountId,
    subject,
    scope: row.scope,
    change: row.change,
    effective_at: new Date(T0 + row.at * 1000),
    evidence: row.byPerson ? 'event' : 'import',
    event_id: row.byPerson ? '1' : null,
    actor: row.byPerson ? null : 'test',
    reason: 'test',
    credits: row.scope.startsWith('template:') ? row.credits : null,
  }
}

/** Few seconds, so that many rows fall into the same one. */
const anyRow = fc.record({
  scope: fc.constantFrom(...SCOPES),
  change: fc.constantFrom('granted' as const, 'revoked' as const, 'suppressed' as const),
  at: fc.integer({ min: 0, max: 6 }),
  credits: fc.constantFrom(0, 1, 1, 1, null),
  byPerson: fc.boolean(),
})

function plausible(row: ModelRow): ModelRow {
  if (row.scope === 'template:*') return { ...row, change: 'revoked' }
  return row.scope.startsWith('template:') ? row : { ...row, credits: null }
}

async function stateOf(accountId: number, subject: string) {
  const held = await findConsents(database().db, accountId, subject)
  return Object.fromEntries(
    held.map((one) => [
      one.scope,
      {
        state: one.state,
        at: (one.effectiveAt.getTime() - T0) / 1000,
        credits: one.credits,
        refused: one.refused,
      },
    ]),
  )
}

function expectedOf(rows: readonly ModelRow[]) {
  const states = SCOPES.map((scope) => [scope, modelOf(rows, scope)] as const)
  return Object.fromEntries(states.filter(([, state]) => state !== undefined))
}

describe('the projection', () => {
  it('gives what the model gives, in whatever order and grouping the changes arrive', async () => {
    const accountId = await insertAccount(database().db)
    const anyHistory = fc
      .array(anyRow.map(plausible), { minLength: 1, maxLength: 12 })
      .chain((rows) =>
        fc.record({
          rows: fc.constant(rows),
          order: fc.shuffledSubarray([...rows.keys()], { minLength: rows.length }),
          groups: fc.integer({ min: 1, max: 4 }),
        }),
      )
    await fc.assert(
      fc.asyncProperty(anyHistory, async ({ rows, order, groups }) => {
        const subject = newPerson()
        const shuffled = order.map((index) => toJson(accountId, subject, rows[index]!))
        const size = Math.ceil(shuffled.length / groups)
        for (let from = 0; from < shuffled.length; from += size) {
          await changeConsents(database().db, shuffled.slice(from, from + size))
        }
        expect(await stateOf(accountId, subject)).toEqual(expectedOf(rows))
      }),
      { numRuns: 300 },
    )
  })

  it('gives what the model gives when two processes write at the same instant', async () => {
    const accountId = await insertAccount(database().db)
    const other = database().openAnother()
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyRow.map(plausible), { minLength: 2, maxLength: 10 }),
        async (rows) => {
          const subject = newPerson()
          await Promise.all(
            rows.map((row, index) =>
              changeConsents(index % 2 === 0 ? database().db : other, [
                toJson(accountId, subject, row),
              ]),
            ),
          )
          expect(await stateOf(accountId, subject)).toEqual(expectedOf(rows))
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('consent_ledger', () => {
  it.each([
    ['update', `update consent_ledger set reason = 'other'`],
    ['delete', `delete from consent_ledger`],
    ['truncate', `truncate consent_ledger`],
  ])('refuses %s', async (_, statement) => {
    const accountId = await insertAccount(database().db)
    await changeConsents(database().db, [
      toJson(accountId, newPerson(), {
        scope: 'follow',
        change: 'granted',
        at: 0,
        credits: null,
        byPerson: false,
      }),
    ])
    await expect(database().db.raw(statement)).rejects.toMatchObject({ code: 'WCG01' })
  })

  it('refuses a row without the evidence it names', async () => {
    const accountId = await insertAccount(database().db)
    const row = { account_id: accountId, subject: 'oA', scope: 'follow', change: 'granted' }
    const rest = { effective_at: new Date(T0), reason: 'test' }
    await expect(
      changeConsents(database().db, [{ ...row, ...rest, evidence: 'event' }]),
    ).rejects.toMatchObject({ constraint: 'consent_ledger_evidence_check' })
  })
})
