import type { Server } from 'node:http'

/** How soon after its answer a connection that the sender would keep is closed. */
const SWEEP_MS = 50

/**
 * Takes no new connection, and ends when the requests under way have their answers.
 *
 * @param limitMs after this they are cut off.
 */
export async function drain(server: Server, limitMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  // one that was busy at first is kept for a next request, which is not to come any more
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS)
  const impatient = setTimeout(() => server.closeAllConnections(), limitMs)
  await closed
  clearInterval(sweep)
  clearTimeout(impatient)
}
