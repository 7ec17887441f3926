import type { Account } from '../accounts/account.ts'
import type { Log } from '../foundation/log.ts'
import { startTicketPushes, type TicketStart } from '../wechat/component-api.ts'
import type { PlatformClient } from '../wechat/platform-client.ts'

export interface StartTicketsParts {
  readonly call: PlatformClient['call']
  readonly openAppSecret: (accountId: number) => Promise<string>
  readonly log: Log
}

/**
 * Has the platform push a component's tickets again. It needs no token, so it works where none is to be
 * had for want of a ticket; where the pushes are on it changes nothing.
 */
export async function startTickets(
  { call, openAppSecret, log }: StartTicketsParts,
  component: Pick<Account, 'id' | 'name' | 'appId'>,
): Promise<TicketStart> {
  const secret = await openAppSecret(component.id)
  const start = await startTicketPushes(call, { appId: component.appId, secret })
  const told = { account: component.name, ...start }
  if (start.outcome === 'refused' || start.outcome === 'failed') {
    log.warn(told, 'ticket.pushes_not_started')
  } else log.info(told, 'ticket.pushes_started')
  return start
}
