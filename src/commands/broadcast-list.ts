import { broadcastBody } from '../api/broadcast-routes.ts'
import { accountIdsOf } from '../messages/caller.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'
import { readWholeNumber } from './parse-arguments.ts'
import { textTable } from './text-table.ts'

export const broadcastList: Command = {
  name: 'broadcast list',
  summary: { en: 'List the broadcasts, newest first.', zh: '列出群发，最新的在前。' },
  options: {
    limit: {
      type: 'text',
      value: 'count',
      help: { en: 'How many of the last ones; 20 by default.', zh: '最近多少条，默认 20。' },
    },
  },

  async run({ args, say, output, withGateway }) {
    const limit = readWholeNumber('--limit', args.text('limit') ?? '20', { least: 1, most: 1_000 })
    const found = await withGateway(async ({ parts }) =>
      parts.broadcasts.list({ accountIds: accountIdsOf(await operatorOf(parts)), limit }),
    )
    const heading = [
      'ID',
      say('name'),
      say('accounts'),
      say('channel'),
      say('state'),
      say('recipients'),
      say('created'),
    ]
    const rows = found.map((one) => [
      one.id,
      one.name ?? '',
      one.account,
      one.channel,
      one.status,
      String(one.lines.accepted),
      one.createdAt.toISOString(),
    ])
    output.answer(
      found.map(broadcastBody),
      rows.length === 0 ? say('no_broadcasts') : textTable([heading, ...rows]),
    )
  },
}
