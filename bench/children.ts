import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { request } from 'undici'
import { sleep } from '../src/foundation/clock.ts'

const HERE = import.meta.dirname
const MAIN = resolve(HERE, '../src/main.ts')
/** What node has compiled is kept, as in the container's image. */
const COMPILED = resolve(HERE, '../node_modules/.cache/compiled')

/** The master key of a run: everything it seals is invented. */
export const MASTER_KEY = Buffer.alloc(32, 7)

/** How long a process may take to end when asked; longer than the gateway's own limit. */
const END_LIMIT_MS = 12_000
const READY_LIMIT_MS = 60_000
const READY_POLL_MS = 5

/** A file of this folder, running as a process of its own. */
export interface Helper {
  readonly pid: number
  /** What it said when it was ready. */
  readonly ready: unknown
  /** Sends one request and waits for its reply. */
  ask<Reply>(request: object): Promise<Reply>
}

/** Where a helper that is a server listens. */
export function portOf(helper: Helper): number {
  return (helper.ready as { port: number }).port
}

export interface GatewayProcess {
  readonly pid: number
  readonly port: number
  /** From the start of the process to the first 200 of `/readyz`. */
  readonly readyMs: number
  end(): Promise<void>
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
}

/** All processes of a run; whatever happens, `endAll` leaves none of them behind. */
export interface Children {
  startHelper(file: string, ...args: readonly string[]): Promise<Helper>
  startGateway(options: GatewayOptions): Promise<GatewayProcess>
  endAll(): Promise<void>
}

export interface GatewayOptions {
  readonly databaseUrl: string
  readonly platformUrl: string
  /** Any free one when absent. */
  readonly port?: number
  /** `error` when absent; what it logs at `info` goes nowhere, but is written. */
  readonly logLevel?: 'error' | 'info'
  readonly env?: Readonly<Record<string, string>>
}

/**
 * @param options.profileFolder where each gateway leaves a CPU profile when it ends; null: none does.
 */
export function createChildren(options: { readonly profileFolder: string | null }): Children {
  const running = new Map<ChildProcess, Promise<unknown>>()
  let over = false
  // a run that fails where nobody looks must not leave a gateway behind
  process.once('exit', () => {
    for (const child of running.keys()) child.kill('SIGKILL')
  })

  function keep(child: ChildProcess): ChildProcess {
    if (over) child.kill('SIGKILL')
    const ended = once(child, 'exit').finally(() => running.delete(child))
    ended.catch(() => undefined)
    running.set(child, ended)
    return child
  }

  async function end(child: ChildProcess): Promise<void> {
    const ended = running.get(child)
    if (!ended) return
    child.kill('SIGTERM')
    const impatient = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS)
    await ended
    clearTimeout(impatient)
  }

  return {
    async startHelper(file, ...args) {
      const child = keep(
        spawn(process.execPath, ['--no-deprecation', join(HERE, file), ...args], {
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        }),
      )
      const ready = await nextReply(child, file)
      return {
        pid: child.pid ?? 0,
        ready,
        async ask<Reply>(message: object) {
          const reply = nextReply(child, file)
          child.send(message)
          return (await reply) as Reply
        },
      }
    },

    async startGateway(gateway) {
      const port = gateway.port ?? (await findFreePort())
      const startedMs = performance.now()
      const child = keep(spawnGateway(gateway, { port, ...options }))
      await untilReady(child, port)
      const readyMs = performance.now() - startedMs
      const kill = async () => {
        const ended = running.get(child)
        child.kill('SIGKILL')
        await ended
      }
      return { pid: child.pid ?? 0, port, readyMs, end: () => end(child), kill }
    },

    async endAll() {
      over = true
      await Promise.all([...running.keys()].map(end))
    },
  }
}

/** As in production, but that its log holds errors only unless it is asked for more. */
function spawnGateway(
  options: GatewayOptions,
  { port, profileFolder }: { readonly port: number; readonly profileFolder: string | null },
): ChildProcess {
  const { logLevel = 'error' } = options
  const profile = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
  return spawn(process.execPath, [...profile, MAIN, 'serve'], {
    stdio: ['ignore', logLevel === 'info' ? 'ignore' : 'inherit', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      NODE_ENV: 'production',
      NODE_COMPILE_CACHE: COMPILED,
      NODE_OPTIONS: '--max-semi-space-size=16',
      DATABASE_URL: options.databaseUrl,
      WECHAT_API_BASE_URL: options.platformUrl,
      WCG_MASTER_KEY: MASTER_KEY.toString('base64'),
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: logLevel,
      ...options.env,
    },
  })
}

async function untilReady(child: ChildProcess, port: number): Promise<void> {
  const giveUpAt = performance.now() + READY_LIMIT_MS
  while (performance.now() < giveUpAt && child.exitCode === null && child.signalCode === null) {
    const status = await request(`http://127.0.0.1:${port}/readyz`).then(
      async ({ statusCode, body }) => {
        await body.dump()
        return statusCode
      },
      () => undefined, // nobody listens yet
    )
    if (status === 200) return
    await sleep(READY_POLL_MS)
  }
  throw new Error('the gateway did not become ready; what it said stands above')
}

async function nextReply(child: ChildProcess, file: string): Promise<unknown> {
  const gone = new AbortController()
  const [reply] = (await Promise.race([
    once(child, 'message', { signal: gone.signal }),
    once(child, 'exit', { signal: gone.signal }).then(() => {
      throw new Error(`bench/${file} ended before it answered; what it said stands above`)
    }),
  ]).finally(() => gone.abort())) as [unknown]
  return reply
}

async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve())
  })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
