import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'

export const accountAuthorize: Command = {
  name: 'account authorize',
  summary: {
    en: 'Print the page on which a merchant authorises a component, or a corp installs a suite.',
    zh: '显示授权页地址：商家授权第三方平台，或企业安装第三方应用。',
  },
  words: ['NAME'],

  async run({ args, say, output, withGateway }) {
    const name = args.word(0)
    await withGateway(async ({ parts }, { http }) => {
      const { publicBaseUrl } = http
      if (publicBaseUrl === null) {
        return refuseArgument('PUBLIC_BASE_URL', (speak) => speak('page_needs_address'))
      }
      const account = await parts.accounts.findByName(name)
      if (!account) {
        await parts.accounts.show(name) // says so when there is no such account
        return refuseArgument('NAME', (speak) => speak('disabled'))
      }
      const url = await parts.makeAuthorizationPage({ account, gatewayUrl: publicBaseUrl })
      output.answer({ name, url }, url)
      output.note(say('page_valid'))
    })
  },
}
