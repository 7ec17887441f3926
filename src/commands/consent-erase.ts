import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { ACTOR_OPTION, actorOf, personOf, PERSON_WORDS } from './person.ts'

export const consentErase: Command = {
  name: 'consent erase',
  summary: {
    en: 'Erase a person’s data on an account; a record of the erasure stays.',
    zh: '删除某人在某帐号上的数据；保留删除记录。',
  },
  words: PERSON_WORDS,
  options: {
    reason: {
      type: 'text',
      value: 'text',
      required: true,
      help: {
        en: 'Why; it is recorded, so name no person.',
        zh: '原因；会被记录，请勿写入个人信息。',
      },
    },
    actor: ACTOR_OPTION,
    yes: {
      type: 'flag',
      help: { en: 'Yes, erase: it cannot be undone.', zh: '确认删除，无法撤销。' },
    },
  },

  async run({ args, say, output, withGateway }) {
    if (!args.flag('yes')) refuseArgument('--yes', (speak) => speak('erase_needs_yes'))
    const { account, subject } = personOf(args)
    const erased = await withGateway(async ({ parts }) => {
      const { id } = await parts.accounts.show(account)
      return parts.consents.erase({
        accountId: id,
        subject,
        actor: actorOf(args.text('actor')),
        reason: args.text('reason') ?? '',
      })
    })
    const { erasure_id: id, ledger_rows: entries, events, messages } = erased
    const isAnything = entries + events + messages > 0
    output.answer(
      { account, ...erased },
      isAnything
        ? say('erased', { account, id, entries, events, messages })
        : say('erased_nothing', { account, id }),
    )
  },
}
