import type { Command } from './command.ts'

export const accountReseal: Command = {
  name: 'account reseal',
  summary: {
    en: 'Seal every secret again under the current (first) master key, those of waiting messages and jobs too.',
    zh: '用当前（第一个）主密钥重新加密所有密钥，包括等待中的消息和任务所带的密钥。',
  },

  async run({ say, output, withGateway }) {
    const counts = await withGateway(({ parts }) => parts.seals.reseal())
    output.answer(counts, say('resealed', counts))
  },
}
