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
        for (const { path, error } of await parts.quotas.refresh(account)) {
          output.note(`${path}: ${explainError(error, language).message}`)
        }
      }
      const view = await parts.quotas.show(account)
      const headings = ['path', 'calls', 'elsewhere', 'daily_limit', 'used', 'state'] as const
      const rows = view.paths.map((one) => rowOf(one, say))
      output.answer(
        quotaBody(name, view),
        [
          say('quota_day', { day: view.day, time: view.resetsAt.toISOString() }),
          ...(view.clears === null
            ? []
            : [say('quota_clears', { used: view.clears.used, per_month: view.clears.perMonth })]),
          rows.length === 0
            ? say('no_calls_today')
            : textTable([headings.map((heading) => say(heading)), ...rows]),
        ].join('\n'),
      )
    })
  },
}

function rowOf(one: QuotaOfPath, say: Say): string[] {
  const { usedRatio } = one
  return [
    one.path,
    String(one.calls),
    String(one.callsElsewhere),
    limitText(one, say),
    usedRatio === null ? '–' : `${(usedRatio * 100).toFixed(1)} %`,
    say(`quota_${one.state}`),
  ]
}

function limitText({ dailyLimit, limitSource }: QuotaOfPath, say: Say): string {
  if (dailyLimit === null) return '–'
  if (limitSource === 'published') return `${dailyLimit} ${say('limit_unconfirmed')}`
  return limitSource === 'refusal' ? `${dailyLimit} ${say('limit_met')}` : String(dailyLimit)
}
