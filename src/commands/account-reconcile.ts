import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { textTable } from './text-table.ts'

export const accountReconcile: Command = {
  name: 'account reconcile',
  summary: {
    en: 'Compare the merchants of a component with the platform’s own list, and correct the ledger.',
    zh: '与平台的授权方列表核对第三方平台的商家，并更正授权账本。',
  },
  words: ['NAME'],

  async run({ args, say, output, withGateway, signal }) {
    const name = args.word(0)
    return withGateway(async ({ parts }) => {
      await parts.accounts.show(name) // says so where there is none
      const account = await parts.accounts.findByName(name)
      if (!account) return refuseArgument('NAME', (speak) => speak('disabled'))
      if (account.kind !== 'component') {
        return refuseArgument('NAME', (speak) => speak('no_component', { kind: account.kind }))
      }
      const end = await parts.reconcileAuthorizers(account, signal)
      output.answer(
        { name, ...end },
        textTable([
          [say('reconciled_listed'), String(end.listed)],
          [say('reconciled_admitted'), String(end.admitted)],
          [say('reconciled_withdrawn'), String(end.withdrawn)],
          [say('reconciled_unclear'), String(end.unclear)],
        ]),
      )
      return end.unclear === 0 ? 0 : 1
    })
  },
}
