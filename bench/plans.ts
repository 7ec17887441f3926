import type { Knex } from 'knex'
import type { Client, DatabaseError } from 'pg'
import { openDatabase } from '../src/database/connection.ts'
import { createLog } from '../src/foundation/log.ts'

/** Tables that grow with people and messages: no hot statement may read one from end to end. */
const GROWING =
  /^(event(_\w+)?|consent|consent_ledger|message|attempt|broadcast_recipient|delivery|one_time_link)$/

/** One plan, as PostgreSQL ran it. */
export interface Plan {
  /** The statement it belongs to, on one line. */
  readonly statement: string
  /** The plan as text, without costs and times. */
  readonly text: string
  /** Every index it names; those of the months of the event log by their name on `event`. */
  readonly indexes: readonly string[]
  /** Growing tables that it reads from end to end. */
  readonly scanned: readonly string[]
  /** Indexes of growing tables that it goes through with nothing to look for, in its order or all of it. */
  readonly walked: readonly string[]
  /** The most rows that one of its nodes read from a growing table, those it threw away included. */
  readonly mostRead: number
}

/** One connection whose statements can be watched. */
export interface PlanWatch {
  /** A pool of one connection: its cached plans stay. */
  readonly db: Knex
  /** The plans of what is done meanwhile, of statements inside functions too; each different one once. */
  watch(work: () => Promise<unknown>): Promise<readonly Plan[]>
  close(): Promise<void>
}

/**
 * Opens a connection that shows its plans, by PostgreSQL's own auto_explain. Close it within half a
 * minute without work: the pool would let go of the connection, and of its plans.
 *
 * @throws Error when auto_explain cannot be loaded: it takes a superuser and a server that has it.
 */
export async function openPlanWatch(url: string): Promise<PlanWatch> {
  const db = openDatabase({
    url,
    log: createLog('error'),
    applicationName: 'wcg-plans',
    poolMax: 1,
  })
  const notices: string[] = []
  await listen(db, notices)
  await loadAutoExplain(db)
  const partOf = await readParts(db)
  return {
    db,
    async watch(work) {
      notices.length = 0
      await db.raw(`set auto_explain.log_min_duration = 0`)
      await work()
      await db.raw(`set auto_explain.log_min_duration = -1`)
      return differentPlans(notices.map((notice) => readPlan(notice, partOf)))
    },
    close: () => db.destroy(),
  }
}

/** The driver hands notices to the connection alone, so ours must be had once. */
async function listen(db: Knex, notices: string[]): Promise<void> {
  const pool = db.client as Knex.Client
  const connection = (await pool.acquireConnection()) as Client
  connection.on('notice', ({ message }) => {
    if (message?.includes('Query Text: ')) notices.push(message)
  })
  await (pool.releaseConnection(connection) as Promise<void>)
}

async function loadAutoExplain(db: Knex): Promise<void> {
  try {
    await db.raw(`load 'auto_explain'`)
    await db.raw(`
      set auto_explain.log_min_duration = -1;
      set auto_explain.log_analyze = on;
      set auto_explain.log_timing = off;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_parameter_max_length = 0;
      set auto_explain.log_level = 'notice'`)
  } catch (error) {
    await db.destroy()
    const { message } = error as DatabaseError
    throw new Error(
      `auto_explain cannot be loaded (${message}), so no plan can be seen: use a superuser of a ` +
        'PostgreSQL with its contrib modules, such as the one that comes with npm install',
      { cause: error },
    )
  }
}

/** The index on the whole table that an index of a partition is a part of, by the latter's name. */
async function readParts(db: Knex): Promise<ReadonlyMap<string, string>> {
  const { rows } = await db.raw<{ rows: { part: string; whole: string }[] }>(
    `select part.relname as part, whole.relname as whole
     from pg_inherits
     join pg_class as part on part.oid = inhrelid and part.relkind = 'i'
     join pg_class as whole on whole.oid = inhparent`,
  )
  return new Map(rows.map(({ part, whole }) => [part, whole]))
}

/** Without those that touch no table and those of foreign keys, which are PostgreSQL's own. */
function differentPlans(plans: readonly Plan[]): readonly Plan[] {
  const different = new Map<string, Plan>()
  for (const plan of plans) {
    if (!TOUCHES.test(plan.text) || plan.statement.startsWith('SELECT 1 FROM ONLY')) continue
    const key = `${plan.statement}\n${plan.text.replace(FIGURES, '')}`
    const known = different.get(key)
    if (!known || known.mostRead < plan.mostRead) different.set(key, plan)
  }
  return [...different.values()]
}

