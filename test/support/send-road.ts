import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { sleep } from '../../src/foundation/clock.ts'
import type { ApiFaultInput } from '../../src/sandbox/inputs.ts'
import type { SandboxAccount } from '../../src/sandbox/sandbox-account.ts'
import type { Channel } from '../../src/wechat/channels.ts'
import type { Road } from './road.ts'

/** Where an application finds its gateways, and how it names itself and its account. */
export interface Place {
  /** One address per gateway process; asked anew for each request, because processes come and go. */
  readonly urls: () => readonly string[]
  readonly key: string
  readonly account: string
}

/** A template id of 43 characters, as the platform makes them. */
export const NOTICE = 'Vd4mQx8Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrNy'
export const SUBSCRIPTION = 'Hb7Kw2Xq9Tm4Rz6Lc1Vn8Ys3Pd5Fg0JaEuIoMtQkWxZ'

/** The channels of an Official Account that this road plays. */
export const ROAD_CHANNELS = [
  'template_message',
  'subscription_message',
  'customer_service_message',
] as const satisfies readonly Channel[]
export type RoadChannel = (typeof ROAD_CHANNELS)[number]

/** What an application wants sent; the content is made for it unless it brings its own. */
export interface Ask {
  readonly to: string
  readonly channel: RoadChannel
  readonly templateId?: string
  readonly sendAt?: string
  readonly expiresAt?: string
}

const attemptSchema = z.object({
  number: z.int(),
  outcome: z.string().nullable(),
  errcode: z.int().nullable(),
  errmsg: z.string().nullable(),
})

const messageSchema = z.object({
  id: z.string(),
  to: z.string().nullable(),
  channel: z.string(),
  status: z.string(),
  reason: z.string().nullable(),
  missing_scope: z.string().nullable(),
  msgid: z.string().nullable(),
  attempt_count: z.int(),
  attempts: z.array(attemptSchema).default([]),
})
export type AskedMessage = z.output<typeof messageSchema>

const listSchema = z.object({
  messages: z.array(messageSchema),
  next_cursor: z.string().nullable(),
})

const decisionSchema = z.object({
  allowed: z.boolean(),
  reason: z.string().nullable(),
  scope: z.string().nullable(),
})

const consentSchema = z.object({ scope: z.string(), state: z.string(), live: z.boolean() })
const viewSchema = z.object({ consents: z.array(consentSchema) })

/** An answer of the API, read to its end. */
export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** When its last byte was here, on the clock of the sandbox's record. */
  readonly arrivedMs: number
}

/** A business application in a test's hands. */
export interface Sender {
  /** Any request with the application's key. */
  request(
    path: string,
    options?: {
      readonly method?: string
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
      readonly process?: number
    },
  ): Promise<ApiAnswer>
  /** Asks for one send and returns its id; any answer but 202 fails. */
  ask(ask: Ask, options?: { readonly process?: number; readonly key?: string }): Promise<string>
  check(ask: Ask): Promise<z.output<typeof decisionSchema>>
  message(id: string): Promise<AskedMessage>
  messages(): Promise<readonly AskedMessage[]>
  /** Waits until a message has one of these statuses; by default until it has a final one. */
  ended(id: string, statuses?: readonly string[]): Promise<AskedMessage>
  /** Waits until no message is under way any more, and returns them all. */
  allEnded(limitMs?: number): Promise<readonly AskedMessage[]>
  optOut(person: string, scope: string): Promise<ApiAnswer>
  optIn(person: string, scope: string): Promise<ApiAnswer>
  consents(person: string): Promise<z.output<typeof viewSchema>['consents']>
}

const UNDER_WAY = new Set(['scheduled', 'queued', 'sending'])
/** Far above what anything here takes, because other work shares the machine. */
const PATIENCE_MS = 30_000

/** The application of a road, at any of its gateways. */
export function senderOf(road: Road): Sender {
  const urls = () => road.gateways.map(({ url }) => url)
  return createSender({ urls, key: road.key, account: road.account.name })
}

