#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { runCommandLine } from './commands/run-command-line.ts'

/** The command `wcg`: reads the surroundings, hands over, sets the exit code. */
async function main(): Promise<void> {
  // A production process gets its settings from whoever starts it, and from nowhere else.
  if (process.env['NODE_ENV'] !== 'production' && existsSync('.env')) process.loadEnvFile('.env')
  const stop = new AbortController()
  listenForStop(stop)
  endQuietlyWhenNobodyReads()
  process.exitCode = await runCommandLine({
    argv: process.argv.slice(2),
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stop.signal,
  })
}

/** The first signal asks for an orderly stop, the second ends the process at once. */
function listenForStop(stop: AbortController): void {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.on(signal, () => {
      // 128 plus the signal's number is what a shell reports for a process that it ended.
      if (stop.signal.aborted) process.exit(128 + number)
      stop.abort()
    })
  }
}

/** `wcg events tail | head`: the reader has what it wanted. */
function endQuietlyWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

await main()
