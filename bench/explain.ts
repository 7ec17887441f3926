import { readFile, writeFile } from 'node:fs/promises'
import { collectPlans } from './collect-plans.ts'
import { startServer } from './database.ts'
import { replaceGenerated, writePlans } from './plans-page.ts'

const PAGE = new URL('../docs/plans.md', import.meta.url)
const SIZE = { people: 20_000, queued: 1_000, batch: 64 }

const USAGE = `node bench/explain.ts            print the plan of every hot statement
node bench/explain.ts --write    put them into docs/plans.md`

/** @returns the exit code. */
async function main(words: readonly string[]): Promise<number> {
  if (words.some((word) => word !== '--write')) {
    console.error(USAGE)
    return 2
  }
  const server = await startServer({ autovacuum: 'off' })
  try {
    const planned = await collectPlans(server, {
      database: 'plans',
      size: SIZE,
      history: 'analysed',
    })
    const text = writePlans(planned)
    if (words.includes('--write')) {
      await writeFile(PAGE, replaceGenerated(await readFile(PAGE, 'utf8'), text))
    } else {
      console.log(text)
    }
    return 0
  } finally {
    await server.stop()
  }
}

process.exit(await main(process.argv.slice(2)))
