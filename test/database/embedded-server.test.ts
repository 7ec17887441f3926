import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chown,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startEmbeddedServer, type EmbeddedServer } from '../../src/database/embedded-server.ts'
import { choosePostgresAccount } from '../../src/database/postgres-account.ts'
import { findPostmaster, stopPostmaster } from '../../src/database/postgres-process.ts'
import type { ServerMode } from '../../src/database/server-users.ts'
import { sleep } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'

const SCRIPT = resolve(import.meta.dirname, 'embedded-process.ts')

/** Private to its owner, as `mkdtemp` makes it: as root this is also the case of a private parent. */
let root: string
let directory: string
const SETTINGS = `
  select name, setting from pg_settings
  where name in ('listen_addresses', 'unix_socket_directories', 'fsync', 'synchronous_commit',
                 'full_page_writes', 'server_encoding', 'password_encryption')
  order by name`

const servers: EmbeddedServer[] = []
const children: ChildProcess[] = []

beforeEach(async () => {
  // Named like the folder of this run, so that the next one cleans up after a killed one.
  root = await mkdtemp(join(tmpdir(), `wcg-test-${process.ppid}-`))
  directory = join(root, 'postgres')
})

afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGKILL')
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  await stopPostmaster(directory) // a killed process leaves its server, as it should
  await rm(root, { recursive: true, force: true })
})

async function start(
  mode: ServerMode,
  settings: Readonly<Record<string, string>> = {},
): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ directory, mode, settings, log: createLog('silent') })
  servers.push(server)
  return server
}

const answerSchema = z.object({ url: z.string().optional(), code: z.string().optional() })
type Answer = z.infer<typeof answerSchema>

