import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommandLine } from '../../src/commands/run-command-line.ts'
import { addJob } from '../../src/database/job-queue.ts'
import { useTestDatabase } from '../support/database.ts'
import { startFollowerPlatform, type FollowerPlatform } from '../support/follower-platform.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { newPerson } from '../support/messages.ts'

const database = useTestDatabase()
let platform: FollowerPlatform
let folder = ''

beforeAll(async () => {
  platform = await startFollowerPlatform()
  folder = await mkdtemp(join(tmpdir(), 'wcg-import-'))
  const secrets = ['--secret', 's', '--token', 'abc', '--aes-key', 'k'.repeat(43)]
  const ids = ['--kind', 'official_account', '--app-id', 'wxacme', '--original-id', 'gh_acme']
  const typed = ['account', 'add', 'acme', ...ids, ...secrets, '--no-sync']
  expect(await wcg(...typed)).toMatchObject({ code: 0 })
})
afterAll(async () => {
  await platform.close()
  await rm(folder, { recursive: true })
})

/** A command as it is typed, in this process. */
async function wcg(...argv: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const code = await runCommandLine({
    ...{ argv, stdin: Readable.from([]), stdout, stderr, signal: new AbortController().signal },
    env: {
      DATABASE_URL: database().url,
      WCG_MASTER_KEY: TEST_MASTER_KEY,
      WECHAT_API_BASE_URL: platform.url,
    },
  })
  stdout.end()
  stderr.end()
  return { code, out: await text(stdout), err: await text(stderr) }
}

async function fileOf(lines: readonly string[]): Promise<string> {
  const path = join(folder, 'consents')
  await writeFile(path, lines.join('\n'))
  return path
}

const lineOf = (subject: string, changes: object = {}) =>
  JSON.stringify({
    ...{ subject, scope: 'follow', state: 'granted', reason: 'crm' },
    ...{ effective_at: '2026-01-31T08:00:00+08:00', ...changes },
  })

async function stateOf(subject: string): Promise<string | undefined> {
  const { out } = await wcg('consent', 'show', 'acme', subject, '--json')
  const { consents } = JSON.parse(out) as { consents: { scope: string; state: string }[] }
  return consents.find(({ scope }) => scope === 'follow')?.state
}

describe('wcg followers sync', () => {
  it('tells how far it is, and what it has found, as lines of JSON', async () => {
    for (let count = 0; count < 5; count += 1) platform.followers.set(newPerson(), new Date(0))
    const { out, err, code } = await wcg('followers', 'sync', 'acme', '--json')
    expect([code, err]).toEqual([0, ''])
    const lines = out.trimEnd().split('\n')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ progress: { phase: 'list', done: 0 } })
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      ...{ account: 'acme', status: 'done', listed: 5, granted: 5, revoked: 0, reason: null },
    })
  })

  it('says in both languages that it rests, and until when', async () => {
    platform.before = () => ({ errcode: 45009, errmsg: 'reach max api daily quota limit' })
    const english = await wcg('followers', 'sync', 'acme')
    const chinese = await wcg('followers', 'sync', 'acme', '--lang', 'zh')
    platform.before = () => undefined
    expect([english.code, chinese.code]).toEqual([0, 0])
    expect(english.out).toMatch(/daily quota is used up.*T16:00:\d\d/)
    expect(chinese.out).toContain('额度已用完')
  })

  it('names an account that does not exist', async () => {
    expect(await wcg('followers', 'sync', 'nobody')).toMatchObject({ code: 1 })
  })
})

