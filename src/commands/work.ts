import type { Command } from './command.ts'

export const work: Command = {
  name: 'work',
  summary: {
    en: 'Run only the workers, beside gateways that serve; it takes no requests.',
    zh: '只运行发送进程，不接收请求，与 serve 进程配合使用。',
  },

  async run({ readConfig, signal }) {
    const config = readConfig()
    const { runGateway } = await import('./run-gateway.ts')
    return runGateway(config, { http: false, workers: true }, { signal })
  },
}
