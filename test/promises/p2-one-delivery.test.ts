import { z } from 'zod'
import { describe, expect, it } from 'vitest'
import { textOf } from '../../src/events/document.ts'
import { prepareKey, openEnvelope } from '../../src/receiver/message-crypto.ts'
import { readXml } from '../../src/receiver/xml.ts'
import { documentOf, newOpenid, type Act } from '../support/push-documents.ts'
import { useRoad } from '../support/road.ts'
import { bodyOf, until } from '../support/send-road.ts'
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
      // what the platform takes no message for is not asked about
      await road().push(documentFrom(person, { kind: 'unsubscribe', key: '' }))
      expect(count).toBe(1)
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
