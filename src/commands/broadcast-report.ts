import { reportCsv, reportPages, type ReportLine } from '../messages/broadcast-report.ts'
import { findBroadcast } from '../messages/find-broadcast.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'

export const broadcastReport: Command = {
  name: 'broadcast report',
  summary: {
    en: 'Print every recipient of a broadcast with what became of their message, as CSV.',
    zh: '以 CSV 输出群发的每个接收人及其消息的结果。',
  },
  words: ['ID'],

  async run({ args, output, withGateway }) {
    await withGateway(async ({ parts }) => {
      const wanted = { caller: await operatorOf(parts), id: args.word(0) }
      const broadcast = await findBroadcast(parts.broadcasts, wanted)
      const pages = reportPages(parts.broadcasts, broadcast)
      await output.stream(args.flag('json') ? jsonLines(pages) : reportCsv(pages))
    })
  },
}

async function* jsonLines(
  pages: AsyncIterable<readonly ReportLine[]>,
): AsyncGenerator<string, void> {
  for await (const page of pages) yield page.map((line) => `${JSON.stringify(line)}\n`).join('')
}
