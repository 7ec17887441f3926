import type { Progress } from './demo-story.ts'
import type { Language, Spoken } from './words.ts'

/** The acts of the demo, each announced, followed live and closed with its time. */
export interface Stages {
  run<Result>(stage: Stage, work: (progress: Progress) => Promise<Result>): Promise<Result>
}

const STAGES = {
  start: {
    en: 'Starting a simulated WeChat platform, PostgreSQL and the gateway',
    zh: '启动模拟微信平台、PostgreSQL 和网关',
  },
  follow: {
    en: 'People follow the account (encrypted callbacks, some repeated or out of order)',
    zh: '用户关注公众号（加密回调，部分重复或乱序）',
  },
  life: {
    en: 'They accept, refuse, talk, leave and come back',
    zh: '用户同意、拒绝、发消息、取关、重新关注',
  },
  forgers: { en: 'Forgers push callbacks of their own', zh: '伪造者推送假回调' },
  send: {
    en: 'An application asks to write to all of them, while some more leave',
    zh: '业务应用请求给所有人发消息，同时又有人取关',
  },
  settle: { en: 'Sending, and waiting for receipts', zh: '发送并等待送达回执' },
  again: { en: 'The application asks once more', zh: '业务应用再次请求发送' },
  kinds: {
    en: 'One account of each other kind agrees, is written to, and leaves',
    zh: '各类型帐号：授权、收到消息、再取消',
  },
} as const satisfies Record<string, Spoken>

type Stage = keyof typeof STAGES

/** A line is rewritten this often on a terminal; elsewhere only finished stages are written. */
const REDRAW_MS = 80

export function createStages(deps: {
  readonly note: (text: string) => void
  readonly language: Language
}): Stages {
  const terminal = process.stderr.isTTY
  return {
    async run(stage, work) {
      const title = STAGES[stage][deps.language]
      const startedMs = performance.now()
      const line = { drawnMs: 0, done: 0, total: 0 }
      const result = await work((done, total) => {
        Object.assign(line, { done, total })
        if (!terminal || performance.now() - line.drawnMs < REDRAW_MS) return
        line.drawnMs = performance.now()
        process.stderr.write(`\r\u001b[2K… ${title} ${bar(done, total)}`)
      })
      if (terminal) process.stderr.write('\r\u001b[2K')
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
      deps.note(`✓ ${title}${line.total > 0 ? ` ${line.done}/${line.total}` : ''} (${seconds} s)`)
      return result
    },
  }
}

function bar(done: number, total: number): string {
  const width = 24
  const filled = total === 0 ? 0 : Math.round((done / total) * width)
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${done}/${total}`
}
