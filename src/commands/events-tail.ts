import type { StoredEvent } from '../events/event-store.ts'
import { sleep } from '../foundation/clock.ts'
import { personMark } from '../foundation/ids.ts'
import type { Command } from './command.ts'
import { readWholeNumber } from './parse-arguments.ts'

/** How often `--follow` looks for new events, and how many it takes at once. */
const POLL_MS = 500
/**
 * Ids are given before the commit, so a lower one can appear after a higher one: the last few are
 * read again. More than the pushes of one commit.
 */
const OVERLAP = 400
const BATCH = 500

export const eventsTail: Command = {
  name: 'events tail',
  summary: {
    en: 'Print the last events, one line each; with --follow, new ones as they come.',
    zh: '输出最近的事件，每行一条；--follow 持续输出新事件。',
  },
  options: {
    account: {
      type: 'text',
      value: 'name',
      help: { en: 'Only this account.', zh: '只看此帐号。' },
    },
    limit: {
      type: 'text',
      value: 'count',
      help: { en: 'How many of the last ones; 20 by default.', zh: '最近多少条，默认 20。' },
    },
    follow: { type: 'flag', help: { en: 'Go on until stopped.', zh: '持续输出，直到停止。' } },
  },

  async run({ args, output, signal, withGateway }) {
    const limit = readWholeNumber('--limit', args.text('limit') ?? '20', { least: 0, most: 10_000 })
    const name = args.text('account')
    await withGateway(async ({ parts }) => {
      const accounts =
        name === undefined ? await parts.accounts.list() : [await parts.accounts.show(name)]
      const accountIds = accounts.map((account) => account.id)
      const print = (event: StoredEvent) => output.answer(eventAnswer(event), eventLine(event))
      // More than are shown: following must know what is not new.
      const last = await parts.events.list({
        accountIds,
        withDocument: false,
        limit: Math.max(limit, OVERLAP),
      })
      for (const event of last.slice(0, limit).reverse()) print(event)
      let afterId = last[0]?.id ?? '0'
      let shown: ReadonlySet<string> = new Set(last.map((event) => event.id))
      while (args.flag('follow') && !signal.aborted) {
        const next = await parts.events.list({
          accountIds,
          withDocument: false,
          afterId: before(afterId),
          limit: OVERLAP + BATCH,
        })
        for (const event of next.filter(({ id }) => !shown.has(id))) print(event)
        shown = new Set(next.map((event) => event.id))
        afterId = next.at(-1)?.id ?? afterId
        if (next.length < OVERLAP + BATCH) await sleep(POLL_MS, signal)
      }
    })
  },
}

/** Where to read again from. */
function before(id: string): string {
  const from = BigInt(id) - BigInt(OVERLAP)
  return (from > 0n ? from : 0n).toString()
}

/** The person by mark only: what scrolls through a terminal ends up in logs and screenshots. */
function eventAnswer(event: StoredEvent) {
  return {
    id: event.id,
    account: event.account,
    kind: event.kind,
    name: event.name,
    openid_hash: event.subject === null ? null : personMark(event.subject),
    occurred_at: event.occurredAt.toISOString(),
    received_at: event.receivedAt.toISOString(),
    erased: event.erasedAt !== null,
  }
}

function eventLine(event: StoredEvent): string {
  const person = event.subject === null ? '–' : personMark(event.subject)
  return [
    event.receivedAt.toISOString(),
    event.id,
    event.account,
    event.kind,
    event.name,
    person,
  ].join('  ')
}
