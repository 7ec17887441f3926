import { describe, expect, it } from 'vitest'
import {
  buildRequest,
  CHANNELS,
  contentSchemaOf,
  recipientFault,
  type ChannelName,
  type Sender,
} from '../../src/wechat/channels.ts'

const MINI: Sender = { kind: 'mini_program' }
const OFFICIAL: Sender = { kind: 'official_account' }
const MERCHANT: Sender = { kind: 'authorizer', serves: 'mini_program' }
const APP: Sender = { kind: 'wecom_app', agentId: '1000002' }
const CORP: Sender = { kind: 'wecom_authorizer', agentId: '1000007' }
const KF: Sender = { kind: 'wecom_kf' }

const ID = '01900000-0000-7000-8000-00000000abcd'
const TEMPLATE_ID = 'Vd4mQx8Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrNy'

const SUBSCRIPTION = {
  template_id: TEMPLATE_ID,
  page: 'pages/order?id=7',
  miniprogram_state: 'formal',
  lang: 'zh_CN',
  data: { thing1: { value: '包裹已送达' } },
}
const ONE_TIME = {
  template_id: TEMPLATE_ID,
  scene: '1000',
  title: '预约提醒',
  data: { content: { value: '明天 9:30', color: '#FF0000' } },
  url: 'https://example.com/7',
  miniprogram: { appid: 'wx0000000000000001', pagepath: 'pages/order' },
}
const DEVICE = {
  template_id: TEMPLATE_ID,
  sn: 'SN1',
  modelId: 'M1',
  data: { thing1: { value: 'x' } },
}
const LINK = {
  msgtype: 'link',
  link: { title: 'T', description: 'D', url: 'https://a.example', thumb_url: 'https://b.example' },
}
const CARD_ACTION = { type: 1, url: 'https://a.example' }
const TEXT_NOTICE = {
  card_type: 'text_notice',
  source: { desc: '企业微信' },
  main_title: { title: 'T', desc: 'D' },
  emphasis_content: { title: '100', desc: 'n' },
  horizontal_content_list: [{ keyname: 'k', value: 'v' }],
  jump_list: [{ type: 1, url: 'https://a.example', title: 'go' }],
  card_action: CARD_ACTION,
}
const NEWS_NOTICE = {
  card_type: 'news_notice',
  main_title: { title: 'T' },
  card_image: { url: 'https://a.example/i.png', aspect_ratio: 2.25 },
  vertical_content_list: [{ title: 't', desc: 'd' }],
  card_action: { type: 2, appid: 'wx1', pagepath: 'p' },
}

const APP_CONTENTS = [
  { msgtype: 'text', text: { content: '你好' }, safe: 0, enable_id_trans: 0 },
  {
    msgtype: 'text',
    text: { content: '你好' },
    enable_duplicate_check: 1,
    duplicate_check_interval: 1800,
  },
  { msgtype: 'image', image: { media_id: 'M' } },
  { msgtype: 'voice', voice: { media_id: 'M' } },
  { msgtype: 'video', video: { media_id: 'M', title: 'T', description: 'D' } },
  { msgtype: 'file', file: { media_id: 'M' }, safe: 1 },
  {
    msgtype: 'textcard',
    textcard: { title: 'T', description: 'D', url: 'https://a.example', btntxt: '更多内容' },
  },
  { msgtype: 'news', news: { articles: [{ title: 'T', url: 'https://a.example', picurl: 'p' }] } },
  { msgtype: 'news', news: { articles: [{ title: 'T', appid: 'wx1', pagepath: 'p' }] } },
  {
    msgtype: 'mpnews',
    mpnews: { articles: [{ title: 'T', thumb_media_id: 'M', content: '<p>x</p>', digest: 'd' }] },
    safe: 2,
  },
  { msgtype: 'markdown', markdown: { content: '**x**' } },
  {
    msgtype: 'miniprogram_notice',
    miniprogram_notice: {
      appid: 'wx1',
      page: 'p',
      title: 'T',
      description: 'D',
      emphasis_first_item: true,
      content_item: [{ key: 'k', value: 'v' }],
    },
  },
  { msgtype: 'template_card', template_card: TEXT_NOTICE },
  { msgtype: 'template_card', template_card: NEWS_NOTICE },
  {
    msgtype: 'template_card',
    template_card: {
      card_type: 'button_interaction',
      task_id: 't1',
      main_title: { title: 'T' },
      button_list: [{ text: 'A', style: 1, key: 'k' }],
    },
  },
  {
    msgtype: 'template_card',
    template_card: {
      card_type: 'vote_interaction',
      task_id: 't1',
      checkbox: { question_key: 'q', option_list: [{ id: '1', text: 'A', is_checked: true }] },
      submit_button: { text: 'S', key: 'k' },
    },
  },
  {
    msgtype: 'template_card',
    template_card: {
      card_type: 'multiple_interaction',
      task_id: 't1',
      select_list: [{ question_key: 'q', option_list: [{ id: '1', text: 'A' }] }],
      submit_button: { text: 'S', key: 'k' },
    },
  },
]

