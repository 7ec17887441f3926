import type { Command } from './command.ts'

export const appRevoke: Command = {
  name: 'app revoke',
  summary: { en: 'End an application’s key for good.', zh: '永久吊销应用的密钥。' },
  words: ['NAME'],

  async run({ args, say, output, withGateway }) {
    const name = args.word(0)
    await withGateway(({ parts }) => parts.applications.revoke(name))
    output.answer({ name, revoked: true }, say('app_revoked', { name }))
  },
}
