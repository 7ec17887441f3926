import type { IncomingMessage } from 'node:http'
import express, { type Response } from 'express'
import { Pool } from 'pg'
import type { Account } from '../src/accounts/account.ts'
import { createAppServer } from '../src/app.ts'
import { GATHERED } from '../src/consent/record-push.ts'
import { openDatabase } from '../src/database/connection.ts'
import { textOf } from '../src/events/document.ts'
import { repeatKey } from '../src/events/repeat-key.ts'
import { createGatherer } from '../src/foundation/gather.ts'
import { createLog } from '../src/foundation/log.ts'
import { prepareKeys } from '../src/receiver/callback-keys.ts'
import { readQuery } from '../src/receiver/callback-routes.ts'
import { verifyPush, type VerifiedPush } from '../src/receiver/receive-push.ts'
import { serveParent } from './answer-parent.ts'
import { accountsOf } from './database.ts'
import { ACCOUNT, CALLBACK_PATH } from './pushes.ts'

/*
 * A process of its own that is as little of a gateway as can be: Express, the gateway's own checks and
 * reading, and then nothing, or one row for each push, many rows to a commit. It knows no repeats, no
 * consent and no promise, so what it reaches no gateway on the same parts can pass.
 */

export type FloorName = 'opened' | 'one-row'

const [, , floor, databaseUrl = ''] = process.argv

const pool = new Pool({ connectionString: databaseUrl, max: GATHERED.maxRuns })
const gatherer = createGatherer<VerifiedPush, undefined>({
  ...GATHERED,
  isCommonFailure: () => true,
  run: async (pushes) => {
    await insert(pushes)
    return pushes.map(() => undefined)
  },
})

async function insert(pushes: readonly VerifiedPush[]): Promise<void> {
  await pool.query({
    name: 'insert',
    text: `insert into bench_event (
             account_id, repeat_key, kind, name, subject, occurred_at, document)
           select 1, repeat_key, 'message.text', 'text', subject, to_timestamp(at), document
           from unnest($1::bytea[], $2::text[], $3::bigint[], $4::text[])
             as push (repeat_key, subject, at, document)`,
    values: [
      pushes.map(({ document }) => repeatKey(document)),
      pushes.map(({ fields }) => textOf(fields, 'FromUserName')),
      pushes.map(({ fields }) => textOf(fields, 'CreateTime')),
      pushes.map(({ document }) => document),
    ],
  })
}

async function findAccount(): Promise<Account> {
  const db = openDatabase({ url: databaseUrl, log: createLog('error'), poolMax: 1 })
  const found = await accountsOf(db).findByName(ACCOUNT.name)
  await db.destroy()
  if (!found) throw new Error('the database of the bench has its account')
  return found
}

function readBody(req: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => done(Buffer.concat(chunks)))
}

function succeed(res: Response): void {
  res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '7' }).end('success')
}

const account = await findAccount()
const keys = prepareKeys(account)
const app = express()
app.disable('x-powered-by')
app.disable('etag')
app.post(CALLBACK_PATH, (req, res) => {
  const fail = () => res.writeHead(500).end()
  readBody(req, (body) => {
    const input = { account, keys, query: readQuery(req.url), body, now: new Date() }
    const verified = verifyPush(input)
    if (!verified.ok) fail()
    else if (floor === 'opened') succeed(res)
    else gatherer.add(verified.push).then(() => succeed(res), fail)
  })
})
serveParent(createAppServer(app))
