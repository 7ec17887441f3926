import { Client } from 'pg'
import type { BenchServer } from './database.ts'
import { HOT_STATEMENTS, type HotStatement } from './hot-statements.ts'
import { fillPlansQueue, growTo, prepareGround, type Ground, type Size } from './plans-ground.ts'
import { openPlanWatch, type Plan, type PlanWatch } from './plans.ts'

/** A hot statement with the plans it ran by. */
export interface PlannedStatement {
  readonly statement: HotStatement
  readonly plans: readonly Plan[]
}

/** A database that has hardly anything in it. */
const SMALL = { people: 40, queued: 32, batch: 4 }

/** A plan of a function is kept, if it is, from its sixth run on. */
const RUNS_UNTIL_KEPT = 7

/**
 * Runs every hot statement and collects its plans.
 *
 * @param options.grown on a connection that made its plans while the database was nearly empty, and
 *   with nothing analysed since; otherwise on a new connection, everything analysed.
 */
export async function collectPlans(
  server: BenchServer,
  options: { readonly database: string; readonly size: Size; readonly grown: boolean },
): Promise<readonly PlannedStatement[]> {
  const database = await server.createDatabase(options.database)
  const { db } = database
  const ground = await prepareGround(db, options.size)
  if (!options.grown) {
    await growTo(database, ground, 0)
    await fillPlansQueue(db, ground)
    await analyze(database.url)
  }
  const watch = await openPlanWatch(database.url)
  try {
    if (options.grown) {
      const small = { ...ground, size: SMALL }
      await growTo(database, small, 0)
      for (let run = 0; run < RUNS_UNTIL_KEPT; run += 1) {
        await fillPlansQueue(db, small)
        for (const { run: runIt } of HOT_STATEMENTS) await runIt(watch.db, small, unwatched)
      }
      await growTo(database, ground, SMALL.people)
      await fillPlansQueue(db, ground)
    }
    return await collect(watch, ground)
  } finally {
    await watch.close()
  }
}

async function unwatched(statement: () => Promise<unknown>): Promise<void> {
  await statement()
}

async function collect(watch: PlanWatch, ground: Ground): Promise<readonly PlannedStatement[]> {
  const collected: PlannedStatement[] = []
  for (const statement of HOT_STATEMENTS) {
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
