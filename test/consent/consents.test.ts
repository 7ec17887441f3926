import { describe, expect, it } from 'vitest'
import { createConsents, type OperatorAct } from '../../src/consent/consents.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { InvalidInputError } from '../../src/foundation/errors.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent, insertMessage, newPerson, readLedger } from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db

function start() {
  const settled: string[] = []
  const settle = async (_accountId: number, subject: string) => void settled.push(subject)
  return { settled, consents: createConsents({ db: db(), clock: systemClock, settle }) }
}

async function aPerson() {
  return { accountId: await insertAccount(db()), subject: newPerson() }
}

const by = { kind: 'operator', actor: 'ada' } as const
const actOf = (
  person: Awaited<ReturnType<typeof aPerson>>,
  scope: string,
  more: Partial<OperatorAct> = {},
): OperatorAct => ({ ...person, scope, reason: 'asked by phone', by, ...more })

describe('show', () => {
  it('is empty for a person nobody knows', async () => {
    const { accountId, subject } = await aPerson()
    expect(await start().consents.show(accountId, subject)).toEqual({ consents: [], history: [] })
  })

  it('says what holds, whether a send may rely on it, and why', async () => {
    const person = await aPerson()
    const { accountId, subject } = person
    const at = new Date(Date.now() - 60_000)
    const past = new Date(Date.now() - 1_000)
    await giveConsent(db(), { ...person, scope: 'follow', at })
    await giveConsent(db(), { ...person, scope: 'conversation', at, credits: 5, expiresAt: past })
    await giveConsent(db(), { ...person, scope: 'template:T', at, credits: 0 })
    await giveConsent(db(), { ...person, scope: 'template:U', at, change: 'revoked' })
    const { consents, history } = await start().consents.show(accountId, subject)
    expect(consents.map(({ scope, state, live }) => [scope, state, live])).toEqual([
      ['conversation', 'granted', false],
      ['follow', 'granted', true],
      ['template:T', 'granted', false],
      ['template:U', 'revoked', false],
    ])
    expect(consents[1]).toMatchObject({
      effective_at: at.toISOString(),
      evidence: { kind: 'event', event_id: '1', change: 'granted', actor: null },
    })
    expect(history).toHaveLength(4)
  })
})

describe('optOut', () => {
  it.each([
    'follow',
    'everything',
    'template:T',
    'template:*',
    'conversation',
    'conversation:action',
  ])('records a refusal of %s and waits for calls under way', async (scope) => {
    const { consents, settled } = start()
    const person = await aPerson()
    await giveConsent(db(), { ...person, scope: 'follow' })
    await consents.optOut(actOf(person, scope))
    const { history } = await consents.show(person.accountId, person.subject)
    expect(history.find((entry) => entry.scope === scope)).toMatchObject({
      scope,
      change: 'revoked',
      kind: 'operator',
      actor: 'ada',
      reason: 'asked by phone',
      credits: null,
    })
    expect(settled).toEqual([person.subject])
  })

  it('forbids every channel at once when it stops everything', async () => {
    const { consents } = start()
    const person = await aPerson()
    await giveConsent(db(), { ...person, scope: 'follow' })
    const question = { ...person, channel: 'template_message', templateId: null }
    expect((await consents.decide(question)).allowed).toBe(true)
    await consents.optOut(actOf(person, 'everything'))
    expect(await consents.decide(question)).toMatchObject({ allowed: false, reason: 'stopped' })
  })
})

describe('optOut against a clock that is ahead of ours', () => {
  const ahead = new Date(Date.now() + 30_000)

  it.each(['follow', 'everything'])('holds for %s', async (scope) => {
    const { consents } = start()
    const person = await aPerson()
    await giveConsent(db(), { ...person, scope: 'follow', at: ahead })
    await consents.optOut(actOf(person, scope))
    const question = { ...person, channel: 'template_message', templateId: null }
    expect((await consents.decide(question)).allowed).toBe(false)
  })

  it('holds for every template', async () => {
    const { consents } = start()
    const person = await aPerson()
    await giveConsent(db(), { ...person, scope: 'template:T', at: ahead, credits: 1 })
    await consents.optOut(actOf(person, 'template:*'))
    const question = { ...person, channel: 'subscription_message', templateId: 'T' }
    expect((await consents.decide(question)).allowed).toBe(false)
  })
})

