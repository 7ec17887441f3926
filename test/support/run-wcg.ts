import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { runCommandLine } from '../../src/commands/run-command-line.ts'
import { TEST_MASTER_KEY } from './gateway-process.ts'

/** What a command wrote, and its exit code. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command in this process, on a database of the tests. */
export async function runWcg(
  databaseUrl: string,
  typed: readonly string[],
  more: { readonly env?: Readonly<Record<string, string>>; readonly stdin?: string } = {},
): Promise<Ran> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const code = await runCommandLine({
    argv: typed,
    env: { DATABASE_URL: databaseUrl, WCG_MASTER_KEY: TEST_MASTER_KEY, ...more.env },
    stdin: Readable.from([Buffer.from(more.stdin ?? '')]),
    stdout,
    stderr,
    signal: new AbortController().signal,
  })
  stdout.end()
  stderr.end()
  return { code, out: await text(stdout), err: await text(stderr) }
}
