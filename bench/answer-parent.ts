import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Makes this process a helper: it answers the requests of the process that started it, one at a
 * time, and ends when that process is gone.
 *
 * @param answer gets the request as `Helper.ask` sent it; what it throws ends the process.
 * @param ready sent once, before the first request: the port of a server, for example.
 */
export function answerParent<Request extends object>(
  answer: (request: Request) => Promise<object> | object,
  ready: object = {},
): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message) => {
    // Both ends are of one version and start together: nothing else speaks on this channel.
    void (async () => process.send?.(await answer(message as Request)))()
  })
  process.send?.(ready)
}

/** The same for a server: it listens on a free port of 127.0.0.1 and says which. */
export function serveParent<Request extends object>(
  server: Server,
  answer: (request: Request) => Promise<object> | object = () => ({}),
): void {
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    answerParent(answer, { port })
  })
}
