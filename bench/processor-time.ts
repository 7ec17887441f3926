import { readFile } from 'node:fs/promises'
import type { Knex } from 'knex'

/** Linux counts in hundredths of a second. */
const TICK_MS = 10

/**
 * Processor time a process has used so far, in milliseconds; NaN where there is no `/proc`. Unlike a
 * rate it hardly depends on what else the machine is doing.
 */
export async function processorMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The second field is a name in brackets that may hold spaces; utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? Number.NaN) + Number(fields[12] ?? Number.NaN)) * TICK_MS
}

/** The last that was seen of each process: one that has ended keeps what it had used. */
const usedByPostgres = new Map<number, number>()

/** The same for all processes of PostgreSQL there have been, as far as they were seen; it only grows. */
export async function postgresMs(db: Knex): Promise<number> {
  const { rows } = await db.raw<{ rows: { pid: number }[] }>(`select pid from pg_stat_activity`)
  await Promise.all(
    rows.map(async ({ pid }) => {
      const ms = await processorMs(pid)
      if (!Number.isNaN(ms)) usedByPostgres.set(pid, ms)
    }),
  )
  return [...usedByPostgres.values()].reduce((sum, ms) => sum + ms, 0)
}

/** The most memory a process has held at once so far, in bytes; NaN where there is no `/proc`. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024
}
