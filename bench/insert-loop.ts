import { randomFillSync } from 'node:crypto'
import { Pool } from 'pg'
import { answerParent } from './answer-parent.ts'
import { percentile } from './statistics.ts'

/*
 * A process of its own that writes rows the plain way: one prepared insert and one commit per row,
 * through a pool. The table has the columns and indexes of `event`, and no other work to do.
 */

export interface InsertRun {
  readonly ms: number
  /** Inserts waiting or under way at any moment. */
  readonly inFlight: number
}

export interface InsertResult {
  readonly rows: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const [, , connectionString, poolSize] = process.argv
const pool = new Pool({ connectionString, max: Number(poolSize) })
const document = '<xml>'.padEnd(330, 'x')
const repeatKeys = Buffer.alloc(32)

answerParent(async ({ ms, inFlight }: InsertRun): Promise<InsertResult> => {
  const latencies: number[] = []
  const startedMs = performance.now()
  const insertOn = async () => {
    while (performance.now() - startedMs < ms) {
      const begunMs = performance.now()
      await insert()
      latencies.push(performance.now() - begunMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, insertOn))
  const sorted = Float64Array.from(latencies).sort()
  return {
    rows: latencies.length,
    seconds: (performance.now() - startedMs) / 1000,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  }
})

async function insert(): Promise<void> {
  randomFillSync(repeatKeys)
  await pool.query({
    name: 'insert',
    text: `insert into bench_event (account_id, repeat_key, kind, name, subject, occurred_at, document)
           values ($1, $2, $3, $4, $5, $6, $7)`,
    values: [
      1,
      Buffer.from(repeatKeys),
      'message.text',
      'text',
      `o${repeatKeys.toString('base64url').slice(0, 27)}`,
      new Date(),
      document,
    ],
  })
}
