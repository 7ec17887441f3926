import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { isAlive } from '../../src/database/postgres-process.ts'
import { countLockWaits } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'
import { linesNamed, pidsBehind } from '../support/log-lines.ts'
import { documentOf, newOpenid } from '../support/push-documents.ts'
import { recordedDocuments } from '../support/recorded.ts'
import { useRoad, type Road } from '../support/road.ts'
import { runWcg } from '../support/run-wcg.ts'
import { until } from '../support/send-road.ts'

const MAIN = join(import.meta.dirname, '../../src/main.ts')
/** The platform tries again soon; its own pause of 5 s would only make the test long. */
const PATIENT = { repeats: 60, repeatAfterNoConnectionMs: 250, repeatAfterWrongAnswerMs: 100 }

const gatewayOf = (road: Road) => road.gateways[0]!

function follow({ account }: Road): string {
  const at = Math.floor(Date.now() / 1000)
  const head = { originalId: account.originalId, openid: newOpenid(), at }
  return documentOf(head, { kind: 'subscribe', key: '' })
}

/** `wcg serve --processes …` with these settings and no others, to its end. */
async function serve(count: string, env: Record<string, string>, cwd?: string) {
  const child = spawn(process.execPath, [MAIN, 'serve', '--processes', count], {
    ...(cwd !== undefined && { cwd }),
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      LANG: 'C',
      ...env,
    },
  })
  const [out, err] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { out, err, code: child.exitCode }
}

/** Until the push lies in one of the processes. */
async function waitsToBeRecorded({ database }: Road): Promise<void> {
  await until(
    () => countLockWaits(database.db, 'from record_pushes'),
    (waiting) => waiting > 0,
  )
}

