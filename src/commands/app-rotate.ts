import type { Command } from './command.ts'

export const appRotate: Command = {
  name: 'app rotate',
  summary: {
    en: 'Give an application a new signing secret, shown this once; the one before counts for a day.',
    zh: '为应用生成新的签名密钥（只显示一次）；旧的签名密钥在一天内仍可使用。',
  },
  words: ['NAME'],
  options: {
    now: {
      type: 'flag',
      help: {
        en: 'End the secret before at once: it has leaked.',
        zh: '立即作废旧的签名密钥：用于已泄露的情况。',
      },
    },
  },

  async run({ args, say, output, withGateway }) {
    const name = args.word(0)
    const rotated = await withGateway(
      ({ parts }) => parts.signing.rotate(name, { endPrevious: args.flag('now') }),
      { masterKey: 'own' },
    )
    const { secret, signatures } = rotated
    const until = rotated.previousUntil?.toISOString() ?? null
    const lines = [
      say('app_rotated', { name }),
      secret,
      ...(until === null ? [] : [say('app_previous_counts', { until })]),
      ...(signatures === 'optional' ? [say('app_may_sign', { name })] : []),
    ]
    output.answer(
      { name, signing_secret: secret, signatures, previous_until: until },
      lines.join('\n'),
    )
  },
}
