import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  buildRequest,
  BROADCAST_CHANNELS,
  CHANNEL_NAMES,
  CHANNELS,
  channelsOf,
  contentSchemaOf,
  deduplicates,
  msgidOf,
  templateIdOf,
  type Channel,
  type ChannelName,
} from '../../src/wechat/channels.ts'
import { parseJson } from '../../src/wechat/lossless-json.ts'

const TEMPLATE_ID = 'Vd4mQx8Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrNy'

const TEMPLATE = {
  template_id: TEMPLATE_ID,
  url: 'https://example.com/orders/7',
  miniprogram: { appid: 'wx0000000000000001', pagepath: 'pages/order?id=7' },
  data: { thing1: { value: '包裹已送达' }, time2: { value: '2026-01-31 09:30' } },
}

const SUBSCRIPTION = {
  template_id: TEMPLATE_ID,
  page: 'https://example.com/orders/7',
  miniprogram_state: 'formal',
  lang: 'zh_CN',
  data: { thing1: { value: 'Ready' } },
}

/** One valid message of each msgtype that official accounts have. */
const CUSTOM = [
  { msgtype: 'text', text: { content: '<a href="https://example.com">您好</a>' } },
  { msgtype: 'image', image: { media_id: 'M1' } },
  { msgtype: 'voice', voice: { media_id: 'M1' } },
  { msgtype: 'video', video: { media_id: 'M1', thumb_media_id: 'M2', title: 'T' } },
  {
    msgtype: 'music',
    music: { musicurl: 'https://a.example', hqmusicurl: 'https://b.example', thumb_media_id: 'M' },
  },
  { msgtype: 'news', news: { articles: [{ title: 'T', url: 'https://a.example' }] } },
  { msgtype: 'mpnews', mpnews: { media_id: 'M1' } },
  { msgtype: 'mpnewsarticle', mpnewsarticle: { article_id: 'A1' } },
  {
    msgtype: 'msgmenu',
    msgmenu: { head_content: '?', list: [{ id: '101', content: 'Yes' }], tail_content: '!' },
  },
  { msgtype: 'wxcard', wxcard: { card_id: 'C1' } },
  {
    msgtype: 'miniprogrampage',
    miniprogrampage: { title: 'T', appid: 'wx1', pagepath: 'p', thumb_media_id: 'M1' },
  },
]

const VALID: readonly (readonly [Channel, object])[] = [
  ['template_message', TEMPLATE],
  ['template_message', { template_id: TEMPLATE_ID, data: {} }],
  [
    'template_message',
    { ...TEMPLATE, topcolor: '#000', data: { a: { value: '1', color: '#F00' } } },
  ],
  ['subscription_message', SUBSCRIPTION],
  ...CUSTOM.map((content) => ['customer_service_message', content] as const),
  ['customer_service_message', { ...CUSTOM[0], customservice: { kf_account: 'a@b' } }],
]

interface Way {
  readonly path: string
  readonly receiptId: string | null
}

interface Facts {
  readonly recipient: { readonly field: string; readonly most: number } | null
  readonly repeatField: string | null
  readonly repeatMemoryMs: number | null
}

