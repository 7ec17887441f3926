import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { accountInService } from './quota-account.ts'
import { textTable } from './text-table.ts'
import { templateChannelsOf } from '../wechat/template-lists.ts'

export const templatesSync: Command = {
  name: 'templates sync',
  summary: {
    en: 'Compare the templates of an account with the platform’s own lists, now.',
    zh: '立即与平台的模板列表核对。',
  },
  words: ['ACCOUNT'],

  async run({ args, say, output, withGateway }) {
    const name = args.word(0)
    return withGateway(async ({ parts }) => {
      await accountInService(parts, name)
      const account = await parts.accounts.findByName(name)
      if (!account || templateChannelsOf(account).length === 0) {
        return refuseArgument('ACCOUNT', (speak) => speak('no_template_channels'))
      }
      const { lists, changes } = await parts.templates.sync(account)
      output.answer(
        {
          account: name,
          lists,
          changes: changes.map(({ channel, templateId, change }) => ({
            ...{ channel, template_id: templateId, change },
          })),
        },
        [
          ...lists.map(({ channel, outcome, listed, errcode }) =>
            say(`templates_${outcome}`, { channel, listed, errcode: errcode ?? '' }),
          ),
          changes.length === 0
            ? say('templates_same')
            : textTable(
                changes.map(({ channel, templateId, change }) => [
                  say(`template_${change}`),
                  channel,
                  templateId,
                ]),
              ),
        ].join('\n'),
      )
      return lists.every(({ outcome }) => outcome !== 'compared') ? 1 : 0
    })
  },
}
