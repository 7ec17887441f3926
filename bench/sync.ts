import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { sleep } from '../src/foundation/clock.ts'
import { MASTER_KEY } from './children.ts'
import { startServer, type BenchDatabase } from './database.ts'
import { peakMemory, postgresMs, processorMs } from './processor-time.ts'
import { ACCOUNT } from './pushes.ts'

/**
 * `node bench/sync.ts [--people N]`: how fast the follower sync and the import are, and how much
 * memory they take, with the real commands, a real PostgreSQL and a platform that answers at once.
 */

const MAIN = resolve(import.meta.dirname, '../src/main.ts')
/** The platform's own. */
const PAGE = 10_000
const POLL_MS = 50

interface Figures {
  readonly seconds: number
  readonly perSecond: number
  readonly peakMegabytes: number
  /** Processor time of a thousand people: the command's, and PostgreSQL's. */
  readonly ownMs: number
  readonly postgresMs: number
}

const openidOf = (number: number) => `o${number.toString(36).padStart(27, '0')}`
const numberOf = (openid: string) => Number.parseInt(openid.slice(1), 36)

/** A platform whose list is made as it is asked for; nobody is blacklisted. */
async function startPlatform(people: number): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://platform')
    request.resume().on('end', () => {
      response.end(JSON.stringify(answerTo(url, people)))
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() }
}

function answerTo(url: URL, people: number): object {
  if (url.pathname === '/cgi-bin/stable_token') return { access_token: 'x', expires_in: 7200 }
  if (url.pathname !== '/cgi-bin/user/get') return { total: 0, count: 0, next_openid: '' }
  const cursor = url.searchParams.get('next_openid')
  const from = cursor ? numberOf(cursor) + 1 : 0
  const count = Math.max(0, Math.min(PAGE, people - from))
  const openid = Array.from({ length: count }, (_, index) => openidOf(from + index))
  return { total: people, count, data: { openid }, next_openid: openid.at(-1) ?? '' }
}

/** Runs a command to its end, and looks at its memory while it runs. */
async function measure(
  typed: readonly string[],
  people: number,
  surroundings: { readonly database: BenchDatabase; readonly platformUrl: string },
): Promise<Figures> {
  const startedMs = performance.now()
  const child = spawn(process.execPath, [MAIN, ...typed], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: surroundings.database.url,
      WCG_MASTER_KEY: MASTER_KEY.toString('hex'),
      WECHAT_API_BASE_URL: surroundings.platformUrl,
    },
  })
  const ended = once(child, 'exit').then(([code]) => code as number)
  let code: number | undefined
  let peak = 0
  let own = 0
  let postgres = 0
  const { db } = surroundings.database
  const before = await postgresMs(db)
  while (code === undefined) {
    peak = Math.max(peak, (await peakMemory(child.pid ?? 0).catch(() => 0)) || 0)
    own = (await processorMs(child.pid ?? 0)) || own
    // its connections end with it, and their time is no longer to be seen
    postgres = Math.max(postgres, (await postgresMs(db)) - before)
    code = await Promise.race([ended, sleep(POLL_MS).then(() => undefined)])
  }
  if (code !== 0) throw new Error(`wcg ${typed.join(' ')} ended with ${code}`)
  const seconds = (performance.now() - startedMs) / 1000
  return {
    seconds: Math.round(seconds * 10) / 10,
    perSecond: Math.round(people / seconds),
    peakMegabytes: Math.round(peak / 1024 / 1024),
    ownMs: Math.round((own * 10_000) / people) / 10,
    postgresMs: Math.round((postgres * 10_000) / people) / 10,
  }
}

async function writeImport(path: string, people: number): Promise<void> {
  const lines = function* () {
    for (let number = 0; number < people; number += 1) {
      const subject = openidOf(number)
      const effective_at = '2026-01-01T00:00:00+08:00'
      const consent = { subject, scope: 'follow', state: 'granted', effective_at, reason: 'crm' }
      yield `${JSON.stringify(consent)}\n`
    }
  }
  await pipeline(lines, createWriteStream(path))
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { people: { type: 'string', default: '1000000' } } })
  const people = Number(values.people)
  const server = await startServer()
  const platform = await startPlatform(people)
  const folder = await mkdtemp(join(tmpdir(), 'wcg-sync-'))
  try {
    const synced = await server.createDatabase('synced')
    const imported = await server.createDatabase('imported')
    const platformUrl = platform.url
    const sync = ['followers', 'sync', ACCOUNT.name]
    const file = join(folder, 'consents.ndjson')
    await writeImport(file, people)
    const load = ['consent', 'import', file, '--account', ACCOUNT.name]
    console.table({
      'followers sync, all unknown': await measure(sync, people, { database: synced, platformUrl }),
      'followers sync, all known': await measure(sync, people, { database: synced, platformUrl }),
      'consent import, all new': await measure(load, people, { database: imported, platformUrl }),
      'consent import, all known': await measure(load, people, { database: imported, platformUrl }),
    })
  } finally {
    platform.close()
    await rm(folder, { recursive: true })
    await server.stop()
  }
}

await main()