/** Starts another process on the folder and waits for its one line. */
async function startProcess(
  mode: ServerMode,
  command: readonly string[] = [],
  ids: { uid?: number; gid?: number } = {},
): Promise<{ child: ChildProcess; answer: Answer }> {
  const [program = '', ...args] = [...command, process.execPath, SCRIPT, directory, mode]
  const child = spawn(program, args, { ...ids, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const line: unknown[] = await once(createInterface(child.stdout), 'line')
  return { child, answer: answerSchema.parse(JSON.parse(String(line[0]))) }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

async function query(url: string | undefined, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

async function findPid(): Promise<number | undefined> {
  return (await findPostmaster(directory))?.pid
}

describe('startEmbeddedServer', () => {
  it('keeps its data from one start to the next and ends with its only user', async () => {
    const first = await start('own')
    await query(first.url, `create table note as select 'kept' as text`)
    await first.stop()
    expect(await findPid()).toBeUndefined()

    const second = await start('own')
    expect(await query(second.url, 'select text from note')).toEqual([{ text: 'kept' }])
  })

  it('leaves nothing but the data in the folder, closed to others and not run by root', async () => {
    const server = await start('own')
    await server.stop()
    expect(await readdir(root)).toEqual(['postgres'])
    const { mode, uid } = await stat(directory)
    expect(mode & 0o077).toBe(0)
    expect(uid).toBeGreaterThan(0) // PostgreSQL runs on its own folder only
    expect((await stat(join(directory, 'wcg.password'))).mode & 0o777).toBe(0o600)
  })

  it('listens on this machine alone, asks for the password, and keeps its log quiet', async () => {
    const { url } = await start('own')
    expect(await query(url, SETTINGS)).toEqual([
      { name: 'fsync', setting: 'on' },
      { name: 'full_page_writes', setting: 'on' },
      { name: 'listen_addresses', setting: '127.0.0.1' },
      { name: 'password_encryption', setting: 'scram-sha-256' },
      { name: 'server_encoding', setting: 'UTF8' },
      { name: 'synchronous_commit', setting: 'on' },
      { name: 'unix_socket_directories', setting: '' },
    ])
    const wrong = new URL(url)
    wrong.password = 'wrong'
    await expect(query(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })

    await query(url, `create table person as select 'oSecretPerson' as openid`)
    await query(url, 'create unique index on person (openid)')
    const repeat = query(url, `insert into person values ('oSecretPerson')`)
    await expect(repeat).rejects.toMatchObject({ code: '23505' })
    expect(await readFile(join(directory, 'server.log'), 'utf8')).not.toContain('oSecretPerson')
  })

  it('refuses a second owner, names the folder and the process, and leaves the first alone', async () => {
    const { url } = await start('own')
    await expect(start('own')).rejects.toMatchObject({
      code: 'data_directory_in_use',
      details: { directory, pid: process.pid },
    })
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('lets a tool join a gateway and leave it running', async () => {
    const gateway = await start('own')
    const tool = await start('join')
    expect(tool.url).toBe(gateway.url)
    await tool.stop()
    expect(await query(gateway.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('stays for the tool when the gateway leaves first, and ends with the tool', async () => {
    const gateway = await start('own')
    const tool = await start('join')
    await gateway.stop()
    expect(await query(tool.url, 'select 1 as one')).toEqual([{ one: 1 }])
    await tool.stop()
    expect(await findPid()).toBeUndefined()
  })

  it('lets one of two gateways that start at once have a new folder', async () => {
    const both = await Promise.all([startProcess('own'), startProcess('own')])
    expect(both.map(({ answer }) => answer.code ?? 'started').sort()).toEqual([
      'data_directory_in_use',
      'started',
    ])
    expect(await readdir(root)).toEqual(['postgres'])
  })

  it('gives one server to tools that start at once', async () => {
    const tools = await Promise.all([start('join'), start('join'), start('join')])
    expect(new Set(tools.map((tool) => tool.url)).size).toBe(1)
    await Promise.all(tools.map((tool) => tool.stop()))
    expect(await findPid()).toBeUndefined()
  })

  it('finds the server of a killed gateway again', async () => {
    const { child, answer } = await startProcess('own')
    await query(answer.url, `create table note as select 'kept' as text`)
    await end(child, 'SIGKILL')
    const next = await start('own')
    expect(next.url).toBe(answer.url)
    expect(await query(next.url, 'select text from note')).toEqual([{ text: 'kept' }])
  })

  it('waits until PostgreSQL has noticed that the gateway before was killed', async () => {
    const { url } = await start('join')
    const { child } = await startProcess('join')
    await end(child, 'SIGKILL')
    const held = new Client({
      connectionString: url,
      application_name: `wcg own ${child.pid}`,
    })
    await held.connect()
    await held.query('select pg_advisory_lock(724701, 2)')
    const next = start('own')
    await sleep(300)
    await held.end()
    expect((await next).url).toBe(url)
  })

  it('tries again where the gateway before goes between being met and being asked for', async () => {
    const settings = { max_prepared_transactions: '1' }
    const first = await start('join', settings)
    // A prepared transaction is in the way and has no process, like a gateway of that moment.
    await query(
      first.url,
      `begin; select pg_advisory_xact_lock(724701, 2); prepare transaction 'gone'`,
    )
    const next = start('own')
    await sleep(300)
    await query(first.url, `rollback prepared 'gone'`)
    expect((await next).url).toBe(first.url)
  })

  it('recovers what was committed after gateway and server were killed', async () => {
    const { child, answer } = await startProcess('own')
    await query(answer.url, `create table note as select 'kept' as text`)
    process.kill((await findPid()) ?? 0, 'SIGKILL')
    await end(child, 'SIGKILL')
    const next = await start('own')
    expect(await query(next.url, 'select text from note')).toEqual([{ text: 'kept' }])
  })

  it('starts though the old process number belongs to another program now', async () => {
    await (await start('own')).stop()
    const stale = [process.pid, directory, '1', '1', '', '127.0.0.1', '', 'ready   '].join('\n')
    const pidFile = join(directory, 'postmaster.pid')
    await writeFile(pidFile, `${stale}\n`)
    const owner = await stat(directory)
    await chown(pidFile, owner.uid, owner.gid)
    const { url } = await start('own')
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('takes the server along when the gateway exits without stopping it', async () => {
    const { child } = await startProcess('own')
    expect(await findPid()).toBeDefined()
    await end(child, 'SIGUSR2')
    await expect.poll(findPid, { timeout: 5_000 }).toBeUndefined()
  })

  it('runs in a session of its own, so that Ctrl-C reaches the gateway alone', async () => {
    const { child } = await startProcess('own')
    const pid = (await findPid()) ?? 0
    expect(() => process.kill(-pid, 0)).not.toThrow() // it leads a process group
    await end(child, 'SIGTERM')
    expect(child.exitCode).toBe(0)
    expect(await findPid()).toBeUndefined()
  })

  it('comes back to its locks after the server threw everybody out', async () => {
    const { url } = await start('own')
    await query(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wcg own%'`,
    )
    const owners = `select from pg_locks where locktype = 'advisory' and classid = 724701 and objid = 2`
    await expect.poll(() => query(url, owners), { timeout: 5_000 }).toHaveLength(1)
    await expect(start('own')).rejects.toMatchObject({ code: 'data_directory_in_use' })
  })

  it('serves a user without privileges', async () => {
    const node = process.execPath
    const account = await choosePostgresAccount([SCRIPT, node])
    if (account.ids) await chown(root, account.ids.uid, account.ids.gid)
    const ids = account.prefix.length === 0 ? (account.ids ?? {}) : {}
    const { answer } = await startProcess('own', account.prefix, ids)
    expect(answer).not.toHaveProperty('code')
    expect(await query(answer.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('refuses a folder that it did not make', async () => {
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, 'PG_VERSION'), '18\n')
    await expect(start('own')).rejects.toMatchObject({ code: 'data_directory_foreign' })
  })

  it('removes what a process that was killed while building left behind', async () => {
    const draft = `${directory}.new-abcdef`
    await mkdir(draft, { recursive: true })
    await utimes(draft, 0, 0)
    await start('own')
    expect(await readdir(root)).toEqual(['postgres'])
  })

  it('says so when the folder cannot be made', async () => {
    await writeFile(join(root, 'data'), 'a file where a folder should be')
    directory = join(root, 'data', 'postgres')
    await expect(start('own')).rejects.toMatchObject({ code: 'data_directory_not_writable' })
  })
})
