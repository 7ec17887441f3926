import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to the database that a test can block. */
export interface TcpProxy {
  /** The database's address by this way. */
  readonly url: string
  /** Breaks every connection; new ones are refused. */
  cut(): Promise<void>
  /** Connections stay and are taken, but nothing passes any more. */
  freeze(): void
  /** What is open dies without a word, as in a failover; new connections are as good as ever. */
  strand(): void
  /** Everything passes again. */
  restore(): Promise<void>
  close(): Promise<void>
}

/** Opens a proxy in front of a PostgreSQL address. */
export async function startTcpProxy(databaseUrl: string): Promise<TcpProxy> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let frozen = false

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    if (frozen) socket.pause()
  }
  const server = createServer((inside) => {
    const outside = connect(Number(target.port || 5432), target.hostname)
    inside.pipe(outside)
    outside.pipe(inside)
    inside.on('close', () => outside.destroy())
    outside.on('close', () => inside.destroy())
    keep(inside)
    keep(outside)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)

  const cut = async () => {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    url: url.href,
    cut,
    freeze() {
      frozen = true
      for (const socket of sockets) socket.pause()
    },
    strand() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    async restore() {
      frozen = false
      for (const socket of sockets) socket.resume()
      if (server.listening) return
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    close: cut,
  }
}
