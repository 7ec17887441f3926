import type { KindRow } from './demo-kinds.ts'
import type { Tally } from './demo-tally.ts'
import type { DemoWorld } from './demo-world.ts'
import { textTable } from './text-table.ts'
import type { Language, Spoken } from './words.ts'

const HEADINGS = {
  channel: { en: 'channel', zh: '通道' },
  asked: { en: 'asked', zh: '请求' },
  sent: { en: 'sent', zh: '已发送' },
  notDelivered: { en: 'not delivered', zh: '未送达' },
  blocked: { en: 'blocked (no live consent)', zh: '已拦截（无有效授权）' },
  refused: { en: 'refused → opted out', zh: '平台拒绝 → 记为退订' },
  other: { en: 'other', zh: '其他' },
  reasons: { en: 'Blocked because', zh: '拦截原因' },
  kind: { en: 'kind of account', zh: '帐号类型' },
  pushes: { en: 'callbacks', zh: '回调' },
  consent: { en: 'consent', zh: '授权' },
  first: { en: 'first message', zh: '第一条消息' },
  second: { en: 'the next one', zh: '下一条消息' },
  erased: { en: 'erased', zh: '已删除' },
  number: { en: 'number', zh: '核对项' },
  gateway: { en: 'gateway', zh: '网关' },
  sandbox: { en: 'platform saw', zh: '平台所见' },
  agrees: { en: 'Every number agrees.', zh: '全部数字一致。' },
  differs: {
    en: 'Some numbers differ: that is a fault of the gateway, please report it.',
    zh: '部分数字不一致：这是网关的缺陷，请反馈。',
  },
} as const satisfies Record<string, Spoken>

const COLUMNS = ['channel', 'asked', 'sent', 'notDelivered', 'blocked', 'refused', 'other'] as const

/** The table that proves the point. */
export function tellTally(tally: Tally, language: Language): string {
  const say = (key: keyof typeof HEADINGS) => HEADINGS[key][language]
  const channels = textTable([
    COLUMNS.map(say),
    ...tally.channels.map((row) => [
      row.channel,
      ...[row.asked, row.sent, row.notDelivered, row.blocked, row.refused, row.other].map(String),
    ]),
  ])
  const reasons = textTable(
    tally.blockedReasons.map(([reason, count]) => [`  ${reason}`, String(count)]),
  )
  const kinds = textTable([
    (['kind', 'pushes', 'consent', 'first', 'second'] as const).map(say),
    ...tally.kinds.map((row) => kindCells(row, say('erased'))),
  ])
  const checks = textTable([
    [say('number'), say('gateway'), say('sandbox'), ''],
    ...tally.checks.map((check) => [
      check.name[language],
      String(check.gateway),
      String(check.sandbox),
      check.gateway === check.sandbox ? '✓' : '✗',
    ]),
  ])
  const verdict = say(tally.agrees ? 'agrees' : 'differs')
  const blocked = [`${say('reasons')}:`, reasons]
  return ['', channels, '', ...blocked, '', kinds, '', checks, '', verdict].join('\n')
}

/** Ids in a scope say nothing to whoever reads the table. */
function kindCells(row: KindRow, erased: string): string[] {
  const scope = row.scope.replace(/:.*$/, '')
  return [
    row.kind,
    String(row.pushes),
    `${scope}: ${row.before} → ${row.after ?? erased}`,
    row.first && row.channel !== null ? `${row.channel}: ${row.first.status}` : '–',
    row.second ? [row.second.status, row.second.reason ?? ''].join(': ').replace(/: $/, '') : '–',
  ]
}

/** Where to look next, with commands that work as they stand. */
export function tellNext(world: DemoWorld, language: Language): string {
  const { gatewayUrl, sandboxUrl, key, accountName } = world
  const someone = world.account.messages()[0]?.openid ?? 'o…'
  const text = {
    en: [
      'Everything keeps running until Ctrl-C. Try:',
      '  why did somebody (not) get a message?',
      '  the last callbacks',
      '  what the platform saw',
      '  make that person leave, then ask again: may I send?',
    ],
    zh: [
      '全部服务会持续运行，按 Ctrl-C 结束。可以试试：',
      '  某个用户为什么（没有）收到消息？',
      '  最近的回调',
      '  平台看到了什么',
      '  让该用户取关，然后再问：还能发吗？',
    ],
  }[language]
  const bearer = `-H 'Authorization: Bearer ${key}'`
  const question = JSON.stringify({
    account: accountName,
    to: someone,
    channel: 'template_message',
    content: { template_id: 'any', data: { thing1: { value: '1' } } },
  })
  const commands = [
    `curl ${bearer} ${gatewayUrl}/v1/accounts/${accountName}/consents/${someone}`,
    `curl ${bearer} '${gatewayUrl}/v1/events?limit=5'`,
    `curl ${sandboxUrl}/sandbox/report`,
    `curl -X POST ${sandboxUrl}/sandbox/accounts/${world.account.appId}/followers/${someone}/unfollow && ` +
      `curl ${bearer} -H 'Content-Type: application/json' -d '${question}' '${gatewayUrl}/v1/messages:check'`,
  ]
  const [heading, ...questions] = text
  const lines = questions.flatMap((line, index) => [line, `    ${commands[index] ?? ''}`])
  return ['', heading, ...lines].join('\n')
}
