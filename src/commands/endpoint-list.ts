import { endpointBody } from '../api/endpoint-routes.ts'
import type { Endpoint } from '../delivery/endpoint.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'
import { textTable } from './text-table.ts'
import type { Say } from './words.ts'

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
      stateOf(one, say),
    ])
    output.answer(
      { endpoints: found.map(endpointBody) },
      rows.length === 0 ? say('no_endpoints') : textTable([heading, ...rows]),
    )
  },
}

function stateOf(endpoint: Endpoint, say: Say): string {
  const { disabledReason, pausedReason, failingSince } = endpoint
  if (disabledReason !== null) return disabledReason
  if (pausedReason !== null) return say('endpoint_state_paused', { reason: pausedReason })
  if (failingSince === null) return say('live')
  return say('endpoint_state_failing', { since: failingSince.toISOString() })
}
