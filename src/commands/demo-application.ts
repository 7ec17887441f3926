import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { NOTICE_TEMPLATE, SUBSCRIPTION_TEMPLATE } from './demo-world.ts'

/** A message as the application asks for it. */
export interface Ask {
  readonly to: string
  readonly channel: 'template_message' | 'subscription_message' | 'customer_service_message'
}

/** A message as the gateway answers about it; only what the demo counts. */
const messageSchema = z.object({
  id: z.string(),
  channel: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  missing_scope: z.string().nullable().optional(),
})
export type AskedMessage = z.output<typeof messageSchema>

const listSchema = z.object({
  messages: z.array(messageSchema),
  next_cursor: z.string().nullable(),
})

/** A business application that knows one thing: the gateway's address and its own key. */
export interface DemoApplication {
  /** Asks for one send; the answer comes when the gateway has stored it. */
  ask(ask: Ask): Promise<void>
  /** What has become of everything it asked for. */
  messages(): Promise<AskedMessage[]>
}

export function createDemoApplication(gateway: {
  readonly url: string
  readonly key: string
  readonly account: string
}): DemoApplication {
  const headers = { authorization: `Bearer ${gateway.key}` }

  async function page(cursor: string | null): Promise<z.output<typeof listSchema>> {
    const query = new URLSearchParams({ account: gateway.account, limit: '200' })
    if (cursor !== null) query.set('cursor', cursor)
    const answer = await fetch(`${gateway.url}/v1/messages?${query.toString()}`, { headers })
    return listSchema.parse(await answer.json())
  }

  return {
    async ask(ask) {
      const answer = await fetch(`${gateway.url}/v1/messages`, {
        method: 'POST',
        headers: {
          ...headers,
          'content-type': 'application/json',
          'idempotency-key': randomUUID(),
        },
        body: JSON.stringify({ account: gateway.account, ...ask, content: contentFor(ask) }),
      })
      if (answer.status !== 202) throw new Error(`the gateway answered ${answer.status}`)
    },

    async messages() {
      const all: AskedMessage[] = []
      let cursor: string | null = null
      do {
        const { messages, next_cursor } = await page(cursor)
        all.push(...messages)
        cursor = next_cursor
      } while (cursor !== null)
      return all
    },
  }
}

/** Each message differs, so that the sandbox can tell a repeat from two messages. */
function contentFor(ask: Ask): Record<string, unknown> {
  const order = { value: randomUUID().slice(0, 18) }
  switch (ask.channel) {
    case 'template_message':
      return { template_id: NOTICE_TEMPLATE, data: { character_string1: order } }
    case 'subscription_message':
      return { template_id: SUBSCRIPTION_TEMPLATE, data: { character_string1: order } }
    case 'customer_service_message':
      return { msgtype: 'text', text: { content: `您的工单 ${order.value}` } }
  }
}