describe('wcg consent import', () => {
  it('imports a file once, however often it is called', async () => {
    const people = Array.from({ length: 2_500 }, newPerson)
    const path = await fileOf(people.map((person) => lineOf(person)))
    const load = ['consent', 'import', path, '--account', 'acme', '--actor', 'anna', '--json']
    const first = await wcg(...load)
    expect(first.code).toBe(0)
    expect(JSON.parse(first.out)).toMatchObject({ consents: 2_500, written: 2_500, known: 0 })
    expect(JSON.parse((await wcg(...load)).out)).toMatchObject({ written: 0, known: 2_500 })
    expect(await stateOf(people[0] ?? '')).toBe('granted')
    const rows = await database().db('consent_ledger').where({ evidence: 'import' })
    expect(rows).toHaveLength(2_500)
    expect(rows[0]).toMatchObject({ actor: 'anna', reason: 'crm' })
  })

  it('goes on where a broken import ended', async () => {
    const people = Array.from({ length: 1_500 }, newPerson)
    const lines = people.map((person) => lineOf(person))
    await wcg('consent', 'import', await fileOf(lines.slice(0, 1_000)), '--account', 'acme')
    const all = await wcg('consent', 'import', await fileOf(lines), '--account', 'acme', '--json')
    expect(JSON.parse(all.out)).toMatchObject({ written: 500, known: 1_000, complete: true })
  })

  it('writes nothing of a file with bad lines, and names each by its number', async () => {
    const [person, other] = [newPerson(), newPerson()]
    const path = await fileOf([
      ...[lineOf(person), lineOf(other, { state: 'yes' }), '', lineOf(other), '{"subject":'],
    ])
    const { code, err, out } = await wcg('consent', 'import', path, '--account', 'acme', '--json')
    expect([code, out]).toEqual([2, ''])
    const { error } = JSON.parse(err) as { error: { code: string; faults: { field: string }[] } }
    expect(error.code).toBe('bad_import')
    expect(error.faults.map(({ field }) => field)).toEqual(['FILE:2', 'FILE:5'])
    expect(await stateOf(person)).toBeUndefined()
  })

  it('keeps to the later word, whichever way it came', async () => {
    const person = newPerson()
    const later = { state: 'revoked', effective_at: '2026-03-01T00:00:00Z', reason: 'phone' }
    for (const line of [lineOf(person, later), lineOf(person)]) {
      await wcg('consent', 'import', await fileOf([line]), '--account', 'acme')
    }
    expect(await stateOf(person)).toBe('revoked')
  })

  it('reads CSV, templates with their credits, and ends all templates', async () => {
    const person = newPerson()
    const heading = 'subject,scope,state,effective_at,reason,credits'
    const path = await fileOf([
      heading,
      `${person},template:aTemplate,granted,2026-01-01T00:00:00Z,form,3`,
      `${person},template:other,granted,2026-01-01T00:00:00Z,form,`,
      `${person},template:*,revoked,2025-01-01T00:00:00Z,phone,`,
    ])
    const { code } = await wcg('consent', 'import', path, '--account', 'acme')
    expect(code).toBe(0)
    const { out } = await wcg('consent', 'show', 'acme', person, '--json')
    const { consents } = JSON.parse(out) as {
      consents: { scope: string; credits: number | null }[]
    }
    expect(consents.map(({ scope, credits }) => [scope, credits]).sort()).toEqual([
      ['template:*', null],
      ['template:aTemplate', 3],
      ['template:other', 1],
    ])
  })

  it('only checks where asked to', async () => {
    const person = newPerson()
    const path = await fileOf([lineOf(person)])
    expect(await wcg('consent', 'import', path, '--account', 'acme', '--check')).toMatchObject({
      code: 0,
    })
    expect(await stateOf(person)).toBeUndefined()
  })
})

describe('wcg doctor', () => {
  it('shows the jobs that were given up', async () => {
    const { db } = database()
    await addJob(db, { task: 'sync-followers', payload: {}, maxAttempts: 1 })
    await db.raw(`update graphile_worker._private_jobs set attempts = max_attempts`)
    const { out } = await wcg('doctor', '--json')
    const { checks } = JSON.parse(out) as {
      checks: { name: string; status: string; message: string }[]
    }
    expect(checks.find(({ name }) => name === 'Jobs')).toMatchObject({ status: 'warning' })
    expect(checks.find(({ name }) => name === 'Jobs')?.message).toContain('1 × sync-followers')
  })
})
