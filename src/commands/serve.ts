import cluster from 'node:cluster'
import type { Command } from './command.ts'
import { readWholeNumber } from './parse-arguments.ts'

const DUTIES = { http: true, workers: true }

export const serve: Command = {
  name: 'serve',
  summary: {
    en: 'Run the gateway: HTTP and workers.',
    zh: '运行网关：HTTP 服务和发送进程。',
  },
  options: {
    processes: {
      type: 'text',
      value: 'number',
      help: {
        en: 'How many processes serve behind the one port, 1 to 64; 1 by default.',
        zh: '在同一端口上提供服务的进程数，1 到 64；默认 1。',
      },
    },
  },

  async run({ args, readConfig, signal }) {
    const typed = args.text('processes') ?? '1'
    const count = readWholeNumber('--processes', typed, { least: 1, most: 64 })
    const config = readConfig()
    // Loaded here, because most of the program hangs on it and help must come at once.
    if (count > 1 && !cluster.isWorker) {
      const { runProcesses } = await import('./run-processes.ts')
      return runProcesses(config, count, signal)
    }
    const { runGateway } = await import('./run-gateway.ts')
    if (count === 1) return runGateway(config, DUTIES, { signal })
    const { joinProcesses } = await import('./serving-process.ts')
    const { stop, siblings, leave } = joinProcesses()
    const surroundings = { signal: AbortSignal.any([signal, stop]), siblings }
    return runGateway(config, DUTIES, surroundings).finally(leave)
  },
}
