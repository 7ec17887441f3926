import { endpointBody } from '../api/endpoint-routes.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'
import { textTable } from './text-table.ts'

/** There are a handful; more than this nobody would read. */
const MOST = 1_000

export const endpointList: Command = {
  name: 'endpoint list',
  summary: { en: 'List the endpoints, newest first.', zh: '列出接收地址，最新的在前。' },

  async run({ say, output, withGateway }) {
    const found = await withGateway(async ({ parts }) =>
      parts.endpoints.list(await operatorOf(parts), { limit: MOST }),
    )
    const heading = ['ID', say('name'), say('accounts'), say('purpose'), 'URL', say('state')]
    const rows = found.map((one) => [
      one.id,
      one.application,
      one.account ?? '',
      one.purpose,
      one.url ?? '',
      one.disabledReason ?? say('live'),
    ])
    output.answer(
      { endpoints: found.map(endpointBody) },
      rows.length === 0 ? say('no_endpoints') : textTable([heading, ...rows]),
    )
  },
}
