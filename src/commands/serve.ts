import type { Command } from './command.ts'

export const serve: Command = {
  name: 'serve',
  summary: {
    en: 'Run the gateway: HTTP and workers.',
    zh: '运行网关：HTTP 服务和发送进程。',
  },

  async run({ readConfig, signal }) {
    const config = readConfig()
    // Loaded here, because most of the program hangs on it and help must come at once.
    const { runGateway } = await import('./run-gateway.ts')
    return runGateway(config, { http: true, workers: true }, signal)
  },
}
