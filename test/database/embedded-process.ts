/**
 * Stands for a gateway or a tool in tests that kill it: uses the embedded server in a folder and
 * writes one line of JSON when it does, or why it cannot.
 *
 * node embedded-process.ts <folder> <own|join>; SIGTERM stops it in order, SIGUSR2 makes it exit at
 * once without stopping anything.
 */
import { startEmbeddedServer } from '../../src/database/embedded-server.ts'
import { AppError } from '../../src/foundation/errors.ts'
import { createLog } from '../../src/foundation/log.ts'

const [directory = '', mode] = process.argv.slice(2)

try {
  const server = await startEmbeddedServer({
    directory,
    mode: mode === 'own' ? 'own' : 'join',
    log: createLog('silent'),
  })
  const awake = setInterval(() => undefined, 60_000)
  process.once('SIGTERM', () => {
    clearInterval(awake)
    void server.stop()
  })
  process.once('SIGUSR2', () => process.exit(3))
  report({ url: server.url })
} catch (error) {
  const code = error instanceof AppError ? error.code : 'unexpected'
  report({ code, message: String(error) })
}

function report(answer: Record<string, string>): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
