import type { BrokenOptOut, MessageRecord, SandboxRecord } from './record.ts'

/** Messages that one person received more often than was asked for. */
export interface Duplicate {
  readonly app_id: string
  readonly openid: string
  readonly channel: string
  readonly template_id: string | null
  readonly received: number
  readonly expected: number
  readonly msgids: readonly (string | null)[]
}

/** What a run amounts to. */
export interface SandboxReport {
  /** By appid; keys such as `calls`, `sent:template_message`, `token:stable`, `push:acknowledged`. */
  readonly accounts: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly sent: number
  readonly duplicate_messages: number
  readonly duplicates: readonly Duplicate[]
  /** Sends that arrived after the push that forbids them had been acknowledged. */
  readonly sends_after_opt_out: readonly BrokenOptOut[]
  /** Sends that arrived after an errcode that forbids them (43004, 43101, 48002 …) had been answered. */
  readonly sends_after_refusal_answer: readonly BrokenOptOut[]
  /** Tampered pushes that were answered as if they were right. */
  readonly tampered_accepted: number
  readonly unfinished_pushes: number
  /** Entries that the full lists let go: the lists above miss what was in them. */
  readonly forgotten: { readonly calls: number; readonly pushes: number; readonly messages: number }
}

/**
 * Sums up the record.
 *
 * @param toleranceMs sends that came at most so long after the acknowledgement are not counted: they
 *   may have been on the way.
 */
export function makeReport(record: SandboxRecord, toleranceMs = 0): SandboxReport {
  const broken = record.broken.list().filter(({ late_ms }) => late_ms > toleranceMs)
  const duplicates = findDuplicates(record.messages.list())
  const pushes = record.pushes.list()
  const accounts = Object.fromEntries(
    [...record.counts].map(([appId, counts]) => [appId, Object.fromEntries(counts)]),
  )
  const sent = Object.values(accounts).reduce((sum, counts) => sum + (counts.sent ?? 0), 0)
  return {
    accounts,
    sent,
    duplicate_messages: duplicates.reduce((sum, one) => sum + one.received - one.expected, 0),
    duplicates,
    sends_after_opt_out: broken.filter(({ learned_from }) => learned_from === 'push'),
    sends_after_refusal_answer: broken.filter(({ learned_from }) => learned_from === 'answer'),
    tampered_accepted: pushes.filter(
      ({ tampered, tries }) => tampered !== null && tries.some(({ problem }) => problem === null),
    ).length,
    unfinished_pushes: pushes.filter(({ outcome }) => outcome === 'waiting').length,
    forgotten: {
      calls: record.calls.dropped(),
      pushes: record.pushes.dropped(),
      messages: record.messages.dropped(),
    },
  }
}

/**
 * The same content for the same person, more often than there are `client_msg_id`s for it: every id
 * is one message that was meant, and all sends without an id together are one.
 */
function findDuplicates(messages: readonly MessageRecord[]): Duplicate[] {
  const groups = Map.groupBy(messages, (message) =>
    JSON.stringify([message.app_id, message.openid, message.channel, message.content]),
  )
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    const expected = new Set(group.map(({ client_msg_id }) => client_msg_id)).size
    if (!first || group.length <= expected) return []
    const { app_id, openid, channel, template_id } = first
    const msgids = group.map(({ msgid }) => msgid)
    return [{ app_id, openid, channel, template_id, received: group.length, expected, msgids }]
  })
}
