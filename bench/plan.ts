import { parseArgs } from 'node:util'

const PARTS = ['callbacks', 'starts', 'sends'] as const
export type Part = (typeof PARTS)[number]

/** What one run measures and for how long. */
export interface Plan {
  readonly parts: readonly Part[]
  /** Measured rounds of callbacks, after one that only warms up. */
  readonly rounds: number
  /** How long each kind of server is under load in a round. */
  readonly roundMs: number
  readonly sendRounds: number
  /** Messages in the queue at the beginning of a round of sends. */
  readonly queued: number
  /** When a round of sends ends that is not through with its queue. */
  readonly sendLimitMs: number
  /** How often the gateway is started. */
  readonly starts: number
  /** People of the large database of `--growth`; null: growth is not measured. */
  readonly growthRows: number | null
  /** How long seeding may take. */
  readonly seedLimitMs: number
  /** Files of PostgreSQL's log that are ready before anything is measured; a second of load fills one. */
  readonly logFiles: number
  /** When the run is given up. */
  readonly limitMs: number
}

const MINUTE = 60_000
/** A run with ten million people takes a quarter of it on two cores. */
const GROWTH_LIMIT_MS = 30 * MINUTE

/** `npm run bench`: long enough for a spread worth printing. */
const FULL: Plan = {
  parts: PARTS,
  rounds: 7,
  roundMs: 4_000,
  sendRounds: 5,
  queued: 40_000,
  sendLimitMs: 10_000,
  starts: 7,
  growthRows: null,
  seedLimitMs: 10 * MINUTE,
  logFiles: 128,
  limitMs: 15 * MINUTE,
}

/** `-- --quick`: for the log of a pipeline. */
const QUICK: Plan = {
  ...FULL,
  rounds: 3,
  roundMs: 1_000,
  sendRounds: 2,
  queued: 8_000,
  sendLimitMs: 3_000,
  starts: 3,
  logFiles: 32,
  limitMs: 2 * MINUTE,
}

/** Whether everything starts, agrees and ends; its figures mean nothing. */
export const SMALLEST: Plan = {
  ...FULL,
  rounds: 1,
  roundMs: 50,
  sendRounds: 1,
  queued: 100,
  sendLimitMs: 2_000,
  starts: 1,
  logFiles: 1,
  limitMs: MINUTE,
}

export interface Options {
  readonly plan: Plan
  /** Where the figures go as JSON; null: nowhere. */
  readonly jsonFile: string | null
  /** Where the gateways leave CPU profiles; null: they run without. */
  readonly profileFolder: string | null
  /** The folder of the PostgreSQL to measure with; null: the one that came with `npm install`. */
  readonly postgresFolder: string | null
}

export const USAGE = `npm run bench -- [--quick] [--only PART | --growth [--rows N]] [--json FILE]
                   [--profile FOLDER] [--postgres FOLDER]

  --quick            a short run, under two minutes
  --only PART        callbacks, starts or sends alone
  --growth           callbacks with 10 thousand and with N rows, and nothing else
  --rows N           rows of the large database, 10 thousand or more; 10,000,000 by default
  --json FILE        writes every figure of every round to FILE as well
  --profile FOLDER   every gateway leaves a CPU profile there; the figures are then worse
  --postgres FOLDER  measures with another PostgreSQL, e.g. the one in /usr/lib/postgresql/17
`

/** @returns undefined when the words are not those of `USAGE`. */
export function readOptions(words: readonly string[]): Options | undefined {
  const values = parseWords(words)
  if (!values) return undefined
  const { only = null } = values
  const rows = Number(values.rows)
  if (!Number.isSafeInteger(rows) || rows < 10_000) return undefined
  if (only !== null && !isPart(only)) return undefined
  const plan = values.quick ? QUICK : FULL
  return {
    plan: values.growth
      ? { ...plan, growthRows: rows, limitMs: GROWTH_LIMIT_MS }
      : { ...plan, parts: only === null ? PARTS : [only] },
    jsonFile: values.json ?? null,
    profileFolder: values.profile ?? null,
    postgresFolder: values.postgres ?? null,
  }
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        growth: { type: 'boolean', default: false },
        rows: { type: 'string', default: '10000000' },
        json: { type: 'string' },
        profile: { type: 'string' },
        postgres: { type: 'string' },
      },
    }).values
  } catch {
    return undefined // a word it does not know; the caller prints those it does
  }
}

function isPart(word: string): word is Part {
  return (PARTS as readonly string[]).includes(word)
}
