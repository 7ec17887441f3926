import type { Knex } from 'knex'
import { Client } from 'pg'
import type { BenchServer } from './database.ts'
import { HOT_DELIVERIES } from './hot-deliveries.ts'
import { HOT_STATEMENTS, type HotStatement } from './hot-statements.ts'
import {
  fillPlansQueue,
  growTo,
  prepareGround,
  shiftGround,
  type Ground,
  type Size,
} from './plans-ground.ts'
import { openPlanWatch, type Plan, type PlanWatch } from './plans.ts'

/** A hot statement with the plans it ran by. */
export interface PlannedStatement {
  readonly statement: HotStatement
  readonly plans: readonly Plan[]
}

/** A database that has hardly anything in it. */
const SMALL = { people: 40, queued: 32, batch: 4 }

export const ALL_HOT: readonly HotStatement[] = [...HOT_STATEMENTS, ...HOT_DELIVERIES]

/** A plan of a function is kept, if it is, from its sixth run on. */
const RUNS_UNTIL_KEPT = 7

/**
 * How a database came to be as large as it is, and what PostgreSQL knows of it:
 *
 * - `analysed`: everything was analysed, then the connection was opened.
 * - `grown`: the connection made its plans while the database was nearly empty; nothing was analysed.
 * - `shifted`: everything was analysed, the connection made its plans, then came as many rows of
 *   kinds of which there had been none. Autovacuum does not mind them: they are a small part of it.
 */
export type History = 'analysed' | 'grown' | 'shifted'

/** Runs every hot statement on one connection to a database of this history and collects its plans. */
export async function collectPlans(
  server: BenchServer,
  options: { readonly database: string; readonly size: Size; readonly history: History },
): Promise<readonly PlannedStatement[]> {
  const { history, size } = options
  const database = await server.createDatabase(options.database)
  const { db } = database
  const ground = await prepareGround(db, size)
  const small = { ...ground, size: SMALL }
  const first = history === 'grown' ? small : ground
  await growTo(database, first, 0)
  if (history !== 'grown') {
    await fillPlansQueue(db, ground)
    await analyze(database.url)
  }
  const watch = await openPlanWatch(database.url)
  try {
    if (history !== 'analysed') await keepPlans(watch, db, first)
    if (history === 'grown') await growTo(database, ground, SMALL.people)
    if (history === 'shifted') await shiftGround(db, ground, size.queued / 5)
    if (history !== 'analysed') await fillPlansQueue(db, ground)
    return await collect(watch, ground)
  } finally {
    await watch.close()
  }
}

/** Has the connection make its plans, on the database as it is now. */
async function keepPlans(watch: PlanWatch, db: Knex, ground: Ground): Promise<void> {
  for (let run = 0; run < RUNS_UNTIL_KEPT; run += 1) {
    await fillPlansQueue(db, ground)
    for (const { run: runIt } of ALL_HOT) await runIt(watch.db, ground, unwatched)
  }
}

async function unwatched(statement: () => Promise<unknown>): Promise<void> {
  await statement()
}

async function collect(watch: PlanWatch, ground: Ground): Promise<readonly PlannedStatement[]> {
  const collected: PlannedStatement[] = []
  for (const statement of ALL_HOT) {
    const plans: Plan[] = []
    await statement.run(watch.db, ground, async (work) => {
      plans.push(...(await watch.watch(work)))
    })
    collected.push({ statement, plans })
  }
  return collected
}

/**
 * As autovacuum does it: tables without rows are left alone. Not through a pool, whose time limit is
 * not meant for it.
 */
async function analyze(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      `select oid::regclass::text as name from pg_class
       where relkind = 'r' and relnamespace = 'public'::regnamespace and pg_relation_size(oid) > 0`,
    )
    for (const { name } of rows) await client.query(`vacuum (analyze) ${name}`)
  } finally {
    await client.end()
  }
}

/** Every index that the plans of a statement name. */
export function indexesUsed({ plans }: PlannedStatement): readonly string[] {
  return [...new Set(plans.flatMap(({ indexes }) => indexes))].sort()
}

/** The most rows that one node of them read from a growing table. */
export function mostRead({ plans }: PlannedStatement): number {
  return Math.max(0, ...plans.map((plan) => plan.mostRead))
}