async function sumOf(road: Road, metric: string): Promise<number> {
  const answer = await fetch(`${gatewayOf(road).url}/metrics`)
  expect(answer.headers.get('content-type')).toContain('text/plain')
  const lines = (await answer.text()).split('\n').filter((line) => line.startsWith(metric))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

describe('wcg serve --processes 3', { timeout: 60_000 }, () => {
  const road = useRoad({ behindOnePort: 3, sandbox: { push: PATIENT } })

  it('serves from all three, and /metrics has the sum whoever answers', async () => {
    const gateway = gatewayOf(road())
    const answers = await Promise.all(Array.from({ length: 90 }, () => road().push(follow(road()))))
    expect(answers.map(({ text }) => text)).toEqual(Array(90).fill('success'))
    const recorded = await until(
      () => linesNamed(gateway, 'push.recorded'),
      (lines) => lines.length === 90,
    )
    expect(new Set(recorded.map(({ pid }) => pid))).toEqual(new Set(pidsBehind(gateway)))
    expect(pidsBehind(gateway)).toHaveLength(3)
    for (let times = 0; times < 6; times += 1) {
      expect(await sumOf(road(), 'wcg_pushes_total{')).toBe(90)
      expect(await sumOf(road(), 'wcg_push_seconds_count')).toBe(90)
    }
    expect(linesNamed(gateway, 'worker.started')).toHaveLength(3)
  })

  it('loses nothing acknowledged to a kill -9, and replaces who was killed', async () => {
    const gateway = gatewayOf(road())
    const [victim = 0] = pidsBehind(gateway)
    const before = await sumOf(road(), 'wcg_pushes_total{')
    const { people } = road()
    const stream = Promise.all(Array.from({ length: 200 }, () => people.follow(people.newOpenid())))
    const acknowledged = () =>
      road()
        .sandbox.log({ kind: 'push' })
        .entries.filter((entry) => entry.kind === 'push' && entry.acknowledged_ms !== null).length
    await until(acknowledged, (count) => count >= 40)
    process.kill(victim, 'SIGKILL')
    const pushes = await stream
    expect(pushes.map((push) => push?.outcome)).toEqual(Array(200).fill('acknowledged'))
    const kept = new Set(await recordedDocuments(road().database.db, road().account.id))
    expect(pushes.filter((push) => !kept.has(push?.document ?? ''))).toEqual([])

    const [replaced] = await until(
      () => linesNamed(gateway, 'worker.replaced'),
      (lines) => lines.length === 1,
    )
    expect(replaced).toMatchObject({ replaces_pid: victim })
    const end = { worker_pid: victim, signal: 'SIGKILL', exit_code: null, replaced_in_ms: 1_000 }
    expect(linesNamed(gateway, 'worker.ended')).toMatchObject([end])
    await until(
      () => pidsBehind(gateway),
      (pids) => pids.length === 4,
    )
    // what the dead one had said is still counted: a sum that falls would look like a restart
    expect(await sumOf(road(), 'wcg_pushes_total{')).toBeGreaterThanOrEqual(before)
    expect((await road().push(follow(road()))).text).toBe('success')
  })

  it('ends all of them with 0 at SIGTERM, inside 10 seconds', async () => {
    const gateway = gatewayOf(road())
    const pids = pidsBehind(gateway)
    const startedMs = performance.now()
    expect(await gateway.end('SIGTERM')).toBe(0)
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect(pids.filter(isAlive)).toEqual([])
    expect(
      linesNamed(gateway, 'service.stopped')
        .map(({ pid }) => pid)
        .toSorted(),
    ).toEqual(pids.slice(1).toSorted())
  })
})

describe('wcg serve --processes 2, when its first process is killed', { timeout: 60_000 }, () => {
  const road = useRoad({ behindOnePort: 2 })

  it('ends the others in order, after the request that they have in hand', async () => {
    const gateway = gatewayOf(road())
    const lock = await road().database.db.transaction()
    await lock.raw('lock table event in access exclusive mode')
    const pushed = road().push(follow(road()))
    await waitsToBeRecorded(road())
    expect(await gateway.end('SIGKILL')).toBeNull()
    await lock.rollback()
    expect(await pushed).toMatchObject({ status: 200, text: 'success' })
    await until(
      () => pidsBehind(gateway).filter(isAlive),
      (alive) => alive.length === 0,
    )
    expect(linesNamed(gateway, 'service.stopped')).toHaveLength(2)
  })
})

describe('wcg serve --processes 2, told twice to stop,', { timeout: 60_000 }, () => {
  const road = useRoad({ behindOnePort: 2 })

  it('ends all of them at once', async () => {
    const gateway = gatewayOf(road())
    const lock = await road().database.db.transaction()
    await lock.raw('lock table event in access exclusive mode')
    const pushed = road()
      .push(follow(road()))
      .catch(() => 'no answer')
    await waitsToBeRecorded(road())
    const ended = gateway.end('SIGTERM')
    await until(
      () => linesNamed(gateway, 'service.stopping'),
      (lines) => lines.length === 2,
    )
    void gateway.end('SIGTERM')
    // 128 and the signal's number
    expect(await ended).toBe(143)
    expect(await pushed).toBe('no answer')
    await until(
      () => pidsBehind(gateway).filter(isAlive),
      (alive) => alive.length === 0,
    )
    await lock.rollback()
  })
})

describe('wcg serve --processes, when it cannot start,', () => {
  const env = { NODE_ENV: 'production', DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }

  it('says what is wrong with the settings once, and ends with 2', async () => {
    const { out, err, code } = await serve('3', { ...env, WCG_MASTER_KEY: 'short' })
    expect([out, code]).toEqual(['', 2])
    expect(err.match(/WCG_MASTER_KEY/g)).toHaveLength(1)
  })

  it.each(['0', '65', 'many'])('refuses --processes %s', async (count) => {
    const { err, code } = await runWcg(env.DATABASE_URL, ['serve', '--processes', count])
    expect(code).toBe(2)
    expect(err).toContain('--processes: must be a whole number from 1 to 64')
  })

  it('tells of a database that is away once, and ends with 1', async () => {
    const { err, code } = await serve('3', { ...env, WCG_MASTER_KEY: TEST_MASTER_KEY })
    expect(code).toBe(1)
    expect(err.match(/the database does not answer/g)).toHaveLength(1)
  })
})

describe('wcg serve --processes 3 with the embedded database', { timeout: 60_000 }, () => {
  it('owns it alone, serves from all three, and refuses a port that is taken', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wcg-processes-'))
    const env = { HOST: '127.0.0.1', PORT: '0' }
    try {
      const taken = createServer().listen(0, '127.0.0.1')
      await once(taken, 'listening')
      const address = taken.address()
      const port = typeof address === 'object' && address ? String(address.port) : ''
      const refused = await serve('3', { ...env, PORT: port }, folder)
      expect(refused.code).toBe(1)
      expect(refused.err.match(/is taken by another program/g)).toHaveLength(1)
      taken.close()

      const { PATH = '', HOME = '' } = process.env
      const child = spawn(process.execPath, [MAIN, 'serve', '--processes', '3'], {
        cwd: folder,
        env: { PATH, HOME, ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let out = ''
      child.stdout.setEncoding('utf8').on('data', (piece: string) => (out += piece))
      try {
        await until(
          () => out.match(/"service.started"/g)?.length ?? 0,
          (count) => count === 3,
        )
        const ready = await fetch(`http://127.0.0.1:${/"port":(\d+)/.exec(out)?.[1]}/readyz`)
        expect(await ready.json()).toMatchObject({ ready: true })
        const second = await serve('2', env, folder)
        expect(second.code).toBe(1)
        expect(second.err).toContain('is running on')
      } finally {
        child.kill('SIGTERM')
      }
      const [code] = (await once(child, 'exit')) as [number]
      expect(code).toBe(0)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
