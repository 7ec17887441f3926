import type { SandboxReport } from '../sandbox/report.ts'
import type { AskedMessage } from './demo-application.ts'
import type { KindRow, KindsTally } from './demo-kinds.ts'
import type { Spoken } from './words.ts'

/** What one channel came to. */
export interface ChannelTally {
  readonly channel: string
  readonly asked: number
  /** Accepted by the platform, and no receipt says that it did not arrive. */
  readonly sent: number
  /** Accepted, but the receipt says that it did not arrive. */
  readonly notDelivered: number
  readonly blocked: number
  readonly refused: number
  readonly other: number
}

/** One number of the gateway beside the same number as the sandbox saw it. */
export interface Check {
  readonly name: Spoken
  readonly gateway: number
  readonly sandbox: number
}

export interface Tally {
  readonly channels: readonly ChannelTally[]
  /** Why messages were blocked, most frequent first. */
  readonly blockedReasons: readonly (readonly [reason: string, count: number])[]
  /** One account of each kind. */
  readonly kinds: readonly KindRow[]
  readonly checks: readonly Check[]
  /** Whether every pair of numbers agrees. */
  readonly agrees: boolean
}

const ARRIVED = new Set(['sent', 'delivered'])

/** What happened, as both sides tell it. */
interface Run {
  readonly messages: readonly AskedMessage[]
  readonly asked: number
  readonly kinds: KindsTally
  readonly report: SandboxReport
  readonly appId: string
}

/** Sums up a run and holds the gateway's numbers against the sandbox's. */
export function tallyRun(run: Run): Tally {
  const { messages, report } = run
  const channels = [...Map.groupBy(messages, (message) => message.channel)].map(
    ([channel, group]) => tallyChannel(channel, group),
  )
  const checks = makeChecks(run)
  return {
    channels,
    blockedReasons: countReasons(messages),
    kinds: run.kinds.rows,
    checks,
    agrees:
      checks.every((check) => check.gateway === check.sandbox) &&
      run.kinds.holds &&
      report.forgotten.messages + report.forgotten.calls === 0,
  }
}

function tallyChannel(channel: string, messages: readonly AskedMessage[]): ChannelTally {
  const count = (test: (message: AskedMessage) => boolean) => messages.filter(test).length
  const sent = count(({ status }) => ARRIVED.has(status))
  const notDelivered = count(({ status }) => status === 'not_delivered')
  const blocked = count(({ status }) => status === 'blocked')
  const refused = count(({ status }) => status === 'refused')
  const other = messages.length - sent - notDelivered - blocked - refused
  return { channel, asked: messages.length, sent, notDelivered, blocked, refused, other }
}

function countReasons(messages: readonly AskedMessage[]): [string, number][] {
  const blocked = messages.filter(({ status }) => status === 'blocked')
  const groups = Map.groupBy(blocked, ({ reason }) => reason ?? '')
  return [...groups]
    .map(([reason, group]): [string, number] => [reason, group.length])
    .sort((one, other) => other[1] - one[1])
}

function makeChecks(run: Run): Check[] {
  const counts = run.report.accounts[run.appId] ?? {}
  const givenUp = Object.values(run.report.accounts).map((one) => one['push:given_up'] ?? 0)
  const sent = run.messages.filter(({ status }) => ARRIVED.has(status)).length
  return [
    {
      name: { en: 'messages asked for, and stored', zh: '请求发送的消息（均已入库）' },
      gateway: run.messages.length,
      sandbox: run.asked,
    },
    {
      name: { en: 'messages sent', zh: '已发送的消息' },
      gateway: sent,
      sandbox: counts['sent'] ?? 0,
    },
    {
      name: { en: 'messages sent, one for each kind', zh: '各类型帐号已发送的消息' },
      ...run.kinds.sent,
    },
    {
      name: { en: 'sent after an opt-out', zh: '退订之后仍发送' },
      gateway: 0,
      sandbox: run.report.sends_after_opt_out.length + run.report.sends_after_refusal_answer.length,
    },
    {
      name: { en: 'sent twice', zh: '重复发送' },
      gateway: 0,
      sandbox: run.report.duplicate_messages,
    },
    {
      name: { en: 'forged callbacks let through', zh: '被放行的伪造回调' },
      gateway: 0,
      sandbox: run.report.tampered_accepted,
    },
    {
      name: { en: 'callbacks never acknowledged', zh: '始终未确认的回调' },
      gateway: 0,
      sandbox: givenUp.reduce((sum, count) => sum + count, 0) + run.report.unfinished_pushes,
    },
  ]
}

/** The same for `--json`, in the names of the public contract. */
export function tallyAnswer({ channels, blockedReasons, ...tally }: Tally) {
  return {
    ...tally,
    channels: channels.map(({ notDelivered, ...row }) => ({
      ...row,
      not_delivered: notDelivered,
    })),
    blocked_reasons: Object.fromEntries(blockedReasons),
  }
}