export function createSender(place: Place): Sender {
  const request: Sender['request'] = async (path, options = {}) => {
    const urls = place.urls()
    const url = urls[(options.process ?? 0) % urls.length] ?? ''
    const answer = await fetchSurely(`${url}${path}`, {
      method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
      headers: {
        authorization: `Bearer ${place.key}`,
        ...(options.body !== undefined && { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body !== undefined && {
        body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body),
      }),
    })
    const text = await answer.text()
    const { status, headers } = answer
    return { status, headers, text, arrivedMs: performance.now() }
  }

  async function read<T>(schema: z.ZodType<T>, answer: Promise<ApiAnswer>): Promise<T> {
    const { status, text } = await answer
    if (status >= 300) throw new Error(`the gateway answered ${status}: ${text}`)
    return schema.parse(JSON.parse(text))
  }

  const consentPath = (person: string) => `/v1/accounts/${place.account}/consents/${person}`
  const message = (id: string) => read(messageSchema, request(`/v1/messages/${id}`))

  async function messages(): Promise<AskedMessage[]> {
    const all: AskedMessage[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const query = `limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`
      const page: z.output<typeof listSchema> = await read(
        listSchema,
        request(`/v1/messages?${query}`),
      )
      all.push(...page.messages)
      cursor = page.next_cursor
    }
    return all
  }

  return {
    request,
    message,
    messages,
    async ask(ask, { process = 0, key = randomUUID() } = {}) {
      const headers = { 'idempotency-key': key }
      const body = bodyOf(place.account, ask)
      const answer = request('/v1/messages', { body, headers, process })
      return (await read(z.object({ id: z.string() }), answer)).id
    },
    check: (ask) =>
      read(decisionSchema, request('/v1/messages:check', { body: bodyOf(place.account, ask) })),
    ended: (id, statuses) =>
      until(
        () => message(id),
        ({ status }) => (statuses ? statuses.includes(status) : !UNDER_WAY.has(status)),
      ),
    allEnded: (limitMs) =>
      until(messages, (all) => all.every(({ status }) => !UNDER_WAY.has(status)), limitMs),
    optOut: (person, scope) =>
      request(`${consentPath(person)}/opt-out`, { body: { scope, reason: 'a test' } }),
    optIn: (person, scope) =>
      request(`${consentPath(person)}/opt-in`, { body: { scope, reason: 'a test' } }),
    consents: async (person) => (await read(viewSchema, request(consentPath(person)))).consents,
  }
}

/**
 * A connection that rested too long may be closed under a request, above all on a busy machine. Every
 * request here may be made twice: its key, or its meaning, makes it one.
 */
export async function fetchSurely(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options)
  } catch {
    return fetch(url, options)
  }
}

/** Looks again and again until what it sees is right; throws with the last sight otherwise. */
export async function until<T>(
  look: () => Promise<T> | T,
  isRight: (seen: T) => boolean,
  limitMs = PATIENCE_MS,
): Promise<T> {
  const endMs = performance.now() + limitMs
  for (;;) {
    const seen = await look()
    if (isRight(seen)) return seen
    if (performance.now() > endMs) {
      throw new Error(`still not so after ${limitMs} ms: ${JSON.stringify(seen)?.slice(0, 2_000)}`)
    }
    await sleep(50)
  }
}

/** Waits for the platform's next second: its clock is whole, and in one second the refusal wins. */
export async function nextSecond(): Promise<void> {
  await sleep(1_010 - (Date.now() % 1_000))
}

/** The body of `POST /v1/messages`. Every one is different, so that a repeat can be told apart. */
export function bodyOf(account: string, ask: Ask): Record<string, unknown> {
  return {
    account,
    to: ask.to,
    channel: ask.channel,
    content: contentOf(ask),
    ...(ask.sendAt !== undefined && { send_at: ask.sendAt }),
    ...(ask.expiresAt !== undefined && { expires_at: ask.expiresAt }),
  }
}

function contentOf({ channel, templateId }: Ask): Record<string, unknown> {
  const number = randomUUID().slice(0, 18)
  const data = { character_string1: { value: number } }
  switch (channel) {
    case 'template_message':
      return { template_id: templateId ?? NOTICE, data }
    case 'subscription_message':
      return { template_id: templateId ?? SUBSCRIPTION, data }
    case 'customer_service_message':
      return { msgtype: 'text', text: { content: `工单 ${number}` } }
  }
}

/** The platform's path of a channel, for faults. */
export const PATHS = {
  template_message: '/cgi-bin/message/template/send',
  subscription_message: '/cgi-bin/message/subscribe/bizsend',
  customer_service_message: '/cgi-bin/message/custom/send',
} as const satisfies Record<RoadChannel, string>

/** A consent of the right kind for a channel, by the person's own act. */
export async function agree(
  account: SandboxAccount,
  person: string,
  channel: RoadChannel,
): Promise<void> {
  if (channel === 'subscription_message') await account.accept(person, [SUBSCRIPTION])
  else if (channel === 'customer_service_message') {
    await account.follow(person)
    await account.say(person, '你好')
  } else await account.follow(person)
}

/** Delays on every send path, each call with another one of these. */
export function delays(
  random: () => number,
  options: { readonly least?: number; readonly most: number; readonly kinds?: number },
): ApiFaultInput[] {
  const { least = 0, most, kinds = 8 } = options
  return Object.values(PATHS).flatMap((path) =>
    Array.from({ length: kinds }, (_, index) => ({
      path,
      delay_ms: Math.round(least + random() * (most - least)),
      // each of those still unpicked gets the same share; the last takes what is left
      probability: 1 / (kinds - index),
    })),
  )
}

/** A random number generator that a test can print the seed of (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Does work for each of many, so many at a time. */
export async function crowd<Item>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<unknown>,
  atOnce = 24,
): Promise<void> {
  const rest = items.entries()
  const walk = async () => {
    for (const [index, item] of rest) await work(item, index)
  }
  await Promise.all(Array.from({ length: atOnce }, walk))
}
