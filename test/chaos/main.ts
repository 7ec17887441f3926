import { parseArgs } from 'node:util'
import { createChildren } from '../../bench/children.ts'
import { startServer } from '../../bench/database.ts'
import type { ChaosSize } from './chaos-plan.ts'
import { runChaos } from './run-chaos.ts'
import { holds, writeReport } from './write-report.ts'

const USAGE = `npm run chaos -- [--messages N] [--seed S] [--processes P]

  --messages N    messages that applications ask for; 100,000 by default
  --seed S        repeats a plan; a new one each time by default
  --processes P   gateways, each a process of its own; 2 by default
`
/** Many times what a run of the default size takes on two cores that do nothing else. */
const LIMIT_MS = 30 * 60_000
/** More people at once only make their calls wait for one another. */
const AT_ONCE = 128

/** The run was ended from outside. */
class Stopped extends Error {}

/** `npm run chaos`: plays, judges, prints, and leaves nothing behind. */
async function main(): Promise<number> {
  const size = readSize(process.argv.slice(2))
  if (!size) {
    process.stderr.write(USAGE)
    return 2
  }
  process.stdout.write(`seed ${size.seed}\n`)
  const children = createChildren({ profileFolder: null })
  const starting = startServer()
  const stopped = Promise.withResolvers<never>()
  const overdue = setTimeout(
    () => stopped.reject(new Stopped('the run took too long and was given up')),
    LIMIT_MS,
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stopped.reject(new Stopped(`ended by ${signal}`)))
  }
  try {
    const played = starting.then(async (server) => {
      const database = await server.createDatabase('chaos')
      const report = await runChaos({ children, database }, size, (asked) => {
        process.stdout.write(`${asked} messages asked for\n`)
      })
      process.stdout.write(`\n${writeReport(report)}\n`)
      return holds(report) ? 0 : 1
    })
    return await Promise.race([played, stopped.promise])
  } catch (error) {
    const words =
      error instanceof Error && !(error instanceof Stopped) ? error.stack : String(error)
    process.stderr.write(`${words}\n`)
    return 1
  } finally {
    clearTimeout(overdue)
    await children.endAll()
    await starting.then(
      (server) => server.stop(),
      () => undefined, // reported above
    )
  }
}

/** @returns undefined when the words are not those of `USAGE`. */
function readSize(words: readonly string[]): ChaosSize | undefined {
  const values = parseWords(words)
  if (!values) return undefined
  const messages = Number(values.messages)
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  const processes = Number(values.processes)
  const isRight = [messages, processes].every((one) => Number.isSafeInteger(one) && one > 0)
  if (!isRight || !Number.isSafeInteger(seed) || processes > 16) return undefined
  return { messages, seed, processes, atOnce: AT_ONCE, patient: true }
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        messages: { type: 'string', default: '100000' },
        seed: { type: 'string' },
        processes: { type: 'string', default: '2' },
      },
    }).values
  } catch {
    return undefined // a word it does not know; the caller prints those it does
  }
}

process.exit(await main())
