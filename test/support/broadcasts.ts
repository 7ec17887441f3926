import { z } from 'zod'
import type { Sender } from './send-road.ts'
import { until } from './send-road.ts'

const broadcastSchema = z.object({
  id: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  lines: z.object({
    accepted: z.int(),
    duplicate: z.int(),
    bad: z.int(),
    complete: z.boolean(),
  }),
})
const acceptedSchema = broadcastSchema.extend({
  bad_lines: z.array(z.object({ line: z.int(), reason: z.string() })),
})
const progressSchema = broadcastSchema.extend({
  messages: z.record(z.string(), z.int()),
  rate_per_second: z.number().nullable(),
  estimated_end_at: z.string().nullable(),
})

/** What is sent to all, as the first line of a list. */
export function headOf(
  account: string,
  changes: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    account,
    channel: 'template_message',
    content: {
      template_id: 'Vd4mQx8Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrNy',
      data: { thing1: { value: '春季茶' }, character_string2: { value: '—' } },
    },
    name: 'spring',
    ...changes,
  }
}

/** Lines of JSON; a text is taken as it is, so that it can be wrong. */
export function linesOfJson(...lines: readonly unknown[]): string {
  return lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('')
}

/** A business application that sends to many. */
export function broadcasterOf(sender: Sender) {
  const path = (id: string) => `/v1/broadcasts/${id}`
  const parsed = async <T>(schema: z.ZodType<T>, asked: ReturnType<Sender['request']>) => {
    const { status, text } = await asked
    if (status >= 300) throw new Error(`the gateway answered ${status}: ${text}`)
    return schema.parse(JSON.parse(text))
  }
  const show = (id: string) => parsed(progressSchema, sender.request(path(id)))
  return {
    show,
    post: (body: string, headers: Readonly<Record<string, string>> = {}) =>
      sender.request('/v1/broadcasts', {
        body,
        headers: { 'content-type': 'application/x-ndjson', ...headers },
      }),
    create(lines: readonly unknown[], key?: string) {
      const headers = key === undefined ? {} : { 'idempotency-key': key }
      return parsed(acceptedSchema, this.post(linesOfJson(...lines), headers))
    },
    toAudience: (body: Record<string, unknown>) =>
      parsed(acceptedSchema, sender.request('/v1/broadcasts', { body })),
    change: (id: string, what: 'pause' | 'resume' | 'cancel') =>
      parsed(broadcastSchema, sender.request(`${path(id)}/${what}`, { method: 'POST' })),
    ended: (id: string, limitMs?: number) =>
      until(
        () => show(id),
        ({ status }) => status === 'completed',
        limitMs,
      ),
    /** The report's rows by their headings. */
    async report(id: string): Promise<readonly Record<string, string>[]> {
      const { status, text } = await sender.request(`${path(id)}/report`)
      if (status !== 200) throw new Error(`the gateway answered ${status}: ${text}`)
      const [heading = '', ...rows] = text.trimEnd().split('\r\n')
      const names = heading.split(',')
      return rows.map((row) =>
        Object.fromEntries(row.split(',').map((cell, at) => [names[at] ?? '', cell])),
      )
    },
  }
}
