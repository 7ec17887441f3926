import { describe, expect, test } from 'vitest'
import { useRoad } from '../support/road.ts'
import {
  agree,
  nextSecond,
  NOTICE,
  PATHS,
  senderOf,
  SUBSCRIPTION,
  type Ask,
  ROAD_CHANNELS,
  type RoadChannel,
} from '../support/send-road.ts'

const road = useRoad()
const people = () => road().people
const sender = () => senderOf(road())

/** How a person comes to have no live consent for a channel, and what the gateway says then. */
interface Case {
  readonly channel: RoadChannel
  readonly situation: string
  readonly prepare: (person: string) => Promise<unknown>
  readonly reason: string
  readonly scope: string
  /** What brings consent back; the channel's own act when absent. */
  readonly grant?: (person: string) => Promise<unknown>
}

const OTHER_TEMPLATE = 'Zz9Other8Template7Id6Zz9Other8Template7Id6'
const HOURS_49 = 49 * 3600

const nothing = (): Promise<void> => Promise.resolve()

const CASES: readonly Case[] = [
  {
    channel: 'template_message',
    situation: 'no entry at all',
    prepare: nothing,
    reason: 'follow_unknown',
    scope: 'follow',
  },
  {
    channel: 'template_message',
    situation: 'an accepted template and an open conversation, but no follow',
    prepare: async (person) => {
      await people().accept(person, [NOTICE, SUBSCRIPTION])
      await people().say(person, '你好')
    },
    reason: 'follow_unknown',
    scope: 'follow',
  },
  {
    channel: 'template_message',
    situation: 'an unfollow',
    prepare: async (person) => {
      await people().follow(person)
      await people().unfollow(person)
    },
    reason: 'follow_revoked',
    scope: 'follow',
  },
  {
    channel: 'template_message',
    situation: 'an openid that the platform has called invalid',
    prepare: (person) => refusedBy(person, 'template_message', 40003),
    reason: 'follow_suppressed',
    scope: 'follow',
  },
  {
    channel: 'template_message',
    situation: 'a refusal of this template',
    prepare: async (person) => {
      await people().follow(person)
      await people().switchOff(person, NOTICE)
    },
    reason: 'template_refused',
    scope: `template:${NOTICE}`,
    grant: (person) => people().accept(person, [NOTICE]),
  },
  {
    channel: 'template_message',
    situation: 'a stop by keyword',
    prepare: async (person) => {
      await people().follow(person)
      await people().say(person, '退订')
    },
    reason: 'stopped',
    scope: 'everything',
  },
  {
    channel: 'subscription_message',
    situation: 'no entry at all',
    prepare: nothing,
    reason: 'template_unknown',
    scope: `template:${SUBSCRIPTION}`,
  },
  {
    channel: 'subscription_message',
    situation: 'a follow, a conversation and another template',
    prepare: async (person) => {
      await people().follow(person)
      await people().say(person, '你好')
      await people().accept(person, [OTHER_TEMPLATE])
    },
    reason: 'template_unknown',
    scope: `template:${SUBSCRIPTION}`,
  },
  {
    channel: 'subscription_message',
    situation: 'a switch turned off',
    prepare: async (person) => {
      await people().accept(person, [SUBSCRIPTION])
      await people().switchOff(person, SUBSCRIPTION)
    },
    reason: 'template_refused',
    scope: `template:${SUBSCRIPTION}`,
  },
  {
    channel: 'subscription_message',
    situation: 'an unfollow, which ends all rights by default',
    prepare: async (person) => {
      await people().accept(person, [SUBSCRIPTION])
      await people().follow(person)
      await people().unfollow(person)
    },
    reason: 'template_revoked',
    scope: `template:${SUBSCRIPTION}`,
  },
  {
    channel: 'subscription_message',
    situation: 'an openid that the platform has called invalid',
    prepare: (person) => refusedBy(person, 'subscription_message', 40003),
    reason: 'template_suppressed',
    scope: `template:${SUBSCRIPTION}`,
  },
  {
    channel: 'subscription_message',
    situation: 'a credit that is used up',
    prepare: async (person) => {
      await people().accept(person, [SUBSCRIPTION])
      await arrives({ to: person, channel: 'subscription_message' })
    },
    reason: 'no_credit_left',
    scope: `template:${SUBSCRIPTION}`,
  },
  {
    channel: 'subscription_message',
    situation: 'a stop by keyword',
    prepare: async (person) => {
      await people().accept(person, [SUBSCRIPTION])
      await people().say(person, '退订')
    },
    reason: 'stopped',
    scope: 'everything',
  },
  {
    channel: 'customer_service_message',
    situation: 'no entry at all',
    prepare: nothing,
    reason: 'conversation_unknown',
    scope: 'conversation',
  },
  {
    channel: 'customer_service_message',
    situation: 'an accepted template only',
    prepare: (person) => people().accept(person, [SUBSCRIPTION]),
    reason: 'conversation_unknown',
    scope: 'conversation',
  },
  {
    channel: 'customer_service_message',
    situation: 'an unfollow',
    prepare: async (person) => {
      await people().say(person, '你好')
      await people().unfollow(person)
    },
    reason: 'conversation_revoked',
    scope: 'conversation',
  },
  {
    channel: 'customer_service_message',
    situation: 'an openid that the platform has called invalid',
    prepare: (person) => refusedBy(person, 'customer_service_message', 40003),
    reason: 'conversation_suppressed',
    scope: 'conversation',
  },
  {
    channel: 'customer_service_message',
    situation: 'a window that closed an hour ago',
    prepare: (person) => saidBefore(person, HOURS_49),
    reason: 'conversation_expired',
    scope: 'conversation',
  },
  {
    channel: 'customer_service_message',
    situation: 'five answers given already',
    prepare: async (person) => {
      await people().follow(person, { silent: true })
      await people().say(person, '你好')
      for (let answers = 0; answers < 5; answers += 1) {
        await arrives({ to: person, channel: 'customer_service_message' })
      }
    },
    reason: 'conversation_used_up',
    scope: 'conversation',
  },
  {
    channel: 'customer_service_message',
    situation: 'a stop by keyword',
    prepare: (person) => people().say(person, '退订'),
    reason: 'stopped',
    scope: 'everything',
  },
]

