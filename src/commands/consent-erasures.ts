import type { Command } from './command.ts'
import { textTable } from './text-table.ts'

export const consentErasures: Command = {
  name: 'consent erasures',
  summary: {
    en: 'List who was erased on an account when, why and by whom, without naming the person.',
    zh: '列出某帐号的删除记录：时间、原因、操作人，不含个人身份。',
  },
  words: ['ACCOUNT'],

  async run({ args, say, output, withGateway }) {
    const account = args.word(0)
    const erasures = await withGateway(async ({ parts }) => {
      const { id } = await parts.accounts.show(account)
      return parts.consents.erasures(id)
    })
    const headings = [say('erasure'), say('erased_at'), say('actor'), say('reason')]
    const counts = [say('erased_entries'), say('erased_events'), say('erased_messages')]
    const rows = erasures.map((one) => [
      ...[one.id, one.erased_at.toISOString(), one.actor, one.reason],
      ...[one.ledger_rows, one.events, one.messages].map(String),
    ])
    output.answer(
      { account, erasures },
      rows.length === 0 ? say('no_erasures') : textTable([[...headings, ...counts], ...rows]),
    )
  },
}
