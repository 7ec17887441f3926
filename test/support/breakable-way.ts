import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A way to a server that a test can break: everything on it is cut, and nothing new gets through. */
export interface BreakableWay {
  /** The address behind which the server is found. */
  readonly url: string
  cut(): void
  mend(): void
  close(): Promise<void>
}

/** @param url of the server, with host and port. */
export async function openBreakableWay(url: string): Promise<BreakableWay> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isOpen = true

  const server = createServer((near) => {
    if (!isOpen) return near.destroy()
    const far = connect(Number(target.port || 5432), target.hostname)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const cut = () => {
    isOpen = false
    for (const socket of sockets) socket.destroy()
  }
  const way = new URL(url)
  way.hostname = '127.0.0.1'
  way.port = String((server.address() as AddressInfo).port)
  return {
    url: way.href,
    cut,
    mend() {
      isOpen = true
    },
    async close() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
