import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { KindSend } from './demo-kinds-world.ts'
import { waitFor } from './demo-wait.ts'

/** What became of a message. */
export interface MessageEnd {
  readonly status: string
  readonly reason: string | null
}

/** A business application that may use an account of every kind. */
export interface KindsApplication {
  /** Asks for one send, now or in an hour; returns its id. */
  ask(account: string, send: KindSend, when?: 'now' | 'later'): Promise<string>
  /** Waits until it is known what became of a message. */
  endOf(id: string): Promise<MessageEnd>
}

const messageSchema = z.object({
  id: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
})

const UNDER_WAY = new Set(['scheduled', 'queued', 'sending'])
const AN_HOUR_MS = 3_600_000

export function createKindsApplication(gateway: {
  readonly url: string
  readonly key: string
}): KindsApplication {
  const headers = { authorization: `Bearer ${gateway.key}` }

  return {
    async ask(account, send, when = 'now') {
      const soon = new Date(new Date().getTime() + AN_HOUR_MS).toISOString()
      const body = JSON.stringify({ account, ...send, ...(when === 'later' && { send_at: soon }) })
      const key = randomUUID()
      // A key that has just been made is known within a second or two.
      const answer = await waitFor('the new key', async () => {
        const tried = await fetch(`${gateway.url}/v1/messages`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json', 'idempotency-key': key },
          body,
        })
        return tried.status === 401 ? null : tried
      })
      if (answer.status !== 202) throw new Error(`the gateway answered ${answer.status}`)
      return messageSchema.parse(await answer.json()).id
    },

    endOf(id) {
      return waitFor('the end of a message', async () => {
        const answer = await fetch(`${gateway.url}/v1/messages/${id}`, { headers })
        const { status, reason } = messageSchema.parse(await answer.json())
        return UNDER_WAY.has(status) ? null : { status, reason }
      })
    },
  }
}
