import { z } from 'zod'
import { describe, expect, it } from 'vitest'
import { textOf } from '../../src/events/document.ts'
import { prepareKey, openEnvelope } from '../../src/receiver/message-crypto.ts'
import { readXml } from '../../src/receiver/xml.ts'
import { broadcasterOf, headOf } from '../support/broadcasts.ts'
import { documentOf, newOpenid, type Act } from '../support/push-documents.ts'
import { useRoad } from '../support/road.ts'
import { bodyOf, senderOf, until } from '../support/send-road.ts'
import { isSigned, useWebhookReceiver, type Received } from '../support/webhook-receiver.ts'

const endpointSchema = z.looseObject({ id: z.string(), secret: z.string() })
const deliverySchema = z.looseObject({
  id: z.string(),
  event_id: z.string().nullable(),
  status: z.string(),
  attempt_count: z.int(),
  http_status: z.int().nullable(),
  reason: z.string().nullable(),
  next_attempt_at: z.string().nullable(),
})
const messageSchema = z.looseObject({ id: z.string(), status: z.string() })

const DAY_MS = 86_400_000

describe('deliveries to applications', { timeout: 60_000 }, () => {
  const road = useRoad({ processes: 2, accounts: [{ settings: { reply_deadline_ms: 600 } }] })
  const shop = useWebhookReceiver()

  async function addEndpoint(path: string, more: Record<string, unknown> = {}) {
    const body = { account: road().account.name, url: `${shop().url}${path}`, ...more }
    const answer = await road().api('/v1/endpoints', { body })
    expect(answer).toMatchObject({ status: 201 })
    return endpointSchema.parse(answer.body)
  }

  async function deliveriesTo(endpointId: string) {
    const { body } = await road().api(`/v1/endpoints/${endpointId}/deliveries`)
    return z.object({ deliveries: z.array(deliverySchema) }).parse(body).deliveries
  }

  function documentFrom(openid: string, act: Act): string {
    const at = Math.floor(Date.now() / 1000)
    return documentOf({ originalId: road().account.originalId, openid, at }, act)
  }

  /** The same push to both processes, several times at once. */
  function pushEverywhere(document: string, times: number) {
    const { gateways } = road()
    return Promise.all(
      Array.from({ length: times }, (_, index) => {
        const gateway = gateways[index % gateways.length]
        return road().push(document, { ...(gateway && { gateway }) })
      }),
    )
  }

  async function patch(endpointId: string, body: object) {
    const url = `${road().gateways[0]?.url ?? ''}/v1/endpoints/${endpointId}`
    const headers = { authorization: `Bearer ${road().key}`, 'content-type': 'application/json' }
    const answer = await fetch(url, { method: 'PATCH', headers, body: JSON.stringify(body) })
    expect(answer.status).toBe(200)
    return answer.json() as Promise<Record<string, unknown>>
  }

  async function remove(endpointId: string) {
    const url = `${road().gateways[0]?.url ?? ''}/v1/endpoints/${endpointId}`
    const headers = { authorization: `Bearer ${road().key}` }
    expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(200)
  }

  const parsed = ({ body }: Received): unknown => JSON.parse(body)

  it('p2: one event, however often it is pushed, is one delivery, signed and as the API shows it', async () => {
    const { id, secret } = await addEndpoint('/events', { events: ['event.subscribe'] })
    const person = newOpenid()
    const answers = await pushEverywhere(documentFrom(person, { kind: 'subscribe', key: '' }), 6)
    expect(answers.map(({ text }) => text)).toEqual(Array(6).fill('success'))
    await road().push(documentFrom(person, { kind: 'say', text: 'not asked for', msgId: '1' }))

    await until(
      () => deliveriesTo(id),
      (all) => all.length === 1 && all[0]?.status === 'delivered',
    )
    const [request, ...more] = shop().at('/events')
    if (!request) throw new Error('nothing was delivered')
    expect(more).toEqual([])
    expect(isSigned(request, secret)).toBe(true)
    const listed = await road().api(`/v1/events?subject=${person}&include=document`)
    const { events } = z.object({ events: z.array(z.looseObject({})) }).parse(listed.body)
    expect(events.at(-1)).toEqual(parsed(request))
    expect(request.headers['content-type']).toBe('application/json')
    const [delivery] = await deliveriesTo(id)
    expect(delivery).toMatchObject({ attempt_count: 1, http_status: 204, next_attempt_at: null })
    expect(request.headers['webhook-id']).toBe(delivery?.id)
    await remove(id)
  })

  it('keeps a delivery that failed, with the time of its next try, and retries it under the same id', async () => {
    const answers = [{ status: 503, headers: { 'retry-after': '600' } }, { status: 200 }]
    shop().answer('/flaky', () => answers.shift() ?? { status: 500 })
    const { id } = await addEndpoint('/flaky')
    await road().push(documentFrom(newOpenid(), { kind: 'subscribe', key: '' }))
    const [failed] = await until(
      () => deliveriesTo(id),
      ([first]) => first?.attempt_count === 1,
    )
    expect(failed).toMatchObject({ status: 'waiting', http_status: 503, reason: 'http_503' })
    const inMs = Date.parse(failed?.next_attempt_at ?? '') - Date.now()
    expect(inMs / 1_000).toBeGreaterThan(540)
    expect(inMs / 1_000).toBeLessThanOrEqual(600)

    const retry = `/v1/endpoints/${id}/deliveries/${failed?.id ?? ''}/retry`
    expect(await road().api(retry, { body: {} })).toMatchObject({ status: 202 })
    await until(
      () => deliveriesTo(id),
      ([first]) => first?.status === 'delivered',
    )
    const ids = shop()
      .at('/flaky')
      .map(({ headers }) => headers['webhook-id'])
    expect(ids).toEqual([failed?.id, failed?.id])
    await remove(id)
  })

  it('tells an endpoint nothing more that has answered 410', async () => {
    shop().answer('/gone', { status: 410 })
    const { id } = await addEndpoint('/gone')
    await road().push(documentFrom(newOpenid(), { kind: 'subscribe', key: '' }))
    const disabled = await until(
      () => road().api(`/v1/endpoints/${id}`),
      ({ body }) => (body as { disabled_reason: string | null }).disabled_reason !== null,
    )
    expect(disabled.body).toMatchObject({ disabled_reason: 'gone' })
    await road().push(documentFrom(newOpenid(), { kind: 'subscribe', key: '' }))
    expect(await deliveriesTo(id)).toMatchObject([{ status: 'failed', reason: 'http_410' }])
    expect(shop().at('/gone')).toHaveLength(1)
    await remove(id)
  })

  it('pauses an endpoint that has taken nothing for days, and posts all of it when it is resumed', async () => {
    const { db } = road().database
    let status = 500
    shop().answer('/down', () => ({ status }))
    const { id } = await addEndpoint('/down', { events: ['event.subscribe'] })
    const follow = () => road().push(documentFrom(newOpenid(), { kind: 'subscribe', key: '' }))
    const endpoint = async () => (await road().api(`/v1/endpoints/${id}`)).body
    await follow()
    await until(
      endpoint,
      (body) => z.looseObject({ failing_since: z.string() }).safeParse(body).success,
    )
    // six days later, at the fourth try
    await db('endpoint')
      .where({ id })
      .update({ failing_since: new Date(Date.now() - 6 * DAY_MS) })
    await db('delivery').where({ endpoint_id: id }).update({ attempt_count: 3, due_at: new Date() })
    await follow()
    await until(
      endpoint,
      (body) => z.looseObject({ paused_reason: z.string() }).safeParse(body).success,
    )
    expect(await endpoint()).toMatchObject({ paused_reason: 'failing', disabled_at: null })

    await follow()
    const [last, , first] = await deliveriesTo(id)
    expect(last).toMatchObject({ status: 'waiting', attempt_count: 0 })
    const retry = `/v1/endpoints/${id}/deliveries/${first?.id ?? ''}/retry`
    expect((await road().api(retry, { body: {} })).body).toMatchObject({ code: 'endpoint_paused' })
    // given up while it took nothing
    await db('delivery')
      .where({ endpoint_id: id, id: first?.id ?? '' })
      .update({ status: 'failed', finished_at: new Date() })
    status = 200
    expect(await patch(id, { paused: false })).toMatchObject({
      ...{ paused_at: null, paused_reason: null, failing_since: null },
    })
    const all = await until(
      () => deliveriesTo(id),
      (told) => told.every((one) => one.status === 'delivered'),
    )
    expect(all).toHaveLength(3)
    const ids = shop()
      .at('/down')
      .map(({ headers }) => headers['webhook-id'])
    expect(ids.filter((one) => one === last?.id)).toHaveLength(1)
    await remove(id)
  })

  it('posts the result of a message to its callback_url, as the API shows it', async () => {
    const sender = await addEndpoint('', {
      account: undefined,
      url: undefined,
      purpose: 'callbacks',
    })
    const { people } = road()
    const [follower, stranger] = [people.newOpenid(), people.newOpenid()]
    await people.follow(follower)
    const ask = async (to: string) => {
      const body = bodyOf(road().account.name, { to, channel: 'template_message' })
      const callback_url = `${shop().url}/results`
      const answer = await road().api('/v1/messages', { body: { ...body, callback_url } })
      expect(answer.status).toBe(202)
      return messageSchema.omit({ status: true }).parse(answer.body).id
    }
    const [sent, blocked] = [await ask(follower), await ask(stranger)]
    const results = () =>
      shop()
        .at('/results')
        .map((one) => messageSchema.parse(parsed(one)))
    await until(results, (all) => all.some(({ id }) => id === blocked))
    // sent, and delivered when the platform's receipt has come
    await until(results, (all) => all.findLast(({ id }) => id === sent)?.status === 'delivered')
    expect(results().find(({ id }) => id === blocked)?.status).toBe('blocked')
    const last = results().findLast(({ id }) => id === sent)
    expect(last).toEqual((await road().api(`/v1/messages/${sent}`)).body)
    for (const request of shop().at('/results')) expect(isSigned(request, sender.secret)).toBe(true)
    const told = await deliveriesTo(sender.id)
    expect(new Set(told.map(({ message_id: id }) => id))).toEqual(new Set([sent, blocked]))
  })

  it('posts the end of a broadcast to its callback_url, and each result where that is wished', async () => {
    const { people, account } = road()
    const follower = people.newOpenid()
    await people.follow(follower)
    const app = broadcasterOf(senderOf(road()))
    const lines = [{ to: follower }, { to: people.newOpenid() }]
    const at = (path: string, more = {}) =>
      headOf(account.name, { callback_url: `${shop().url}${path}`, ...more })
    const quiet = await app.create([at('/end'), ...lines])
    const each = await app.create([at('/each', { results: 'each' }), ...lines])
    const [end] = await until(
      () => shop().at('/end').map(parsed),
      (told) => told.length > 0,
    )
    expect(end).toMatchObject({
      ...{ type: 'broadcast.finished', id: quiet.id, status: 'completed' },
      report: `/v1/broadcasts/${quiet.id}/report`,
      messages: { blocked: 1, waiting: 0, queued: 0, sending: 0 },
    })
    const typed = z.looseObject({ id: z.string(), type: z.string().optional(), status: z.string() })
    const told = await until(
      () =>
        shop()
          .at('/each')
          .map((one) => typed.parse(parsed(one))),
      (all) =>
        all.some(({ type }) => type === 'broadcast.finished') &&
        ['blocked', 'delivered'].every((status) => all.some((one) => one.status === status)),
    )
    expect(told.filter(({ type }) => type !== undefined).map(({ id }) => id)).toEqual([each.id])
    // of the other one nothing but its end
    expect(shop().at('/end')).toHaveLength(1)
    const listed = await road().api('/v1/endpoints')
    const { endpoints } = z
      .object({ endpoints: z.array(z.looseObject({ id: z.string(), purpose: z.string() })) })
      .parse(listed.body)
    const own = endpoints.find(({ purpose }) => purpose === 'callbacks')
    const ends = (await deliveriesTo(own?.id ?? '')).map((one) => one['broadcast_id'])
    expect(new Set(ends.filter((id) => id !== null))).toEqual(new Set([quiet.id, each.id]))
  })

  describe('asked for replies', () => {
    /** The message in an answer, without what is new in every answer. */
    function open(answer: string): string {
      const outer = readXml(answer)
      if (!outer.ok) throw new Error(`no reply: ${answer}`)
      const current = prepareKey(road().account.aesKey)
      const opened = openEnvelope({
        encrypt: textOf(outer.fields, 'Encrypt') ?? '',
        keys: { current, previous: null },
        receiveId: road().account.appId,
      })
      if (!opened.ok) throw new Error(opened.reason)
      return opened.message
    }

    it('p2: every repeat, at once or later, in any process, gets the reply that was given once', async () => {
      let count = 0
      shop().answer('/reply', () => {
        count += 1
        return { status: 200, body: { reply: { msgtype: 'text', text: { content: `#${count}` } } } }
      })
      const { id, secret } = await addEndpoint('/reply', { purpose: 'reply' })
      const person = newOpenid()
      const document = documentFrom(person, { kind: 'say', text: '你好', msgId: '77' })
      const first = await pushEverywhere(document, 6)
      const later = await pushEverywhere(document, 2)
      const messages = new Set([...first, ...later].map(({ text }) => open(text)))
      expect(messages.size).toBe(1)
      expect([...messages][0]).toContain('<Content><![CDATA[#1]]></Content>')
      expect([...messages][0]).toContain(`<ToUserName><![CDATA[${person}]]>`)
      expect(count).toBe(1)
      const [question] = shop().at('/reply')
      if (!question) throw new Error('nobody was asked')
      expect(isSigned(question, secret)).toBe(true)
      expect(parsed(question)).toMatchObject({ kind: 'message.text', subject: person, document })
      // the platform can read it, and gives it to the person
      const said = await road().people.say(road().people.newOpenid(), '你好')
      expect(said).toMatchObject({ outcome: 'acknowledged', tries: [{ problem: null }] })
      expect(said?.reply).toContain('<Content><![CDATA[#2]]></Content>')
      // what the platform takes no message for is not asked about
      await road().push(documentFrom(person, { kind: 'unsubscribe', key: '' }))
      expect(count).toBe(2)
      await remove(id)
    })

    it('p9: an application that never answers costs its reply and nothing else', async () => {
      shop().answer('/hangs', 'never')
      const { id } = await addEndpoint('/hangs', { purpose: 'reply' })
      const startedMs = performance.now()
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, index) => {
          const act = { kind: 'say', text: 'hello', msgId: String(index) } as const
          return road().push(documentFrom(newOpenid(), act))
        }),
      )
      expect(answers.map(({ text }) => text)).toEqual(Array(60).fill('success'))
      // all of them wait at the same time, and none for another
      expect(performance.now() - startedMs).toBeLessThan(5_000)
      const waiting = road().push(
        documentFrom(newOpenid(), { kind: 'say', text: 'hello', msgId: '99' }),
      )
      await until(
        () => shop().at('/hangs').length,
        (count) => count >= 33,
      )
      const other = await road().push(documentFrom(newOpenid(), { kind: 'unsubscribe', key: '' }))
      expect(other.tookMs).toBeLessThan(2_000)
      await waiting
      await remove(id)
    })
  })
})