/** The faults of a content as `field: rule`. */
function faultsOf(channel: Channel, content: unknown): string[] {
  const result = CHANNELS[channel].content.safeParse(content)
  return (result.error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`)
}

describe('CHANNELS', () => {
  it('opens every channel to applications, and to broadcasts those without a scope of their own', () => {
    expect([...CHANNEL_NAMES]).toEqual(Object.keys(CHANNELS))
    const ownScope = ['one_time_subscription', 'device_message', 'wecom_welcome_message']
    const notYet = [...ownScope, 'wecom_group_message', 'wecom_kf_message', 'wecom_robot_message']
    expect(CHANNEL_NAMES.filter((name) => !notYet.includes(name))).toEqual([...BROADCAST_CHANNELS])
  })

  it('is what docs/dispatch.md shows', () => {
    const page = readFileSync(new URL('../../docs/dispatch.md', import.meta.url), 'utf8')
    const shown = page.split('\n').filter((line) => /^\| `[a-z_]+` \| /.test(line))
    const rows = (Object.keys(CHANNELS) as ChannelName[]).flatMap((channel) =>
      Object.entries(CHANNELS[channel].ways).map(([kind, way]: [string, Way]) => {
        const { recipient, repeatMemoryMs, repeatField }: Facts = CHANNELS[channel]
        const field = recipient === null ? '–' : `\`${recipient.field}\``
        const most = recipient === null ? '–' : String(recipient.most)
        const repeats =
          repeatMemoryMs === null ? '–' : `\`${repeatField}\`, ${repeatMemoryMs / 60_000} min`
        const id = way.receiptId === null ? '–' : `\`${way.receiptId}\``
        return `| \`${channel}\` | \`${kind}\` | \`${way.path}\` | ${field} | ${most} | ${repeats} | ${id} |`
      }),
    )
    expect(shown.filter((line) => line.includes('/cgi-bin/'))).toEqual(rows)
  })

  it.each(VALID)('takes a content of %s as it is: %j', (channel, content) => {
    expect(CHANNELS[channel].content.parse(content)).toEqual(content)
  })

  it.each(
    BROADCAST_CHANNELS.flatMap((channel) =>
      ['touser', 'access_token'].map((key) => [channel, key] as const),
    ),
  )('tells an application of %s where %s belongs', (channel, key) => {
    const base = {
      template_message: TEMPLATE,
      subscription_message: SUBSCRIPTION,
      customer_service_message: CUSTOM[0],
      wecom_app_message: { msgtype: 'text', text: { content: 'a' } },
    }
    const faults = faultsOf(channel, { ...base[channel], [key]: 'o-person' })
    expect(faults).toEqual([
      key === 'touser'
        ? ': the recipient goes into `to`, not into `content`'
        : ': the gateway adds the access token; leave it out of `content`',
    ])
  })

  it('names a field that the platform does not have, and those it has', () => {
    expect(faultsOf('template_message', { ...TEMPLATE, templateId: 'x' })).toEqual([
      ': the platform has no `templateId` here; it has template_id, data, url, miniprogram, topcolor',
    ])
    expect(
      faultsOf('template_message', { ...TEMPLATE, data: { a: { vaule: '1', value: '' } } }),
    ).toEqual(['data.a: the platform has no `vaule` here; it has value, color'])
  })

  it('keeps the idempotency key for the gateway', () => {
    const [fault] = faultsOf('template_message', { ...TEMPLATE, client_msg_id: 'mine' })
    expect(fault).toContain('Idempotency-Key')
  })

  it.each([
    ['template_message', { data: {} }, 'template_id'],
    ['template_message', { ...TEMPLATE, template_id: '' }, 'template_id'],
    ['template_message', { ...TEMPLATE, template_id: 'a b' }, 'template_id'],
    ['template_message', { ...TEMPLATE, data: { thing1: 'text' } }, 'data.thing1'],
    ['template_message', { ...TEMPLATE, data: { thing1: { value: 7 } } }, 'data.thing1.value'],
    ['template_message', { ...TEMPLATE, data: [] }, 'data'],
    ['template_message', { ...TEMPLATE, miniprogram: { pagepath: 'x' } }, 'miniprogram.appid'],
    ['template_message', 'text', ''],
    ['template_message', null, ''],
    ['subscription_message', { ...SUBSCRIPTION, lang: 'de_DE' }, 'lang'],
    ['subscription_message', { ...SUBSCRIPTION, miniprogram_state: 'beta' }, 'miniprogram_state'],
    ['subscription_message', { ...SUBSCRIPTION, url: 'https://a.example' }, ''],
    ['customer_service_message', { msgtype: 'text' }, 'text'],
    ['customer_service_message', { msgtype: 'text', image: { media_id: 'M' } }, 'text'],
    ['customer_service_message', { msgtype: 'text', text: { content: '' } }, 'text.content'],
    ['customer_service_message', { msgtype: 'link', link: {} }, 'link.url'],
    ['customer_service_message', { text: { content: 'x' } }, 'msgtype'],
    [
      'customer_service_message',
      { msgtype: 'news', news: { articles: [{}, {}] } },
      'news.articles',
    ],
    ['customer_service_message', { msgtype: 'msgmenu', msgmenu: { list: [] } }, 'msgmenu.list'],
    ['customer_service_message', { ...CUSTOM[0], customservice: {} }, 'customservice.kf_account'],
  ] as const)('refuses a content of %s: %j (at “%s”)', (channel, content, field) => {
    const fields = faultsOf(channel, content).map((fault) => fault.split(':')[0])
    expect(fields).toContain(field)
  })

  it('lists the message types when the one given is unknown', () => {
    const [fault] = faultsOf('customer_service_message', { msgtype: 'sms' })
    const names = [...CUSTOM.map((one) => one.msgtype), 'link']
    expect(fault).toBe(`msgtype: msgtype is one of ${names.join(', ')}`)
  })

  it('lists those of the account where it is known', () => {
    const faultsFor = (kind: 'official_account' | 'mini_program') =>
      contentSchemaOf('customer_service_message', { kind })
        ?.safeParse({ msgtype: 'sms' })
        .error?.issues.map((issue) => issue.message)
    const names = CUSTOM.map((one) => one.msgtype).join(', ')
    expect(faultsFor('official_account')).toEqual([`msgtype is one of ${names}`])
    expect(faultsFor('mini_program')).toEqual([
      'msgtype is one of text, image, link, miniprogrampage',
    ])
  })

  it('takes for an Official Account what it always took', () => {
    const schema = contentSchemaOf('customer_service_message', { kind: 'official_account' })
    for (const content of CUSTOM) expect(schema?.parse(content)).toEqual(content)
    const page = {
      msgtype: 'miniprogrampage',
      miniprogrampage: { pagepath: 'p', thumb_media_id: 'M' },
    }
    expect(schema?.safeParse(page).error?.issues[0]?.path).toEqual(['miniprogrampage', 'appid'])
  })

  it.each([
    ['a control character', 'a\u0001b', false],
    ['a half surrogate pair', 'a\ud83db', false],
    ['a line feed', 'a\nb', true],
    ['an emoji', 'a😀b', true],
    ['a literal backslash', 'a\\u0041b', true],
  ])('lets through only what JSON writes without \\u escapes: %s', (_name, value, isFine) => {
    const content = { ...TEMPLATE, data: { thing1: { value } } }
    expect(faultsOf('template_message', content).length === 0).toBe(isFine)
    if (isFine) expect(JSON.stringify(content).replaceAll('\\\\', '')).not.toMatch(/\\u/)
  })
})

