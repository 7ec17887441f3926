import { readSignatureDemand } from '../applications/application.ts'
import type { Command } from './command.ts'

export const appSet: Command = {
  name: 'app set',
  summary: {
    en: 'Set whether an application has to sign its requests.',
    zh: '设置应用的请求是否必须签名。',
  },
  words: ['NAME'],
  options: {
    signatures: {
      type: 'text',
      value: 'required|optional|off',
      required: true,
      help: {
        en: 'required: every request; optional: one that is sent is checked; off: forget the signing secret.',
        zh: 'required：每个请求都必须签名；optional：发来的签名会被校验；off：删除签名密钥。',
      },
    },
  },

  async run({ args, say, output, withGateway }) {
    const name = args.word(0)
    const signatures = readSignatureDemand(args.text('signatures'))
    await withGateway(({ parts }) => parts.signing.setDemand(name, signatures))
    output.answer({ name, signatures }, say(`app_signs_${signatures}`, { name }))
  },
}
