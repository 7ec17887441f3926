import { Readable } from 'node:stream'
import { request } from 'undici'
import { createApplicationStore } from '../src/applications/application-store.ts'
import { systemClock } from '../src/foundation/clock.ts'
import { createChildren } from './children.ts'
import { startServer } from './database.ts'
import { peakMemory } from './processor-time.ts'
import { NO_PLATFORM } from './pushed-gateway.ts'
import { ACCOUNT, openidOf } from './pushes.ts'

const DAY_MS = 86_400_000
const RECIPIENTS = Number(process.argv[2] ?? 1_000_000)

/** `node bench/broadcast.ts [recipients]`: how long a list takes, and how much memory. */
async function main(): Promise<void> {
  const children = createChildren({ profileFolder: null })
  const server = await startServer()
  try {
    const database = await server.createDatabase('broadcast')
    const applications = createApplicationStore({ db: database.db, clock: systemClock })
    const { key } = await applications.add({ name: 'bench', accountNames: [ACCOUNT.name] })
    const gateway = await children.startGateway({
      databaseUrl: database.url,
      platformUrl: NO_PLATFORM,
    })
    const beforeBytes = await peakMemory(gateway.pid)
    const startedMs = performance.now()
    const { statusCode, body } = await request(`http://127.0.0.1:${gateway.port}/v1/broadcasts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
      body: Readable.from(list(), { objectMode: false }),
      headersTimeout: 0,
    })
    const answer = (await body.json()) as { id: string; lines: unknown }
    const seconds = (performance.now() - startedMs) / 1000
    const acceptedBytes = await peakMemory(gateway.pid)
    console.log(`answer ${statusCode}, lines ${JSON.stringify(answer.lines)}`)
    console.log(
      `accepted ${RECIPIENTS} recipients in ${seconds.toFixed(1)} s (${Math.round(RECIPIENTS / seconds)} a second)`,
    )
    console.log(
      `peak memory of the gateway: ${mib(beforeBytes)} before, ${mib(acceptedBytes)} after`,
    )

    const reportMs = performance.now()
    const bytes = await readReport(
      `http://127.0.0.1:${gateway.port}/v1/broadcasts/${answer.id}`,
      key,
    )
    console.log(
      `report: ${mib(bytes)} in ${((performance.now() - reportMs) / 1000).toFixed(1)} s, peak memory ${mib(await peakMemory(gateway.pid))}`,
    )
  } finally {
    await children.endAll()
    await server.stop()
  }
}

/** Due tomorrow: only the accepting is measured. */
function* list(): Generator<string, void> {
  const head = {
    account: ACCOUNT.name,
    channel: 'template_message',
    content: { template_id: 'T1', data: { thing1: { value: 'tea' }, number2: { value: '0' } } },
    send_at: new Date(Date.now() + DAY_MS).toISOString(),
  }
  yield `${JSON.stringify(head)}\n`
  for (let number = 0; number < RECIPIENTS; number += 1) {
    yield `{"to":"${openidOf(number)}","data":{"number2":{"value":"${number}"}}}\n`
  }
}

async function readReport(url: string, key: string): Promise<number> {
  const { body } = await request(`${url}/report`, { headers: { authorization: `Bearer ${key}` } })
  let bytes = 0
  for await (const chunk of body) bytes += (chunk as Buffer).length
  return bytes
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}

await main()
