import type { LinkWish, OneTimeLinks } from '../consent/one-time-links.ts'
import { NotFoundError } from '../foundation/errors.ts'
import { refuseOtherChannels } from '../messages/account-fit.ts'
import { accountOf } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import type { Sender } from '../wechat/channels.ts'
import { param, type Answer, type Call, type Route } from './route.ts'
import { SCHEMAS } from './schemas.ts'

export interface OneTimeRouteDeps {
  readonly createLink: (wish: LinkWish) => ReturnType<OneTimeLinks['create']>
  /** An account in service, as the platform calls it. */
  readonly findLinked: (accountId: number) => Promise<(Sender & { appId: string }) | undefined>
}

/** Asking for a link to the platform's page for one-time subscriptions. */
export function oneTimeRoutes(deps: OneTimeRouteDeps): readonly Route[] {
  return [
    {
      method: 'post',
      path: '/v1/accounts/{account}/one-time-links',
      operationId: 'createOneTimeLink',
      summary: 'A link on which a person agrees to one message',
      body: 'OneTimeLinkRequest',
      answer: { status: 201, schema: 'OneTimeLink' },
      problems: [400, 404, 409, 413, 415, 503],
      handle: (call) => postLink(deps, call),
    },
  ]
}

async function postLink(deps: OneTimeRouteDeps, call: Call): Promise<Answer> {
  const { id, name } = accountOf(call.application, param(call, 'account'))
  const wish = readInput(SCHEMAS.OneTimeLinkRequest, call.body, 'invalid_request')
  const found = await deps.findLinked(id)
  if (!found) throw new NotFoundError('account_not_found', 'the account is out of service')
  refuseOtherChannels('one_time_subscription', found)
  const { url, expiresAt } = await deps.createLink({
    account: { id, name, appId: found.appId },
    templateId: wish.template_id,
    scene: wish.scene,
    subject: wish.to ?? null,
    returnUrl: wish.return_url ?? null,
    actor: call.application.name,
  })
  return { status: 201, body: { url, expires_at: expiresAt } }
}