const WELCOME = {
  welcome_code: 'CODE',
  text: { content: '您好 %NICKNAME%' },
  attachments: [
    { msgtype: 'image', image: { media_id: 'M' } },
    { msgtype: 'image', image: { pic_url: 'https://a.example/i.png' } },
    { msgtype: 'link', link: { title: 'T', picurl: 'p', desc: 'd', url: 'https://a.example' } },
    {
      msgtype: 'miniprogram',
      miniprogram: { title: 'T', pic_media_id: 'M', appid: 'wx1', page: 'p' },
    },
    { msgtype: 'video', video: { media_id: 'M' } },
    { msgtype: 'file', file: { media_id: 'M' } },
  ],
}
const GROUP = {
  chat_type: 'single',
  sender: 'zhangsan',
  allow_select: false,
  text: { content: 'x' },
}

const KF_BASE = { open_kfid: 'wkInvented' }
const KF_CONTENTS = [
  { ...KF_BASE, msgtype: 'text', text: { content: '你好' } },
  { ...KF_BASE, msgtype: 'image', image: { media_id: 'M' } },
  { ...KF_BASE, msgtype: 'voice', voice: { media_id: 'M' } },
  { ...KF_BASE, msgtype: 'video', video: { media_id: 'M' } },
  { ...KF_BASE, msgtype: 'file', file: { media_id: 'M' } },
  {
    ...KF_BASE,
    msgtype: 'link',
    link: { title: 'T', desc: 'D', url: 'https://a.example', thumb_media_id: 'M' },
  },
  {
    ...KF_BASE,
    msgtype: 'miniprogram',
    miniprogram: { appid: 'wx1', title: 'T', thumb_media_id: 'M', pagepath: 'p' },
  },
  {
    ...KF_BASE,
    msgtype: 'msgmenu',
    msgmenu: {
      head_content: '?',
      list: [
        { type: 'click', click: { id: '1', content: 'A' } },
        { type: 'view', view: { url: 'https://a.example', content: 'B' } },
        { type: 'miniprogram', miniprogram: { appid: 'wx1', pagepath: 'p', content: 'C' } },
        { type: 'text', text: { content: 'D', no_newline: 1 } },
      ],
      tail_content: '!',
    },
  },
  {
    ...KF_BASE,
    msgtype: 'location',
    location: { name: 'N', address: 'A', latitude: 39.9, longitude: 116.4 },
  },
  { ...KF_BASE, msgtype: 'business_card', business_card: { userid: 'zhangsan' } },
  { ...KF_BASE, msgtype: 'ca_link', ca_link: { link_url: 'https://a.example' } },
]

const ROBOT_CONTENTS = [
  {
    msgtype: 'text',
    text: { content: 'x', mentioned_list: ['@all'], mentioned_mobile_list: ['@all'] },
  },
  { msgtype: 'markdown', markdown: { content: '<@zhangsan> **x**' } },
  { msgtype: 'markdown_v2', markdown_v2: { content: '| a |' } },
  { msgtype: 'image', image: { base64: 'aW52ZW50ZWQ=', md5: 'd41d8cd98f00b204e9800998ecf8427e' } },
  {
    msgtype: 'news',
    news: { articles: [{ title: 'T', description: 'D', url: 'https://a.example' }] },
  },
  { msgtype: 'file', file: { media_id: 'M' } },
  { msgtype: 'voice', voice: { media_id: 'M' } },
  { msgtype: 'template_card', template_card: TEXT_NOTICE },
  { msgtype: 'template_card', template_card: NEWS_NOTICE },
]

