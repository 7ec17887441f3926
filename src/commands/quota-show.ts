import { quotaBody } from '../api/quota-routes.ts'
import type { QuotaOfPath } from '../wechat/quotas.ts'
import type { Command } from './command.ts'
import { explainError } from './explain-error.ts'
import { accountInService } from './quota-account.ts'
import { textTable } from './text-table.ts'
import type { Say } from './words.ts'

export const quotaShow: Command = {
  name: 'quota show',
  summary: {
    en: 'Show how much of an account’s daily quotas is used, by all processes together.',
    zh: '查看帐号当日接口额度的使用情况（所有进程合计）。',
  },
  words: ['ACCOUNT'],
  options: {
    online: {
      type: 'flag',
      help: {
        en: 'Ask the platform first for the real limit of each API that was called today.',
        zh: '先向平台查询当日已调用接口的真实额度。',
      },
    },
  },

  async run({ args, say, language, output, withGateway }) {
    const name = args.word(0)
    await withGateway(async ({ parts }) => {
      const account = await accountInService(parts, name)
      if (args.flag('online')) {
        const { paths } = await parts.quotas.show(account)
        for (const { path } of paths) {
          try {
            await parts.quotas.ask(account, path)
          } catch (error) {
            output.note(`${path}: ${explainError(error, language).message}`)
          }
        }
      }
      const view = await parts.quotas.show(account)
      const headings = ['path', 'calls', 'elsewhere', 'daily_limit', 'used', 'state'] as const
      const rows = view.paths.map((one) => rowOf(one, say))
      output.answer(
        quotaBody(name, view),
        [
          say('quota_day', { day: view.day, time: view.resetsAt.toISOString() }),
          rows.length === 0
            ? say('no_calls_today')
            : textTable([headings.map((heading) => say(heading)), ...rows]),
        ].join('\n'),
      )
    })
  },
}

function rowOf(one: QuotaOfPath, say: Say): string[] {
  const { dailyLimit, limitSource, usedRatio } = one
  const limit = dailyLimit === null ? '–' : String(dailyLimit)
  return [
    one.path,
    String(one.calls),
    String(one.callsElsewhere),
    limitSource === 'published' ? `${limit} ${say('limit_unconfirmed')}` : limit,
    usedRatio === null ? '–' : `${(usedRatio * 100).toFixed(1)} %`,
    say(`quota_${one.state}`),
  ]
}
