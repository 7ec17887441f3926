import { Client, type Notification } from 'pg'
import { sleep } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

export interface ListenerOptions {
  readonly url: string
  readonly log: Log
  /** What to do with the payload of a notification, by channel. */
  readonly onNotify: Readonly<Record<string, (payload: string) => void | Promise<void>>>
  /**
   * Called when the listener hears again after it could not. What was sent in between is lost, so
   * this is the moment to read from the tables whatever a notification would have said.
   */
  readonly onReconnect: () => void | Promise<void>
}

/** A connection of its own that waits for `notify`. */
export interface Listener {
  /** Settles when it hears for the first time, or when it is closed before that. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 5_000

/** Pauses between attempts: doubled from the first to the last. */
const FIRST_PAUSE_MS = 100
const LAST_PAUSE_MS = 5_000

/**
 * A connection that only waits cannot tell a quiet server from one behind a cut cable, so it asks
 * now and then, and takes a missing answer for a loss.
 */
const HEARTBEAT_EVERY_MS = 15_000
const HEARTBEAT_LIMIT_MS = 5_000

/**
 * Listens on the given channels until `close`, through any loss of the connection. It needs a
 * direct connection: a pooler that shares connections between transactions drops `listen`.
 */
export function createListener(options: ListenerOptions): Listener {
  const closing = new AbortController()
  const first = Promise.withResolvers<void>()
  const running = listenUntilClosed(options, closing.signal, first.resolve)
  return {
    ready: first.promise,
    async close() {
      closing.abort()
      first.resolve()
      await running
    },
  }
}

async function listenUntilClosed(
  options: ListenerOptions,
  closing: AbortSignal,
  onHearing: () => void,
): Promise<void> {
  let failures = 0
  let missed = false
  while (!closing.aborted) {
    const client = await tryListen(options)
    if (client) {
      onHearing()
      if (missed) void call(options, options.onReconnect)
      failures = 0
      await untilLost(client, closing)
      await Promise.race([client.end().catch(() => undefined), sleep(HEARTBEAT_LIMIT_MS, closing)])
      if (!closing.aborted) options.log.warn({}, 'database.listener_lost')
    }
    missed = true
    await sleep(Math.min(FIRST_PAUSE_MS * 2 ** failures, LAST_PAUSE_MS), closing)
    failures += 1
  }
}

async function tryListen(options: ListenerOptions): Promise<Client | undefined> {
  const client = new Client({
    connectionString: options.url,
    application_name: 'wcg listener',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    query_timeout: HEARTBEAT_LIMIT_MS,
  })
  client.on('error', () => undefined) // `end` follows, and is what we act on
  client.on('notification', (notification) => hand(options, notification))
  try {
    await client.connect()
    for (const channel of Object.keys(options.onNotify)) {
      await client.query(`listen ${client.escapeIdentifier(channel)}`)
    }
    return client
  } catch (error) {
    options.log.warn({ error: describeError(error) }, 'database.listener_not_connected')
    void client.end().catch(() => undefined)
    return undefined
  }
}

function hand(options: ListenerOptions, notification: Notification): void {
  const handler = options.onNotify[notification.channel]
  if (handler) void call(options, () => handler(notification.payload ?? ''))
}

/** A handler that fails must not take the listener, or the process, with it. */
async function call(options: ListenerOptions, handler: () => void | Promise<void>): Promise<void> {
  try {
    await handler()
  } catch (error) {
    options.log.error({ error: describeError(error) }, 'database.notification_failed')
  }
}

/** Waits until the connection ends, stops answering, or is no longer wanted. */
async function untilLost(client: Client, closing: AbortSignal): Promise<void> {
  const over = new AbortController()
  const stop = () => over.abort()
  client.once('end', stop)
  closing.addEventListener('abort', stop, { once: true })
  if (closing.aborted) stop()
  while (!over.signal.aborted) {
    await sleep(HEARTBEAT_EVERY_MS, over.signal)
    if (over.signal.aborted) break
    await client.query('select 1').catch(stop)
  }
  closing.removeEventListener('abort', stop)
}
