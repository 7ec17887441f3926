import type { Command } from './command.ts'
import { PERSON_WORDS } from './person.ts'
import { textTable } from './text-table.ts'

export const consentShow: Command = {
  name: 'consent show',
  summary: {
    en: 'Show what a person may be sent by an account, and why.',
    zh: '查看某人在某帐号上的授权状态及依据。',
  },
  words: PERSON_WORDS,

  async run({ args, say, output, withGateway }) {
    const [name, subject] = [args.word(0), args.word(1)]
    const { consents, history } = await withGateway(async ({ parts }) => {
      const { id } = await parts.accounts.show(name)
      return parts.consents.show(id, subject)
    })
    const states = consents.map((consent) => [
      consent.scope,
      consent.state,
      consent.effective_at,
      consent.evidence.reason,
    ])
    const changes = history.map((entry) => [
      entry.effective_at,
      entry.scope,
      entry.change,
      `${entry.kind} ${entry.event_id ?? entry.attempt_id ?? entry.actor ?? ''}`.trimEnd(),
      entry.reason,
    ])
    output.answer(
      { account: name, subject, consents, history },
      consents.length + history.length === 0
        ? say('nothing_known')
        : [
            textTable([[say('scope'), say('state'), say('since'), say('reason')], ...states]),
            '',
            `${say('history')}:`,
            textTable([
              [say('since'), say('scope'), say('change'), say('evidence'), say('reason')],
              ...changes,
            ]),
          ].join('\n'),
    )
  },
}
