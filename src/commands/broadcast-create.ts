import { broadcastBody } from '../api/broadcast-routes.ts'
import { parseStrictJson } from '../api/strict-json.ts'
import { systemClock } from '../foundation/clock.ts'
import { createListedBroadcast } from '../messages/create-broadcast.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'

export const broadcastCreate: Command = {
  name: 'broadcast create',
  summary: {
    en: 'Send to the recipients of a file, as an application would; a running gateway sends.',
    zh: '向文件中的接收人群发（与业务应用相同）；由运行中的网关发送。',
  },
  options: {
    file: {
      type: 'text',
      value: 'path|-',
      required: true,
      help: {
        en: 'Lines of JSON: the first the broadcast, each other one a recipient; - is standard input.',
        zh: '每行一个 JSON：第一行为群发内容，其余每行一个接收人；- 表示标准输入。',
      },
    },
  },

  async run({ args, say, output, openFile, withGateway }) {
    const chunks = openFile(args.text('file') ?? '-')
    await withGateway(async ({ parts }, config) => {
      const { broadcast, badLines } = await createListedBroadcast(
        {
          store: parts.broadcasts,
          findSender: (id) => parts.accounts.findById(id),
          findTemplates: (id) => parts.findTemplates(id),
          callbacks: parts.endpoints,
          clock: systemClock,
          log: parts.log,
          lifetimeHours: config.dispatch.messageLifetimeHours,
        },
        { caller: await operatorOf(parts), chunks, parse: parseStrictJson, idempotencyKey: null },
      )
      for (const { line, reason } of badLines) {
        output.note(say('broadcast_bad_line', { line, reason }))
      }
      const { id, status } = broadcast
      const { accepted, duplicate, bad } = broadcast.lines
      output.answer(
        { ...broadcastBody(broadcast), bad_lines: badLines },
        say('broadcast_accepted', { id, status, accepted, duplicate, bad }),
      )
    })
  },
}
