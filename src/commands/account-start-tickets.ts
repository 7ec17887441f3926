import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'

export const accountStartTickets: Command = {
  name: 'account start-tickets',
  summary: {
    en: 'Have the platform push the tickets of a component again.',
    zh: '让平台重新开始推送第三方平台的 component_verify_ticket。',
  },
  words: ['NAME'],

  async run({ args, say, output, withGateway }) {
    const name = args.word(0)
    return withGateway(async ({ parts }) => {
      await parts.accounts.show(name) // says so where there is none
      const account = await parts.accounts.findByName(name)
      if (!account) return refuseArgument('NAME', (speak) => speak('disabled'))
      const { kind } = account
      if (kind !== 'component') {
        return refuseArgument('NAME', (speak) => speak('no_ticket_start', { kind }))
      }
      const start = await parts.startTickets(account)
      switch (start.outcome) {
        case 'started':
        case 'already_on': {
          const said = say(start.outcome === 'started' ? 'tickets_started' : 'tickets_were_on')
          output.answer({ name, outcome: start.outcome }, said)
          return 0
        }
        case 'refused': {
          const { errcode, errmsg } = start
          output.answer({ name, ...start }, say('tickets_refused', { errcode, errmsg }))
          return 1
        }
        case 'failed':
          output.answer({ name, ...start }, say('tickets_not_reached', { reason: start.reason }))
          return 1
      }
    })
  },
}
