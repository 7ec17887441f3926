import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

/** A gateway in a process of its own, as it runs in production. */
export interface GatewayProcess {
  readonly url: string
  readonly pid: number
  /** Every line it has written so far, to either stream. */
  readonly lines: readonly string[]
  /** SIGTERM, or another signal; resolves with the exit code, null after a kill. */
  end(signal?: NodeJS.Signals): Promise<number | null>
}

const MAIN = resolve(import.meta.dirname, '../../src/main.ts')
/** 32 bytes for tests; every process of one database needs the same. */
export const TEST_MASTER_KEY = Buffer.alloc(32, 7).toString('base64')

/**
 * Starts `wcg serve` on a free port and waits until all its processes take requests.
 *
 * @param options.processes asks for several behind the one port.
 * @param options.env on top of the settings every test gateway needs.
 */
export async function startGatewayProcess(options: {
  readonly databaseUrl: string
  readonly platformUrl: string
  readonly processes?: number
  readonly env?: Readonly<Record<string, string>>
}): Promise<GatewayProcess> {
  const { processes } = options
  const args = processes === undefined ? [] : ['--processes', String(processes)]
  const child = spawn(process.execPath, [MAIN, 'serve', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      DATABASE_URL: options.databaseUrl,
      WECHAT_API_BASE_URL: options.platformUrl,
      WCG_MASTER_KEY: TEST_MASTER_KEY,
      HOST: '127.0.0.1',
      PORT: '0',
      WCG_LEASE_SECONDS: '10',
      ...options.env,
    },
  })
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  // a test that ends without its teardown must not leave a gateway behind
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  void exited.then(() => process.off('exit', kill))
  const lines: string[] = []
  const started = Promise.withResolvers<number>()
  let starting = processes ?? 1
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      if (line.includes('"service.started"') && (starting -= 1) === 0) {
        started.resolve((JSON.parse(line) as { port: number }).port)
      }
    })
  }
  void exited.then((code) =>
    started.reject(new Error(`the gateway ended with ${code}: ${lines.slice(-5).join('\n')}`)),
  )
  const port = await started.promise
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    lines,
    async end(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
  }
}
