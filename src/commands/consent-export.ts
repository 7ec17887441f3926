import type { Command } from './command.ts'
import { PERSON_WORDS } from './person.ts'

export const consentExport: Command = {
  name: 'consent export',
  summary: {
    en: 'Print everything held about a person on an account, as JSON.',
    zh: '以 JSON 输出某人在某帐号上的全部数据。',
  },
  words: PERSON_WORDS,

  async run({ args, output, withGateway }) {
    const everything = await withGateway(async ({ parts }) => {
      const { id, name } = await parts.accounts.show(args.word(0))
      return { account: name, ...(await parts.consents.export(id, args.word(1))) }
    })
    output.answer(everything, JSON.stringify(everything, null, 2))
  },
}
