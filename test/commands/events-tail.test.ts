import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { runCommandLine } from '../../src/commands/run-command-line.ts'
import { recordPushes, type PushRow } from '../../src/consent/push-store.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import { useTestDatabase } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()

function pushOf(accountId: number, turn: number): PushRow {
  const at = new Date(Date.UTC(2026, 2, 1, 0, 0, turn))
  return {
    accountId,
    repeatKey: sha256(`push ${accountId} ${turn}`),
    kind: 'message.text',
    name: 'text',
    subject: `oTail${turn}`,
    occurredAt: at,
    effectiveAt: at,
    document: `<xml>${turn}</xml>`,
    changes: [],
    receipts: [],
    erase: false,
    ticket: null,
    job: null,
  }
}

describe('wcg events tail --follow', () => {
  it('prints the last ones, then every new one once, also one whose commit comes late', async () => {
    const accountId = await insertAccount(database().db)
    const record = (turn: number) => recordPushes(database().db, [pushOf(accountId, turn)])
    for (const turn of [1, 2, 3, 4]) await record(turn)

    const stop = new AbortController()
    const stdout = new PassThrough()
    const ids: string[] = []
    stdout.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n').filter(Boolean)) {
        ids.push((JSON.parse(line) as { id: string }).id)
      }
    })
    const ended = runCommandLine({
      argv: ['events', 'tail', '--follow', '--limit', '2', '--json'],
      env: { DATABASE_URL: database().url, WCG_MASTER_KEY: TEST_MASTER_KEY },
      stdin: new PassThrough(),
      stdout,
      stderr: new PassThrough(),
      signal: stop.signal,
    })
    await until(() => ids.length === 2)

    const late = await database().db.transaction()
    const [slow] = await recordPushes(late, [pushOf(accountId, 5)])
    const [quick] = await record(6)
    await until(() => ids.includes(quick!.eventId))
    await late.commit()
    await until(() => ids.includes(slow!.eventId))

    stop.abort()
    expect(await ended).toBe(0)
    expect(ids).toHaveLength(4)
    expect(new Set(ids).size).toBe(4)
    expect(Number(slow!.eventId)).toBeLessThan(Number(quick!.eventId))
  })
})

async function until(test: () => boolean): Promise<void> {
  for (let tries = 0; tries < 150 && !test(); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(test()).toBe(true)
}
