import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { beginAttempts, claimMessages } from '../../src/dispatch/dispatch-store.ts'
import { useTestDatabase } from '../support/database.ts'
import {
  finishOne,
  giveConsent,
  insertMessage,
  newPerson,
  readCredits,
  readMessage,
} from '../support/messages.ts'
import { insertReceipt } from '../support/receipts.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db
const TEMPLATE = 'template:T'
const TOLD = { channel: 'subscription_message', templateId: 'T' } as const

const ACTS = [
  'accept',
  'accept',
  'reject',
  'unfollow',
  'begin',
  'begin',
  'finish sent',
  'finish failed',
  'finish unknown',
  'receipt delivered',
  'receipt not_delivered',
] as const
type Act = (typeof ACTS)[number]

/** One send of the model: which acceptance round it drew on, and what is known about it. */
interface Send {
  readonly id: string
  readonly attemptId: string
  readonly round: number
  state: 'under way' | 'spent' | 'returned'
  told: boolean
  /** The platform said that it took it. */
  isAnswered: boolean
}

/**
 * What a person has accepted, as naively as it can be told: a number, which every refusal sets to
 * nothing and which a send that was not delivered raises again, unless a refusal came in between.
 */
class Person {
  readonly subject = newPerson()
  readonly accountId: number
  credits = 0
  round = 0
  granted: boolean | undefined
  sends: Send[] = []
  private readonly start = Date.now() - 3_600_000
  private second = 0

  constructor(accountId: number) {
    this.accountId = accountId
  }

  /** Every act of the person has a second of its own, an hour ago: our own clock is far ahead. */
  nextSecond(): Date {
    this.second += 1
    return new Date(this.start + this.second * 1_000)
  }

  giveBack(send: Send): void {
    if (send.state !== 'returned' && send.round === this.round) this.credits += 1
    send.state = 'returned'
  }
}

async function act(person: Person, what: Act): Promise<void> {
  const { accountId, subject } = person
  const consent = { accountId, subject, at: person.nextSecond() }
  switch (what) {
    case 'accept':
      await giveConsent(db(), { ...consent, scope: TEMPLATE, credits: 1 })
      person.credits += 1
      person.granted = true
      return
    case 'reject':
    case 'unfollow': {
      const scope = what === 'reject' ? TEMPLATE : 'template:*'
      await giveConsent(db(), { ...consent, scope, change: 'revoked' })
      person.credits = 0
      person.round += 1
      // An unfollow says nothing about a template nobody was ever asked about.
      if (what === 'reject' || person.granted !== undefined) person.granted = false
      return
    }
    case 'begin':
      return begin(person)
    case 'finish sent':
    case 'finish failed':
    case 'finish unknown':
      return finish(person, what)
    case 'receipt delivered':
    case 'receipt not_delivered':
      return receive(person, what)
  }
}

async function begin(person: Person): Promise<void> {
  const { accountId, subject } = person
  const id = await insertMessage(db(), { ...TOLD, accountId, recipient: subject })
  await claimMessages(db(), { process: 'p', leaseSeconds: 60, limit: 100 })
  const asked = { process: 'p', leaseSeconds: 60, messageIds: [id] }
  const [decision] = await beginAttempts(db(), asked)
  const busy = person.sends.some((send) => send.state === 'under way')
  const allowed = person.granted === true && person.credits > 0
  expect(decision?.kind).toBe(busy ? 'busy' : allowed ? 'begun' : 'blocked')
  if (decision?.kind === 'begun') {
    person.credits -= 1
    const send = {
      id,
      attemptId: decision.attemptId,
      round: person.round,
      told: false,
      isAnswered: false,
    }
    person.sends.push({ ...send, state: 'under way' })
  } else if (decision?.kind === 'busy') {
    await db()('message').where({ id }).update({ status: 'cancelled' })
  }
}

async function finish(person: Person, what: Act): Promise<void> {
  const send = person.sends.find(({ state }) => state === 'under way')
  if (!send) return
  const attempt = {
    attemptId: send.attemptId,
    messageId: send.id,
    accountId: person.accountId,
    recipient: person.subject,
  }
  if (what === 'finish failed') {
    await finishOne(db(), attempt, { outcome: 'failed', status: 'failed', cause: 'content' })
    person.giveBack(send)
    send.told = true
    return
  }
  const outcome = what === 'finish sent' ? 'sent' : 'unknown'
  await finishOne(db(), attempt, { outcome, status: outcome })
  send.state = 'spent'
  send.isAnswered = what === 'finish sent'
}

/** Receipts of calls that are over; those under way have their own tests. */
async function receive(person: Person, what: Act): Promise<void> {
  if (person.sends.some((send) => send.state === 'under way')) return
  // those that were answered come first; of several others nobody can say which one it is for
  const waiting = person.sends.filter(({ told, state }) => !told && state === 'spent')
  const unanswered = waiting.filter(({ isAnswered }) => !isAnswered)
  const send =
    waiting.find(({ isAnswered }) => isAnswered) ??
    (unanswered.length === 1 ? unanswered[0] : undefined)
  if (!send) return
  const status = what === 'receipt delivered' ? 'delivered' : 'not_delivered'
  const { accountId, subject } = person
  expect(await insertReceipt(db(), { ...TOLD, accountId, subject, status })).toBe(send.id)
  expect((await readMessage(db(), send.id)).status).toBe(status)
  send.told = true
  if (status === 'not_delivered') person.giveBack(send)
}

describe('credits', () => {
  it('are never fewer than none, never lost and never made, whatever happens in whatever order', async () => {
    const accountId = await insertAccount(db())
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...ACTS), { minLength: 3, maxLength: 24 }),
        async (acts) => {
          const person = new Person(accountId)
          for (const what of acts) {
            await act(person, what)
            const held = await readCredits(db(), accountId, person.subject, TEMPLATE)
            const expected =
              person.granted === undefined ? undefined : person.granted ? person.credits : null
            expect(held).toBe(expected)
          }
        },
      ),
      { numRuns: 120 },
    )
  }, 60_000)
})
