import { clearedBody } from '../api/quota-routes.ts'
import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { ACTOR_OPTION, actorOf } from './person.ts'
import { accountInService } from './quota-account.ts'

export const quotaClear: Command = {
  name: 'quota clear',
  summary: {
    en: 'Set all daily counters of an account to zero at the platform; ten times a month.',
    zh: '在平台上清零帐号的当日接口调用次数；每月十次。',
  },
  words: ['ACCOUNT'],
  options: {
    v2: {
      type: 'flag',
      help: {
        en: 'By AppSecret instead of by token: for when the token quota itself is used up.',
        zh: '使用 AppSecret 而非 token；适用于 token 额度已用完。',
      },
    },
    actor: ACTOR_OPTION,
    yes: {
      type: 'flag',
      help: { en: 'Yes, use one of the ten.', zh: '确认使用一次清零机会。' },
    },
  },

  async run({ args, say, output, withGateway }) {
    const name = args.word(0)
    await withGateway(async ({ parts }) => {
      const account = await accountInService(parts, name)
      const { used, perMonth } = await parts.quotas.allowance(account.id)
      if (!args.flag('yes')) {
        refuseArgument('--yes', (speak) =>
          speak('clear_needs_yes', { name, used, per_month: perMonth }),
        )
      }
      const v2 = args.flag('v2')
      const cleared = await parts.quotas.clear(account, { v2, actor: actorOf(args.text('actor')) })
      const { left } = cleared
      output.answer(clearedBody(name, cleared), say('quota_cleared', { name, left }))
    })
  },
}
