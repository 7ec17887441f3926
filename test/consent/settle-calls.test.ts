import { describe, expect, it } from 'vitest'
import { settleCalls } from '../../src/consent/settle-calls.ts'
import { beginAttempts } from '../../src/dispatch/dispatch-store.ts'
import { sleep, systemClock } from '../../src/foundation/clock.ts'
import { useTestDatabase } from '../support/database.ts'
import { finishOne, giveConsent, insertMessage, newPerson } from '../support/messages.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db

async function aPerson() {
  const accountId = await insertAccount(db())
  const subject = newPerson()
  await giveConsent(db(), { accountId, subject, scope: 'follow' })
  return { accountId, subject }
}

async function beginCall({ accountId, subject }: Awaited<ReturnType<typeof aPerson>>) {
  const message = { accountId, recipient: subject, channel: 'template_message' } as const
  const id = await insertMessage(db(), message)
  await db().raw(
    `update message set lease_owner = 'p', leased_until = now() + interval '1 minute' where id = ?`,
    [id],
  )
  const asked = { process: 'p', leaseSeconds: 60, messageIds: [id] }
  const [decision] = await beginAttempts(db(), asked)
  if (decision?.kind !== 'begun') throw new Error(`not begun: ${JSON.stringify(decision)}`)
  return { attemptId: decision.attemptId, messageId: id, accountId, recipient: subject }
}

/** Milliseconds until it is settled. */
async function settle(person: Awaited<ReturnType<typeof aPerson>>): Promise<number> {
  const before = systemClock.monotonicMs()
  await settleCalls(db(), person.accountId, person.subject)
  return systemClock.monotonicMs() - before
}

const sent = { outcome: 'sent', status: 'sent' } as const

describe('settleCalls', () => {
  it('returns at once when no call to the person is under way', async () => {
    await beginCall(await aPerson())
    expect(await settle(await aPerson())).toBeLessThan(1_000)
  })

  it('waits for a call that began before, and for it alone', async () => {
    const person = await aPerson()
    const attempt = await beginCall(person)
    let isSettled = false
    const settled = settle(person).then(() => {
      isSettled = true
    })
    await sleep(150)
    expect(isSettled).toBe(false)
    await finishOne(db(), attempt, sent)
    await beginCall(person)
    await settled
  })

  it('sees a call that began in the very moment before', async () => {
    for (let round = 0; round < 20; round += 1) {
      const person = await aPerson()
      const attempt = await beginCall(person)
      let isSettled = false
      const settled = settle(person).then(() => {
        isSettled = true
      })
      await sleep(15)
      expect(isSettled).toBe(false)
      await finishOne(db(), attempt, sent)
      await settled
    }
  })

  it('waits for a call whose person has been erased since', async () => {
    const person = await aPerson()
    const attempt = await beginCall(person)
    await db()('message').where({ account_id: person.accountId }).update({ recipient: null })
    let isSettled = false
    const settled = settle(person).then(() => {
      isSettled = true
    })
    await sleep(150)
    expect(isSettled).toBe(false)
    await finishOne(db(), attempt, sent)
    await settled
  })

  it('gives up after three seconds: what was decided before has begun by then or never will', async () => {
    const person = await aPerson()
    await beginCall(person)
    const waitedMs = await settle(person)
    expect(waitedMs).toBeGreaterThanOrEqual(2_900)
    expect(waitedMs).toBeLessThan(4_500)
  })
})
