import { readNewApplication } from '../applications/application.ts'
import type { Gateway } from '../compose.ts'
import type { Command } from './command.ts'

export const appAdd: Command = {
  name: 'app add',
  summary: {
    en: 'Add a business application; its key is shown this once.',
    zh: '添加一个业务应用；密钥只显示一次。',
  },
  words: ['NAME'],
  checksItself: true,
  options: {
    accounts: {
      type: 'text',
      value: 'name,name',
      help: { en: 'Required: the accounts it may use.', zh: '必填：可使用的帐号，以逗号分隔。' },
    },
    signed: {
      type: 'flag',
      help: {
        en: 'It has to sign every request; its signing secret is shown this once, too.',
        zh: '它的每个请求都必须签名；签名密钥同样只显示一次。',
      },
    },
  },

  async run({ args, say, output, withGateway }) {
    const application = readNewApplication({
      name: args.word(0),
      accounts: args.text('accounts'),
    })
    const isSigned = args.flag('signed')
    const add = async ({ parts: { applications, signing } }: Gateway) => {
      const made = isSigned ? signing.make() : undefined
      const { id, name, key } = await applications.add(application, made?.sealFor)
      const shown = made
        ? [say('signed_app_added', { name }), key, made.secret]
        : [say('app_added', { name }), key]
      output.answer(
        { id, name, key, ...(made && { signing_secret: made.secret }) },
        shown.join('\n'),
      )
    }
    await withGateway(add, { masterKey: isSigned ? 'own' : 'any' })
  },
}