type Content = Readonly<Record<string, unknown>>
const VALID: readonly (readonly [ChannelName, Sender, Content])[] = [
  ['subscription_message', MINI, SUBSCRIPTION],
  ['subscription_message', MERCHANT, SUBSCRIPTION],
  ['customer_service_message', MINI, { msgtype: 'text', text: { content: 'x' } }],
  ['customer_service_message', MINI, { msgtype: 'image', image: { media_id: 'M' } }],
  ['customer_service_message', MINI, LINK],
  [
    'customer_service_message',
    MINI,
    { msgtype: 'miniprogrampage', miniprogrampage: { pagepath: 'p', thumb_media_id: 'M' } },
  ],
  ['one_time_subscription', OFFICIAL, ONE_TIME],
  ['device_message', MINI, DEVICE],
  ...APP_CONTENTS.map((content) => ['wecom_app_message', APP, content] as const),
  ['wecom_welcome_message', APP, WELCOME],
  ['wecom_group_message', APP, GROUP],
  ...KF_CONTENTS.map((content) => ['wecom_kf_message', KF, content] as const),
  ...ROBOT_CONTENTS.map((content) => ['wecom_robot_message', APP, content] as const),
]

describe('the contents', () => {
  it.each(VALID)('%s of %j: takes %j as it is, also where the account is not known', (...one) => {
    const [channel, account, content] = one
    expect(contentSchemaOf(channel, account)?.parse(content)).toEqual(content)
    expect(CHANNELS[channel].content.parse(content)).toEqual(content)
  })

  const long = (bytes: number) => '字'.repeat(Math.ceil(bytes / 3) + 1)
  const text = { msgtype: 'text', text: { content: 'x' } }

  it.each<readonly [ChannelName, Sender, Content, string, string]>([
    [
      'subscription_message',
      MINI,
      { ...SUBSCRIPTION, miniprogram: {} },
      '',
      'has no `miniprogram`',
    ],
    [
      'subscription_message',
      MINI,
      { ...SUBSCRIPTION, data: { thing1: { value: 'x', color: '#F00' } } },
      'data.thing1',
      'has no `color`',
    ],
    [
      'subscription_message',
      MINI,
      { ...SUBSCRIPTION, data: { thing1: 'bare' } },
      'data.thing1',
      'expected object',
    ],
    [
      'customer_service_message',
      MINI,
      { msgtype: 'voice', voice: { media_id: 'M' } },
      'msgtype',
      'link',
    ],
    [
      'customer_service_message',
      MINI,
      { msgtype: 'link', link: { title: 'T' } },
      'link.thumb_url',
      '',
    ],
    [
      'customer_service_message',
      MINI,
      {
        msgtype: 'miniprogrampage',
        miniprogrampage: { appid: 'a', pagepath: 'p', thumb_media_id: 'M' },
      },
      'miniprogrampage',
      'has no `appid`',
    ],
    ['customer_service_message', OFFICIAL, LINK, 'msgtype', 'msgtype is one of'],
    ['one_time_subscription', OFFICIAL, { ...ONE_TIME, scene: '10001' }, 'scene', '0 to 10000'],
    ['one_time_subscription', OFFICIAL, { ...ONE_TIME, scene: 1 }, 'scene', 'expected string'],
    [
      'one_time_subscription',
      OFFICIAL,
      { ...ONE_TIME, title: '一二三四五六七八九十一二三四五六' },
      'title',
      '15',
    ],
    [
      'one_time_subscription',
      OFFICIAL,
      { ...ONE_TIME, data: { content: { value: '字'.repeat(201) } } },
      'data.content.value',
      '200',
    ],
    [
      'one_time_subscription',
      OFFICIAL,
      { ...ONE_TIME, data: { content: { value: 'x', color: 'red' } } },
      'data.content.color',
      '#RRGGBB',
    ],
    [
      'one_time_subscription',
      OFFICIAL,
      { ...ONE_TIME, data: { thing1: { value: 'x' } } },
      'data',
      'content',
    ],
    ['device_message', MINI, { ...DEVICE, sn: undefined }, 'sn', ''],
    ['device_message', MINI, { ...DEVICE, model_id: 'M' }, '', 'has no `model_id`'],
    ['device_message', MINI, { ...DEVICE, to_openid_list: ['o'] }, '', 'goes into `to`'],
    ['wecom_app_message', APP, { ...text, toparty: '1' }, '', 'consent is by person'],
    ['wecom_app_message', APP, { ...text, totag: '1' }, '', 'consent is by person'],
    ['wecom_app_message', APP, { ...text, touser: '@all' }, '', 'goes into `to`'],
    ['wecom_app_message', APP, { ...text, agentid: 1 }, '', 'adds the agentid'],
    ['wecom_app_message', APP, { ...text, safe: 2 }, 'safe', ''],
    [
      'wecom_app_message',
      APP,
      { ...text, duplicate_check_interval: 14_401 },
      'duplicate_check_interval',
      '',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'text', text: { content: long(2048) } },
      'text.content',
      '2048 bytes',
    ],
    ['wecom_app_message', APP, { msgtype: 'text', text: { content: '' } }, 'text.content', ''],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'markdown', markdown: { content: long(2048) } },
      'markdown.content',
      '2048',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'markdown_v2', markdown_v2: {} },
      'msgtype',
      'msgtype is one of text',
    ],
    [
      'wecom_app_message',
      APP,
      {
        msgtype: 'textcard',
        textcard: { title: long(128), description: 'D', url: 'u', btntxt: '12345' },
      },
      'textcard.title',
      '128',
    ],
    [
      'wecom_app_message',
      APP,
      {
        msgtype: 'textcard',
        textcard: { title: 'T', description: 'D', url: 'u', btntxt: '12345' },
      },
      'textcard.btntxt',
      '4 characters',
    ],
    ['wecom_app_message', APP, { msgtype: 'news', news: { articles: [] } }, 'news.articles', ''],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'news', news: { articles: [{ title: 'T' }] } },
      'news.articles.0',
      '`url`',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'news', news: { articles: [{ title: 'T', url: 'u' }] }, safe: 1 },
      '',
      'has no `safe`',
    ],
    [
      'wecom_app_message',
      APP,
      {
        msgtype: 'miniprogram_notice',
        miniprogram_notice: {
          appid: 'a',
          title: 'T',
          content_item: Array.from({ length: 11 }, () => ({ key: 'k', value: 'v' })),
        },
      },
      'miniprogram_notice.content_item',
      '',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'template_card', template_card: { ...TEXT_NOTICE, card_action: undefined } },
      'template_card.card_action',
      '',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'template_card', template_card: { ...TEXT_NOTICE, card_action: { type: 2 } } },
      'template_card.card_action',
      '`appid`',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'template_card', template_card: { ...TEXT_NOTICE, main_title: undefined } },
      'template_card',
      'sub_title_text',
    ],
    [
      'wecom_app_message',
      APP,
      {
        msgtype: 'template_card',
        template_card: {
          ...TEXT_NOTICE,
          horizontal_content_list: Array.from({ length: 7 }, () => ({})),
        },
      },
      'template_card.horizontal_content_list',
      '',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'template_card', template_card: { ...TEXT_NOTICE, source: { desc: 'a\u0001' } } },
      'template_card.source',
      'control characters',
    ],
    [
      'wecom_app_message',
      APP,
      { msgtype: 'template_card', template_card: { card_type: 'poster' } },
      'template_card.card_type',
      'card_type is one of',
    ],
    ['wecom_welcome_message', APP, { ...WELCOME, welcome_code: '' }, 'welcome_code', ''],
    ['wecom_welcome_message', APP, { welcome_code: 'C' }, '', '`text` or `attachments`'],
    [
      'wecom_welcome_message',
      APP,
      { welcome_code: 'C', attachments: [] },
      '',
      '`text` or `attachments`',
    ],
    [
      'wecom_welcome_message',
      APP,
      { ...WELCOME, text: { content: long(4000) } },
      'text.content',
      '4000',
    ],
    [
      'wecom_welcome_message',
      APP,
      { ...WELCOME, attachments: Array.from({ length: 10 }, () => WELCOME.attachments[0]) },
      'attachments',
      '',
    ],
    [
      'wecom_welcome_message',
      APP,
      { ...WELCOME, attachments: [{ msgtype: 'image', image: {} }] },
      'attachments.0.image',
      '`pic_url`',
    ],
    [
      'wecom_welcome_message',
      APP,
      { ...WELCOME, attachments: [{ msgtype: 'voice' }] },
      'attachments.0.msgtype',
      'msgtype is one of image',
    ],
    ['wecom_group_message', APP, { ...GROUP, chat_type: 'group' }, 'chat_type', 'by person'],
    ['wecom_group_message', APP, { ...GROUP, tag_filter: {} }, '', 'consent is by person'],
    ['wecom_group_message', APP, { ...GROUP, external_userid: ['w'] }, '', 'goes into `to`'],
    ['wecom_group_message', APP, { ...GROUP, text: undefined }, '', '`text` or `attachments`'],
    ['wecom_kf_message', KF, { msgtype: 'text', text: { content: 'x' } }, 'open_kfid', ''],
    ['wecom_kf_message', KF, { ...KF_CONTENTS[0], msgid: 'mine' }, '', 'Idempotency-Key'],
    [
      'wecom_kf_message',
      KF,
      { ...KF_CONTENTS[0], text: { content: long(2048) } },
      'text.content',
      '2048',
    ],
    [
      'wecom_kf_message',
      KF,
      { ...KF_BASE, msgtype: 'msgmenu', msgmenu: { list: [{ type: 'press' }] } },
      'msgmenu.list.0.type',
      'type is one of click',
    ],
    [
      'wecom_kf_message',
      KF,
      {
        ...KF_BASE,
        msgtype: 'msgmenu',
        msgmenu: {
          list: Array.from({ length: 11 }, () => ({ type: 'text', text: { content: 'x' } })),
        },
      },
      'msgmenu.list',
      '',
    ],
    [
      'wecom_kf_message',
      KF,
      { ...KF_BASE, msgtype: 'location', location: { latitude: 91, longitude: 0 } },
      'location.latitude',
      '',
    ],
    [
      'wecom_robot_message',
      APP,
      { msgtype: 'text', text: { content: long(2048) } },
      'text.content',
      '2048',
    ],
    [
      'wecom_robot_message',
      APP,
      { msgtype: 'markdown_v2', markdown_v2: { content: long(4096) } },
      'markdown_v2.content',
      '4096',
    ],
    [
      'wecom_robot_message',
      APP,
      { msgtype: 'text', text: { content: 'x' }, key: 'k' },
      '',
      'adds the key',
    ],
    [
      'wecom_robot_message',
      APP,
      { msgtype: 'image', image: { base64: 'data:image/png;base64,AA==', md5: 'x' } },
      'image.base64',
      'data: prefix',
    ],
    [
      'wecom_robot_message',
      APP,
      {
        msgtype: 'image',
        image: { base64: 'A'.repeat(2_796_208), md5: 'd41d8cd98f00b204e9800998ecf8427e' },
      },
      'image.base64',
      '2 MB',
    ],
    [
      'wecom_robot_message',
      APP,
      {
        msgtype: 'news',
        news: { articles: Array.from({ length: 9 }, () => ({ title: 'T', url: 'u' })) },
      },
      'news.articles',
      '',
    ],
    [
      'wecom_robot_message',
      APP,
      { msgtype: 'news', news: { articles: [{ title: 'T' }] } },
      'news.articles.0.url',
      '',
    ],
    [
      'wecom_robot_message',
      APP,
      { msgtype: 'template_card', template_card: { card_type: 'vote_interaction' } },
      'template_card.card_type',
      'text_notice, news_notice',
    ],
  ])('%s of %j: names what is wrong with %j', (...one) => {
    const [channel, account, content, field, words] = one
    const issues = contentSchemaOf(channel, account)?.safeParse(content).error?.issues ?? []
    const faults = issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    expect(
      faults.filter((fault) => fault.startsWith(`${field}: `) && fault.includes(words)),
    ).toHaveLength(1)
  })

  it.each([
    ['template_message', MINI],
    ['device_message', OFFICIAL],
    ['wecom_robot_message', KF],
    ['subscription_message', { kind: 'authorizer', serves: null }],
  ] as const)('%s: none for %j', (channel, account) => {
    expect(contentSchemaOf(channel, account)).toBeNull()
  })
})

