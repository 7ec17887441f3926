import { writeFile } from 'node:fs/promises'
import { createChildren } from './children.ts'
import { startServer, type BenchServer } from './database.ts'
import { readOptions, USAGE, type Options } from './plan.ts'
import { writeReport } from './report.ts'
import { runBench } from './run-bench.ts'

/** The run was ended from outside. */
class Stopped extends Error {}

/** `npm run bench`: measures, prints, and leaves nothing behind. */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (!options) {
    console.error(USAGE)
    return 2
  }
  const children = createChildren(options)
  const starting = startServer({}, options.postgresFolder)
  const stopped = Promise.withResolvers<never>()
  const overdue = setTimeout(
    () => stopped.reject(new Stopped('the bench took too long and was given up')),
    options.plan.limitMs,
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stopped.reject(new Stopped(`ended by ${signal}`)))
  }
  try {
    const measured = starting.then((server) => measureAndPrint(children, server, options))
    return await Promise.race([measured, stopped.promise])
  } catch (error) {
    console.error(error instanceof Stopped ? error.message : error)
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

/** @returns the exit code: 1 when something was lost or done twice; never because it was slow. */
async function measureAndPrint(
  children: ReturnType<typeof createChildren>,
  server: BenchServer,
  { plan, jsonFile }: Options,
): Promise<number> {
  const report = await runBench(children, server, plan)
  console.log(writeReport(report))
  if (jsonFile !== null) await writeFile(jsonFile, `${JSON.stringify(report, null, 2)}\n`)
  return report.checks.every(({ expected, found }) => expected === found) ? 0 : 1
}

process.exit(await main())
