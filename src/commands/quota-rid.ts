import { ridBody } from '../api/quota-routes.ts'
import type { Command } from './command.ts'
import { accountInService } from './quota-account.ts'
import { textTable } from './text-table.ts'

export const quotaRid: Command = {
  name: 'quota rid',
  summary: {
    en: 'Ask the platform what a refused call was, by the rid in its answer; for seven days.',
    zh: '按返回中的 rid 向平台查询一次失败的调用；保留七天。',
  },
  words: ['ACCOUNT', 'RID'],

  async run({ args, say, output, withGateway }) {
    const call = await withGateway(async ({ parts }) =>
      parts.quotas.rid(await accountInService(parts, args.word(0)), args.word(1)),
    )
    const body = ridBody({ account: args.word(0), rid: args.word(1) }, call)
    output.answer(
      body,
      textTable([
        [say('since'), body.invoked_at],
        [say('duration'), `${call.cost_in_ms} ms`],
        [say('client_ip'), call.client_ip],
        [say('request'), call.request_url],
        [say('request_body'), call.request_body],
        [say('response'), call.response_body],
      ]),
    )
  },
}
