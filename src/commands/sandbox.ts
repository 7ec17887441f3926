import { createLog } from '../foundation/log.ts'
import type { SandboxOptions } from '../sandbox/options.ts'
import { createSandbox } from '../sandbox/sandbox.ts'
import type { Command, CommandContext } from './command.ts'
import { explainListen } from './explain-listen.ts'
import { readWholeNumber, refuseArgument } from './parse-arguments.ts'
import { readTyped } from './typed-secret.ts'

export const sandbox: Command = {
  name: 'sandbox',
  summary: {
    en: 'Run every platform of WeChat and WeCom on this machine: callbacks out, API in, faults on demand.',
    zh: '在本机运行模拟的微信与企业微信平台：发送回调、提供 API、按需制造故障。',
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
        en: 'A JSON list of accounts to begin with, as POST /sandbox/accounts takes them; or an object with accounts, components, corps and suites.',
        zh: '初始帐号的 JSON 列表，格式同 POST /sandbox/accounts；也可以是包含 accounts、components、corps、suites 的对象。',
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
      ...(await readOwners(context)),
      log: createLog('info', { write: (line) => void process.stderr.write(line) }),
      ...(seed === undefined ? {} : { seed }),
    })
    const host = args.text('host') ?? '127.0.0.1'
    const { url } = await platform.listen(port, host).catch((cause: unknown) => {
      throw explainListen(cause, { host, port }, { port: '--port', host: '--host' })
    })
    output.answer({ url }, say('sandbox_listening', { url }))
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await platform.close()
  },
}

type Owners = Pick<SandboxOptions, 'accounts' | 'components' | 'corps' | 'suites'>

const OWNERS = ['accounts', 'components', 'corps', 'suites']

/** What each list holds is checked by the sandbox itself, with every fault named. */
function isOwners(value: object): value is Owners {
  return Object.entries(value).every(([name, list]) => OWNERS.includes(name) && Array.isArray(list))
}

async function readOwners(context: CommandContext): Promise<Owners> {
  const text = await readTyped(context, 'accounts')
  if (text === undefined) return {}
  try {
    const value: unknown = JSON.parse(text)
    const owners: unknown = Array.isArray(value) ? { accounts: value } : value
    if (typeof owners === 'object' && owners !== null && isOwners(owners)) return owners
  } catch {
    // Said below, together with JSON of another form.
  }
  return refuseArgument('--accounts', (say) => say('not_json'))
}
