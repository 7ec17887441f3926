import type { Command } from './command.ts'
import { personOf, PERSON_WORDS } from './person.ts'

export const consentExport: Command = {
  name: 'consent export',
  summary: {
    en: 'Print everything held about a person on an account, as JSON.',
    zh: '以 JSON 输出某人在某帐号上的全部数据。',
  },
  words: PERSON_WORDS,

  async run({ args, output, withGateway }) {
    const person = personOf(args)
    const everything = await withGateway(async ({ parts }) => {
      const { id, name } = await parts.accounts.show(person.account)
      return { account: name, ...(await parts.consents.export(id, person.subject)) }
    })
    output.answer(everything, JSON.stringify(everything, null, 2))
  },
}
