import { describe, expect, it } from 'vitest'
import { findConsents } from '../../src/consent/consent-store.ts'
import {
  carryConsents,
  listConsentsWith,
  listCustomers,
  listSiblings,
} from '../../src/follow-ups/rekey-store.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent, newPerson, readLedger } from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db

const RENAMED_AT = new Date('2026-03-02T08:00:00Z')
const before = (seconds: number) => new Date(RENAMED_AT.getTime() - seconds * 1000)
const after = (seconds: number) => before(-seconds)

/** A member under two ids, and the event that says they are one. */
async function renamed() {
  const accountId = await insertAccount(db())
  const [old, next] = [newPerson(), newPerson()]
  const say = (subject: string, scope: string, change: Change, at: Date) =>
    giveConsent(db(), { accountId, subject, scope, change, at })
  const carry = (endedAt: Date | null = RENAMED_AT) =>
    carryConsents(
      db(),
      { accountId, eventId: '7', kind: 'update_user', endedAt },
      ['member', 'everything'].map((scope) => ({
        from: { subject: old, scope },
        to: { subject: next, scope },
      })),
    )
  const stateOf = async (subject: string, scope: string) => {
    const held = await findConsents(db(), accountId, subject)
    return held.find((one) => one.scope === scope)?.state
  }
  return { accountId, old, next, say, carry, stateOf }
}

type Change = 'granted' | 'revoked' | 'suppressed'

describe('carry_consents', () => {
  it.each<[string, [Change, Date], [Change, Date] | null, Change]>([
    ['a grant', ['granted', before(9)], null, 'granted'],
    ['a refusal', ['revoked', before(9)], null, 'revoked'],
    ['a refusal over an older grant', ['revoked', before(5)], ['granted', before(9)], 'revoked'],
    ['no refusal over a newer grant', ['revoked', before(9)], ['granted', before(5)], 'granted'],
    ['a refusal of the same second', ['revoked', before(5)], ['granted', before(5)], 'revoked'],
    ['no grant of the same second', ['granted', before(5)], ['revoked', before(5)], 'revoked'],
    ['no grant over a newer refusal', ['granted', before(9)], ['revoked', before(5)], 'revoked'],
  ])('carries %s', async (_what, [change, at], known, state) => {
    const { old, next, say, carry, stateOf } = await renamed()
    await say(old, 'member', change, at)
    if (known) await say(next, 'member', ...known)
    await carry()
    expect(await stateOf(next, 'member')).toBe(state)
    expect(await stateOf(old, 'member')).toBe(change === 'granted' ? 'suppressed' : change)
  })

  it('keeps a stop under both ids', async () => {
    const { old, next, say, carry, stateOf } = await renamed()
    await say(old, 'everything', 'revoked', before(9))
    await say(next, 'member', 'granted', before(1))
    expect(await carry()).toBe(1)
    expect(await stateOf(old, 'everything')).toBe('revoked')
    expect(await stateOf(next, 'everything')).toBe('revoked')
  })

  it('says nothing a second time, but what came late', async () => {
    const { accountId, old, next, say, carry, stateOf } = await renamed()
    await say(old, 'member', 'granted', before(9))
    expect(await carry()).toBe(1)
    const ledger = await readLedger(db(), accountId, next)
    expect(await carry()).toBe(0)
    expect(await readLedger(db(), accountId, next)).toEqual(ledger)

    await say(old, 'member', 'revoked', before(4))
    expect(await carry()).toBe(1)
    expect(await stateOf(next, 'member')).toBe('revoked')
  })

  it('leaves to somebody else what is said of the old id afterwards', async () => {
    const { old, next, say, carry, stateOf } = await renamed()
    await say(old, 'member', 'revoked', before(9))
    await say(old, 'member', 'granted', after(60))
    await carry()
    expect(await stateOf(next, 'member')).toBe('revoked')
    expect(await stateOf(old, 'member')).toBe('granted')
  })

  it('ends nothing where old and new id go on side by side', async () => {
    const { old, next, say, carry, stateOf } = await renamed()
    await say(old, 'member', 'granted', after(60))
    await carry(null)
    expect(await stateOf(next, 'member')).toBe('granted')
    expect(await stateOf(old, 'member')).toBe('granted')
  })
})

describe('the lists of who is to be carried', () => {
  it('have each relation of a member once, page by page, whatever the case of the userid', async () => {
    const accountId = await insertAccount(db())
    const customers = Array.from({ length: 5 }, newPerson).toSorted()
    for (const subject of customers) {
      for (const scope of ['external_contact:LI', 'msgaudit:Li', 'external_contact:Wang']) {
        await giveConsent(db(), { accountId, subject, scope })
      }
    }
    const scopes = ['external_contact:Li', 'msgaudit:Li']
    const found: string[] = []
    let last = { subject: '', scope: '' }
    for (;;) {
      const page = await listConsentsWith(db(), accountId, { scopes, after: last, limit: 3 })
      const end = page.at(-1)
      if (end === undefined) break
      found.push(...page.map(({ subject, scope }) => `${subject} ${scope}`))
      last = end
    }
    expect(found.toSorted()).toEqual(
      customers.flatMap((one) => [`${one} external_contact:LI`, `${one} msgaudit:Li`]).toSorted(),
    )
    const [first = ''] = await listCustomers(db(), accountId, { after: '', limit: 1 })
    const others = await listCustomers(db(), accountId, { after: first, limit: 9 })
    expect([first, ...others].toSorted()).toEqual(customers)
  })

  it('are of the account alone where no other one has its corp', async () => {
    const accountId = await insertAccount(db())
    await insertAccount(db())
    expect(await listSiblings(db(), accountId)).toEqual([accountId])
  })
})
