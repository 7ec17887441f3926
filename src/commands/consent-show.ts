import { EVERYTHING } from '../consent/consent.ts'
import type { ConsentAnswer } from '../consent/consents.ts'
import type { Command } from './command.ts'
import { personOf, PERSON_WORDS } from './person.ts'
import { textTable } from './text-table.ts'
import type { Say } from './words.ts'

const STATE_HEADINGS = ['scope', 'state', 'is_live', 'until', 'credits', 'since', 'reason'] as const

export const consentShow: Command = {
  name: 'consent show',
  summary: {
    en: 'Show what a person may be sent by an account, and why.',
    zh: '查看某人在某帐号上的授权状态及依据。',
  },
  words: PERSON_WORDS,

  async run({ args, say, output, withGateway }) {
    const { account: name, subject } = personOf(args)
    const { consents, history } = await withGateway(async ({ parts }) => {
      const { id } = await parts.accounts.show(name)
      return parts.consents.show(id, subject)
    })
    const states = consents.map((consent) => stateRow(consent, say))
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
            textTable([STATE_HEADINGS.map((heading) => say(heading)), ...states]),
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

/** What holds now: a consent may be granted and yet be over, used up or under a stop. */
function stateRow(consent: ConsentAnswer, say: Say): string[] {
  return [
    consent.scope,
    stateWord(consent, say),
    say(consent.live ? 'yes' : 'no'),
    consent.expires_at ?? '–',
    consent.credits === null ? '–' : String(consent.credits),
    consent.effective_at,
    consent.evidence.reason,
  ]
}

/** A stop is no consent: its end is not called granted. */
function stateWord({ scope, state }: ConsentAnswer, say: Say): string {
  if (scope !== EVERYTHING) return state
  return say(state === 'granted' ? 'stop_lifted' : 'stopped')
}