const TOUCHES =
  /((Seq|Index|Only|Heap) Scan( Backward)?|Insert|Update|Delete)( using \S+)? on [a-z]/
const FIGURES = /\((actual rows=[\d.]+ loops=\d+|never executed)\)/g

/** What changes from run to run and says nothing of the plan. */
const ASIDE =
  /^\s*(Sort Method|Heap Fetches|Index Searches|Buffers|Heap Blocks|Storage|Batches|Cache)/
const SPECIFIC: readonly (readonly [RegExp, string])[] = [
  [/ +\(cost=[^)]*\)/g, ''],
  [/\bevent_\d{6}\b/g, 'event_YYYYMM'],
  [/'[^']*\d\d:\d\d:\d\d[^']*'::timestamp with time zone/g, "'…'::timestamptz"],
  [/'[0-9a-f]{8}-[0-9a-f-]{27}'::uuid/g, "'…'::uuid"],
  [/'\{[^']*\}'/g, "'{…}'"],
  [/'o[\w-]{27}'/g, "'o…'"],
]

/** @param partOf see `readParts`. */
function readPlan(notice: string, partOf: ReadonlyMap<string, string>): Plan {
  const lines = notice.slice(notice.indexOf('Query Text: ') + 'Query Text: '.length).split('\n')
  const root = lines.findIndex((line) => / \((actual rows=.*|never executed)\)$/.test(line))
  const body = lines
    .slice(root)
    .map((line) => line.replace(/\bevent_\w+_idx\d*\b|\bevent_\w+_pkey\b/g, wholeOf))
  return {
    statement: lines.slice(0, root).join(' ').replaceAll(/\s+/g, ' ').trim(),
    text: textOf(body),
    indexes: indexesOf(body),
    walked: walkedIn(body),
    ...readsOf(body),
  }

  function wholeOf(index: string): string {
    return partOf.get(index) ?? index
  }
}

function textOf(body: readonly string[]): string {
  const kept = body.filter((line) => !ASIDE.test(line)).map(withoutSpecifics)
  return kept.join('\n').trimEnd()
}

function withoutSpecifics(line: string): string {
  return SPECIFIC.reduce((text, [specific, general]) => text.replaceAll(specific, general), line)
}

function indexesOf(body: readonly string[]): readonly string[] {
  const found = body.flatMap((line) => {
    const scan =
      /Index (?:Only )?Scan(?: Backward)? using (\S+) on |Bitmap Index Scan on (\S+)/.exec(line)
    const arbiters = /Conflict Arbiter Indexes: (.+)/.exec(line)?.[1]?.split(', ') ?? []
    return [scan?.[1], scan?.[2], ...arbiters].filter((name) => name !== undefined)
  })
  return [...new Set(found)].sort()
}

/** Also where it was not executed: the next time it may be. */
function walkedIn(body: readonly string[]): readonly string[] {
  const walked = body.flatMap((line, place) => {
    const scan = /Index (?:Only )?Scan(?: Backward)? using (\S+) on (\w+)/.exec(line)
    const isSought = /^\s*Index Cond: /.test(body[place + 1] ?? '')
    return scan?.[1] && GROWING.test(scan[2] ?? '') && !isSought ? [scan[1]] : []
  })
  return [...new Set(walked)].sort()
}

/** What the nodes of a plan read from growing tables. */
function readsOf(body: readonly string[]): Pick<Plan, 'scanned' | 'mostRead'> {
  const scanned = new Set<string>()
  let mostRead = 0
  let loops = 0
  let readHere = 0
  for (const line of body) {
    const figures = /\(actual rows=([\d.]+) loops=(\d+)\)/.exec(line)
    if (figures || line.includes('(never executed)')) {
      const node = /(\w+ Scan(?: Backward)?)(?: using \S+)? on (\w+)/.exec(line)
      const table = node?.[2]
      const grows = table !== undefined && GROWING.test(table)
      if (grows && node?.[1] === 'Seq Scan') scanned.add(table)
      loops = grows ? Number(figures?.[2] ?? 0) : 0
      readHere = Number(figures?.[1] ?? 0) * loops
    }
    const removed = /Rows Removed by (?:Filter|Index Recheck): (\d+)/.exec(line)?.[1]
    readHere += Number(removed ?? 0) * loops
    mostRead = Math.max(mostRead, Math.round(readHere))
  }
  return { scanned: [...scanned].sort(), mostRead }
}