describe('optIn', () => {
  it.each([
    [undefined, 1],
    [3, 3],
    [null, null],
  ])('grants a template %j times', async (credits, expected) => {
    const { consents, settled } = start()
    const person = await aPerson()
    await consents.optIn(actOf(person, 'template:T', credits === undefined ? {} : { credits }))
    const { consents: held } = await consents.show(person.accountId, person.subject)
    expect(held).toMatchObject([{ scope: 'template:T', live: true, credits: expected }])
    expect(settled).toEqual([])
  })

  it('lifts a stop and grants nothing else', async () => {
    const { consents } = start()
    const person = await aPerson()
    await giveConsent(db(), { ...person, scope: 'everything', change: 'revoked' })
    await consents.optIn(actOf(person, 'everything'))
    const question = { ...person, channel: 'template_message', templateId: null }
    expect(await consents.decide(question)).toMatchObject({ reason: 'follow_unknown' })
    const { consents: held } = await consents.show(person.accountId, person.subject)
    expect(held).toMatchObject([{ scope: 'everything', state: 'granted', live: false }])
  })

  it('has nothing live while everything is stopped, and what was granted again afterwards', async () => {
    const { consents } = start()
    const person = await aPerson()
    await giveConsent(db(), { ...person, scope: 'follow' })
    const liveScopes = async () => {
      const { consents: held } = await consents.show(person.accountId, person.subject)
      return held.filter(({ live }) => live).map(({ scope }) => scope)
    }
    expect(await liveScopes()).toEqual(['follow'])
    await consents.optOut(actOf(person, 'everything'))
    expect(await liveScopes()).toEqual([])
    await consents.optIn(actOf(person, 'everything'))
    expect(await liveScopes()).toEqual(['follow'])
  })

  it('grants following', async () => {
    const { consents } = start()
    const person = await aPerson()
    await consents.optIn(actOf(person, 'follow'))
    const question = { ...person, channel: 'template_message', templateId: null }
    expect((await consents.decide(question)).allowed).toBe(true)
  })
})

describe('scopes that are none', () => {
  const NONE = [
    '',
    'Follow',
    'template:',
    'template: T',
    'all',
    `template:${'x'.repeat(129)}`,
    'member:x',
    'external_contact:',
  ]

  it.each([
    ...NONE.map((scope) => ['optOut', scope] as const),
    ...NONE.map((scope) => ['optIn', scope] as const),
    ['optIn', 'conversation'] as const,
    ['optIn', 'conversation:action'] as const,
    ['optIn', 'template:*'] as const,
    ['optIn', 'tenant'] as const,
    ['optIn', 'kf:wkT3pXBgAAmR8yL'] as const,
    ['optIn', 'one_time:1000'] as const,
    ['optIn', 'msgaudit'] as const,
  ])('are refused by %s: %j', async (method, scope) => {
    const { consents, settled } = start()
    const person = await aPerson()
    const refused = await consents[method](actOf(person, scope)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(InvalidInputError)
    expect(refused).toMatchObject({ code: 'bad_scope', faults: [{ field: 'scope' }] })
    expect(await readLedger(db(), person.accountId, person.subject)).toEqual([])
    expect(settled).toEqual([])
  })
})

describe('export and erase', () => {
  async function aKnownPerson() {
    const person = await aPerson()
    const { accountId, subject } = person
    await giveConsent(db(), { ...person, scope: 'follow' })
    await db()('event').insert({
      account_id: accountId,
      repeat_key: Buffer.alloc(32, 1),
      kind: 'event.subscribe',
      name: 'subscribe',
      subject,
      occurred_at: new Date(),
      document: '<xml/>',
    })
    const id = await insertMessage(db(), {
      accountId,
      recipient: subject,
      channel: 'template_message',
    })
    const attempt = { message_id: id, account_id: accountId, number: 1, started_at: new Date() }
    await db()('attempt').insert({ ...attempt, evidence: [], process: 'p', outcome: 'sent' })
    return person
  }

  it('hands out everything that is held about the person, and nobody else', async () => {
    const { consents } = start()
    const person = await aKnownPerson()
    await giveConsent(db(), { accountId: person.accountId, subject: newPerson(), scope: 'follow' })
    expect(await consents.export(person.accountId, person.subject)).toMatchObject({
      subject: person.subject,
      consents: [
        {
          scope: 'follow',
          state: 'granted',
          live: true,
          evidence: { kind: 'event', event_id: '1' },
        },
      ],
      ledger: [{ scope: 'follow', change: 'granted', kind: 'event', event_id: '1' }],
      events: [{ kind: 'event.subscribe', document: '<xml/>' }],
      messages: [{ channel: 'template_message', attempts: [{ number: 1, outcome: 'sent' }] }],
    })
  })

  it('forgets all of it, leaves a tombstone, and lets no call begin afterwards', async () => {
    const { consents, settled } = start()
    const person = await aKnownPerson()
    const other = { accountId: person.accountId, subject: newPerson() }
    await giveConsent(db(), { ...other, scope: 'follow' })
    const { erasure_id: id, ...counts } = await consents.erase({
      ...{ ...person, actor: 'ada', reason: 'asked' },
    })
    expect(counts).toEqual({ ledger_rows: 1, events: 1, messages: 1 })
    expect(await consents.export(person.accountId, person.subject)).toEqual({
      subject: person.subject,
      consents: [],
      ledger: [],
      events: [],
      messages: [],
      broadcasts: [],
    })
    const tombstones: unknown[] = await db()('erasure').where({ id })
    expect(tombstones).toMatchObject([{ actor: 'ada', ledger_rows: 1, events: 1, messages: 1 }])
    expect(settled).toEqual([person.subject])
    expect(await readLedger(db(), other.accountId, other.subject)).toEqual(['follow granted'])
  })
})
