import { sleep } from '../foundation/clock.ts'
import { drillToken, type DrillStep } from '../wechat/drill-token.ts'
import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { accountInService } from './quota-account.ts'
import type { Say } from './words.ts'

export const accountDrill: Command = {
  name: 'account drill',
  summary: {
    en: 'Kill every access token of an account that may have leaked: two forced refreshes, 30 s apart.',
    zh: 'token 泄露演练：相隔 30 秒强制刷新两次，使该帐号此前的 token 全部失效。',
  },
  words: ['NAME'],
  options: {
    yes: {
      type: 'flag',
      help: {
        en: 'Yes: every other holder of a token is refused from then on.',
        zh: '确认执行：其他持有 token 的系统将立即失效。',
      },
    },
  },

  async run({ args, say, output, signal, withGateway }) {
    const name = args.word(0)
    if (!args.flag('yes')) refuseArgument('--yes', (speak) => speak('drill_needs_yes', { name }))
    return withGateway(async ({ parts }) => {
      const account = await accountInService(parts, name)
      const pause = (ms: number) => sleep(ms, signal)
      let code = 0
      for await (const step of drillToken({ tokens: parts.tokens, sleep: pause }, account)) {
        output.answer({ account: name, ...step }, describeStep(step, say))
        if (step.step === 'stopped') code = 1
        if (signal.aborted) return 1
      }
      return code
    })
  },
}

function describeStep(step: DrillStep, say: Say): string {
  switch (step.step) {
    case 'forced':
      return say(step.number === 1 ? 'drill_first' : 'drill_second', { version: step.version })
    case 'waiting':
      return say('drill_waits', { seconds: step.seconds })
    case 'stopped': {
      const { number, reason, until } = step
      return say('drill_stopped', { number, reason, time: until.toISOString() })
    }
  }
}