describe('buildRequest', () => {
  const account = { kind: 'official_account' } as const
  const send = { account, to: 'oPerson', clientMsgId: '0190-id' }

  it('adds recipient and idempotency key to a template message', () => {
    expect(buildRequest({ ...send, channel: 'template_message', content: TEMPLATE })).toEqual({
      method: 'POST',
      path: '/cgi-bin/message/template/send',
      body: { ...TEMPLATE, touser: 'oPerson', client_msg_id: '0190-id' },
    })
  })

  it.each([
    ['subscription_message', SUBSCRIPTION, '/cgi-bin/message/subscribe/bizsend'],
    ['customer_service_message', CUSTOM[0]!, '/cgi-bin/message/custom/send'],
  ] as const)('adds only the recipient to a %s', (channel, content, path) => {
    expect(buildRequest({ ...send, channel, content })).toEqual({
      method: 'POST',
      path,
      body: { ...content, touser: 'oPerson' },
    })
  })

  it('sends to the recipient that was asked for, whatever stands in a stored content', () => {
    const content = { ...TEMPLATE, touser: 'oOther', client_msg_id: 'other' }
    const { body } = buildRequest({ ...send, channel: 'template_message', content })
    expect(body).toMatchObject({ touser: 'oPerson', client_msg_id: '0190-id' })
  })
})

describe('deduplicates', () => {
  it('is true for template and kf messages alone', () => {
    const all = Object.keys(CHANNELS) as ChannelName[]
    expect(all.filter(deduplicates)).toEqual(['template_message', 'wecom_kf_message'])
    expect(CHANNELS.template_message.repeatMemoryMs).toBe(600_000)
    // The gateway recovers all of them within one span.
    expect(CHANNELS.wecom_kf_message.repeatMemoryMs).toBe(600_000)
  })
})

describe('channelsOf', () => {
  const OFFICIAL = [
    'template_message',
    'subscription_message',
    'customer_service_message',
    'one_time_subscription',
  ]
  const MINI = ['subscription_message', 'customer_service_message', 'device_message']

  it.each([
    ['official_account', null, OFFICIAL],
    ['mini_program', null, MINI],
    ['authorizer', 'official_account', OFFICIAL],
    ['authorizer', 'mini_program', MINI],
    ['authorizer', null, []],
    ['component', null, []],
    ['wecom_suite', null, []],
    [
      'wecom_app',
      null,
      [
        ...['wecom_app_message', 'wecom_welcome_message', 'wecom_group_message'],
        ...['wecom_kf_message', 'wecom_robot_message'],
      ],
    ],
    [
      'wecom_authorizer',
      null,
      ['wecom_app_message', 'wecom_welcome_message', 'wecom_group_message', 'wecom_kf_message'],
    ],
    ['wecom_kf', null, ['wecom_kf_message']],
  ] as const)('%s that serves %s', (kind, serves, channels) => {
    expect(channelsOf(kind, serves)).toEqual(channels)
  })
})

describe('templateIdOf', () => {
  it('finds the template where the channel has one', () => {
    expect(templateIdOf(TEMPLATE)).toBe(TEMPLATE_ID)
    expect(templateIdOf({ msgtype: 'text', text: { content: 'x' } })).toBeNull()
  })
})

describe('msgidOf', () => {
  it.each([
    ['{"errcode":0,"msgid":3487542469355618313}', '3487542469355618313'],
    ['{"errcode":0,"msgid":200228332}', '200228332'],
    ['{"errcode":0,"msgid":"200228332"}', '200228332'],
    ['{"errcode":0}', null],
    ['{"errcode":0,"msgid":null}', null],
  ])('reads %s', (text, msgid) => {
    const body = z.record(z.string(), z.unknown()).parse(parseJson(text))
    expect(msgidOf(body)).toBe(msgid)
  })
})
