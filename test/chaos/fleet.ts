import type { Knex } from 'knex'
import type { Children, GatewayOptions, GatewayProcess } from '../../bench/children.ts'

/** The gateways of a run. Whoever is killed starts again at the same port. */
export interface Fleet {
  /** Addresses of all, of those that are just starting too. */
  readonly urls: readonly string[]
  /** Processes that were killed. */
  readonly dead: readonly number[]
  /** Ends one as a power cut does; resolves when it serves again. */
  kill(index: number): Promise<void>
  /** Resolves when all serve. */
  settled(): Promise<void>
}

export async function startFleet(
  children: Pick<Children, 'startGateway'>,
  count: number,
  options: GatewayOptions,
): Promise<Fleet> {
  const gateways: GatewayProcess[] = []
  // one alone first: on an empty database it is the one that prepares it
  gateways.push(await children.startGateway(options))
  const others = Array.from({ length: count - 1 }, () => children.startGateway(options))
  gateways.push(...(await Promise.all(others)))
  const dead: number[] = []
  const starting = new Map<number, Promise<void>>()

  async function replace(index: number): Promise<void> {
    const victim = gateways[index]
    if (!victim) throw new Error(`there is no gateway ${index}`)
    await victim.kill()
    dead.push(victim.pid)
    gateways[index] = await children.startGateway({ ...options, port: victim.port })
  }

  return {
    urls: gateways.map(({ port }) => `http://127.0.0.1:${port}`),
    dead,
    kill(index) {
      // two blows in one start are one after the other
      const next = (starting.get(index) ?? Promise.resolve()).then(() => replace(index))
      starting.set(index, next)
      next.catch(() => undefined) // `settled` tells of it
      return next
    },
    async settled() {
      await Promise.all(starting.values())
    },
  }
}

/** Nothing comes of these processes any more: who is in a hurry does not wait for their leases. */
export async function endLeases(db: Knex, dead: readonly number[]): Promise<void> {
  const owners = dead.map((pid) => `${pid}-%`)
  await db.raw(
    `update message set leased_until = now()
     where lease_owner like any (?::text[]) and leased_until > now()`,
    [owners],
  )
  await db.raw(
    `update access_token set leased_until = now()
     where lease_owner like any (?::text[]) and leased_until > now()`,
    [owners],
  )
}

/** Calls of which nobody knows whether they arrived are long ago where their message's channel rests. */
export async function ageLostCalls(db: Knex): Promise<void> {
  await db.raw(
    `update attempt set started_at = attempt.started_at - interval '10 minutes'
     from message
     join sending_pause as pause on pause.account_id = message.account_id
       and pause.channel = message.channel and pause.until > now() + interval '1 minute'
     where attempt.message_id = message.id and message.status = 'queued'
       and attempt.outcome = 'unknown' and attempt.started_at > now() - interval '10 minutes'`,
  )
}
