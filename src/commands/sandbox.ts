import { createLog } from '../foundation/log.ts'
import type { AccountInput } from '../sandbox/inputs.ts'
import { createSandbox } from '../sandbox/sandbox.ts'
import type { Command, CommandContext } from './command.ts'
import { readWholeNumber, refuseArgument } from './parse-arguments.ts'
import { readTyped } from './typed-secret.ts'

export const sandbox: Command = {
  name: 'sandbox',
  summary: {
    en: 'Run a WeChat platform on this machine: callbacks out, API in, faults on demand.',
    zh: '在本机运行模拟的微信平台：发送回调、提供 API、按需制造故障。',
  },
  options: {
    port: {
      type: 'text',
      value: 'number',
      help: { en: 'The port; 8090 by default, 0 takes any.', zh: '端口，默认 8090，0 表示任意。' },
    },
    host: {
      type: 'text',
      value: 'address',
      help: { en: 'The address; 127.0.0.1 by default.', zh: '监听地址，默认 127.0.0.1。' },
    },
    accounts: {
      type: 'text',
      value: '@file',
      help: {
        en: 'A JSON list of accounts to begin with, as POST /sandbox/accounts takes them.',
        zh: '初始帐号的 JSON 列表，格式同 POST /sandbox/accounts。',
      },
    },
    seed: {
      type: 'text',
      value: 'text',
      help: { en: 'Fixes all that is random.', zh: '固定所有随机结果。' },
    },
  },

  async run(context) {
    const { args, say, output, signal } = context
    const port = readWholeNumber('--port', args.text('port') ?? '8090', { least: 0, most: 65_535 })
    const seed = args.text('seed')
    const platform = createSandbox({
      log: createLog('info', { write: (line) => void process.stderr.write(line) }),
      ...(seed === undefined ? {} : { seed }),
    })
    for (const account of await readAccounts(context)) platform.addAccount(account)
    const { url } = await platform.listen(port, args.text('host') ?? '127.0.0.1')
    output.answer({ url }, say('sandbox_listening', { url }))
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await platform.close()
  },
}

/** What each one holds is checked by the sandbox itself, with every fault named. */
function isAccountList(value: unknown): value is AccountInput[] {
  return Array.isArray(value)
}

async function readAccounts(context: CommandContext): Promise<AccountInput[]> {
  const text = await readTyped(context, 'accounts')
  if (text === undefined) return []
  try {
    const accounts: unknown = JSON.parse(text)
    if (isAccountList(accounts)) return accounts
  } catch {
    // Said below, together with JSON of another form.
  }
  return refuseArgument('--accounts', (say) => say('not_json'))
}
