import { secretBody } from '../api/endpoint-routes.ts'
import { ENDPOINT_PURPOSES } from '../delivery/endpoint.ts'
import type { Command } from './command.ts'

export const endpointAdd: Command = {
  name: 'endpoint add',
  summary: {
    en: 'Name an address where an application is told what happens; its signing secret is shown this once.',
    zh: '登记业务应用的接收地址；签名密钥只显示一次。',
  },
  words: ['APP'],
  options: {
    account: {
      type: 'text',
      value: 'name',
      help: {
        en: 'The account it is told about; of every purpose but callbacks.',
        zh: '通知哪个帐号的事件；callbacks 之外都需要。',
      },
    },
    url: {
      type: 'text',
      value: 'https://…',
      help: {
        en: 'Where to post; of every purpose but callbacks.',
        zh: '接收地址；callbacks 之外都需要。',
      },
    },
    purpose: {
      type: 'text',
      value: ENDPOINT_PURPOSES.join('|'),
      help: {
        en: 'events (the default); reply: asked for passive replies; callbacks: results of messages.',
        zh: 'events（默认）：事件；reply：询问被动回复；callbacks：消息结果。',
      },
    },
    event: {
      type: 'text',
      value: 'kind',
      multiple: true,
      help: {
        en: 'Only events of this kind; all of them by default.',
        zh: '只接收此类事件；默认全部。',
      },
    },
  },

  async run({ args, say, output, withGateway }) {
    const [name, purpose, events] = [args.word(0), args.text('purpose'), args.texts('event')]
    const body = {
      account: args.text('account'),
      url: args.text('url'),
      ...(purpose !== undefined && { purpose }),
      ...(events !== undefined && { events }),
    }
    const added = await withGateway(
      async ({ parts }) => {
        const { id, accountIds, accountNames } = await parts.applications.find(name)
        const accounts = accountIds.map((id, index) => ({ id, name: accountNames[index] ?? '' }))
        return parts.endpoints.add({ id, name, accounts }, body)
      },
      { masterKey: 'own' },
    )
    const { id } = added.endpoint
    output.answer(secretBody(added), `${say('endpoint_added', { id })}\n${added.secret}`)
  },
}