describe('P5 unknown-means-no', () => {
  test.concurrent.for(CASES)(
    '$channel with $situation is blocked as $reason, and sent after the consent',
    { timeout: 60_000 },
    async ({ channel, prepare, reason, scope, grant }) => {
      const person = people().newOpenid()
      await prepare(person)
      const ask: Ask = { to: person, channel }
      const before = callsFor(person)

      expect(await sender().check(ask)).toEqual({ allowed: false, reason, scope })
      const blocked = await sender().ended(await sender().ask(ask))
      expect(blocked).toMatchObject({
        status: 'blocked',
        reason,
        missing_scope: scope,
        attempts: [],
      })
      expect(callsFor(person)).toBe(before)

      // the platform's clock counts whole seconds, and in the same one the refusal wins
      await nextSecond()
      await (grant?.(person) ?? agree(people(), person, channel))
      // a stop ends by a new follow or acceptance, not by a word in the chat
      if (reason === 'stopped') await people().follow(person)
      expect(await sender().check(ask)).toMatchObject({ allowed: true, reason: null })
      await arrives(ask)
      expect(callsFor(person)).toBe(before + 1)
    },
  )

  test('blocks all channels for somebody who follows, when the gateway has never heard of it', async () => {
    const [person = ''] = people().addFollowers(1)
    for (const channel of ROAD_CHANNELS) {
      const ended = await sender().ended(await sender().ask({ to: person, channel }))
      expect(ended.status).toBe('blocked')
    }
    expect(callsFor(person)).toBe(0)
  })
})

/** A message that is sent and reaches the person. */
async function arrives(ask: Ask): Promise<void> {
  const received = people().messages(ask.to).length
  const ended = await sender().ended(await sender().ask(ask))
  expect(['sent', 'delivered'], JSON.stringify(ended)).toContain(ended.status)
  expect(people().messages(ask.to)).toHaveLength(received + 1)
}

/** A person who had agreed, until the platform answered a send with this code. */
async function refusedBy(person: string, channel: RoadChannel, errcode: number): Promise<void> {
  await agree(people(), person, channel)
  road().sandbox.addFault({ openid: person, path: PATHS[channel], errcode, times: 1 })
  const ended = await sender().ended(await sender().ask({ to: person, channel }))
  expect(ended).toMatchObject({ status: 'failed', reason: 'invalid_recipient' })
}

/** A word of the person that the platform pushes late: what it opened has closed since. */
async function saidBefore(person: string, seconds: number): Promise<void> {
  const at = Math.floor(road().sandbox.now().getTime() / 1000) - seconds
  await people().pushDocument(
    [
      `<xml><ToUserName><![CDATA[${road().account.originalId}]]></ToUserName>`,
      `<FromUserName><![CDATA[${person}]]></FromUserName>`,
      `<CreateTime>${at}</CreateTime><MsgType><![CDATA[text]]></MsgType>`,
      `<Content><![CDATA[你好]]></Content><MsgId>${at}${Math.floor(Math.random() * 1e6)}</MsgId></xml>`,
    ].join('\n'),
  )
}

function callsFor(person: string): number {
  return road().sandbox.log({ kind: 'call', openid: person }).entries.length
}
