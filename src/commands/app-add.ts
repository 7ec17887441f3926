import { readNewApplication } from '../applications/application.ts'
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
  },

  async run({ args, say, output, withGateway }) {
    const application = readNewApplication({
      name: args.word(0),
      accounts: args.text('accounts'),
    })
    const { id, name, key } = await withGateway(({ parts }) => parts.applications.add(application))
    output.answer({ id, name, key }, `${say('app_added', { name })}\n${key}`)
  },
}