describe('buildRequest', () => {
  const wecom = { method: 'POST', host: 'wecom' }
  const text = { msgtype: 'text', text: { content: 'x' } }

  it.each<readonly [ChannelName, Sender, Content, string | string[], object]>([
    [
      'subscription_message',
      MINI,
      SUBSCRIPTION,
      'oPerson',
      {
        method: 'POST',
        path: '/cgi-bin/message/subscribe/send',
        body: { ...SUBSCRIPTION, touser: 'oPerson' },
      },
    ],
    [
      'subscription_message',
      MERCHANT,
      SUBSCRIPTION,
      'oPerson',
      {
        method: 'POST',
        path: '/cgi-bin/message/subscribe/send',
        body: { ...SUBSCRIPTION, touser: 'oPerson' },
      },
    ],
    [
      'subscription_message',
      { kind: 'authorizer', serves: 'official_account' },
      SUBSCRIPTION,
      'oPerson',
      {
        method: 'POST',
        path: '/cgi-bin/message/subscribe/bizsend',
        body: { ...SUBSCRIPTION, touser: 'oPerson' },
      },
    ],
    [
      'customer_service_message',
      MINI,
      LINK,
      'oPerson',
      {
        method: 'POST',
        path: '/cgi-bin/message/custom/send',
        body: { ...LINK, touser: 'oPerson' },
      },
    ],
    [
      'one_time_subscription',
      OFFICIAL,
      ONE_TIME,
      'oPerson',
      {
        method: 'POST',
        path: '/cgi-bin/message/template/subscribe',
        body: { ...ONE_TIME, touser: 'oPerson' },
      },
    ],
    [
      'device_message',
      MINI,
      DEVICE,
      'oPerson',
      {
        method: 'POST',
        path: '/cgi-bin/message/device/subscribe/send',
        body: { ...DEVICE, to_openid_list: ['oPerson'] },
      },
    ],
    [
      'wecom_app_message',
      APP,
      text,
      'zhangsan',
      {
        ...wecom,
        path: '/cgi-bin/message/send',
        body: { ...text, touser: 'zhangsan', agentid: 1000002 },
      },
    ],
    [
      'wecom_app_message',
      CORP,
      text,
      ['zhangsan', 'lisi'],
      {
        ...wecom,
        path: '/cgi-bin/message/send',
        body: { ...text, touser: 'zhangsan|lisi', agentid: 1000007 },
      },
    ],
    [
      'wecom_welcome_message',
      APP,
      WELCOME,
      'wmCustomer',
      { ...wecom, path: '/cgi-bin/externalcontact/send_welcome_msg', body: WELCOME },
    ],
    [
      'wecom_group_message',
      APP,
      GROUP,
      ['wmOne', 'wmTwo'],
      {
        ...wecom,
        path: '/cgi-bin/externalcontact/add_msg_template',
        body: { ...GROUP, external_userid: ['wmOne', 'wmTwo'] },
      },
    ],
    [
      'wecom_kf_message',
      KF,
      KF_CONTENTS[0]!,
      'wmCustomer',
      {
        ...wecom,
        path: '/cgi-bin/kf/send_msg',
        body: {
          touser: 'wmCustomer',
          open_kfid: 'wkInvented',
          msgid: '0190000000007000800000000000abcd',
          msgtype: 'text',
          text: { content: '你好' },
        },
      },
    ],
    [
      'wecom_robot_message',
      APP,
      ROBOT_CONTENTS[0]!,
      'the-robot',
      { ...wecom, path: '/cgi-bin/webhook/send', tokenName: 'key', body: ROBOT_CONTENTS[0] },
    ],
  ])('%s of %j', (...one) => {
    const [channel, account, content, to, call] = one
    expect(buildRequest({ channel, account, content, to, clientMsgId: ID })).toEqual(call)
  })

  it('names a kf message in at most 32 characters', () => {
    const { body } = buildRequest({
      channel: 'wecom_kf_message',
      account: KF,
      content: KF_CONTENTS[0]!,
      to: 'wm',
      clientMsgId: ID,
    })
    expect(body?.['msgid']).toMatch(/^[0-9a-zA-Z_-]{32}$/)
  })

  it.each<readonly [string, ChannelName, Sender, string | string[]]>([
    ['of another kind', 'template_message', APP, 'o'],
    ['of an authorizer nobody has described', 'template_message', { kind: 'authorizer' }, 'o'],
    ['without agentid', 'wecom_app_message', { kind: 'wecom_app' }, 'zhangsan'],
    ['to everybody', 'wecom_app_message', APP, '@all'],
    ['to joined names', 'wecom_app_message', APP, 'a|b'],
    ['to nobody', 'wecom_app_message', APP, []],
    ['to too many', 'wecom_app_message', APP, Array.from({ length: 1001 }, (_, n) => `u${n}`)],
    ['to two persons of a channel for one', 'customer_service_message', MINI, ['a', 'b']],
  ])('refuses a send %s', (_name, channel, account, to) => {
    expect(() => buildRequest({ channel, account, content: text, to, clientMsgId: ID })).toThrow()
  })
})

describe('recipientFault', () => {
  it.each([
    ['wecom_app_message', 'zhangsan', null],
    ['wecom_app_message', '@ALL', '`@all` is nobody: consent is by person, name them'],
    ['wecom_app_message', 'a|b', 'must be one userid, without `|`'],
    ['template_message', 'a|b', null],
  ] as const)('%s to %s: %s', (channel, to, fault) => {
    expect(recipientFault(channel, to)).toBe(fault)
  })
})
