import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import { makeRefreshToken } from './component-endpoints.ts'
import { authorizerOf, componentPlace, type Authorizer, type Component } from './components.ts'
import { writeXml, type Node } from './document-writer.ts'
import { unixSeconds } from './movable-clock.ts'
import { endOptOuts } from './opt-outs.ts'
import { platformAct, type PlatformAct, type PlatformEffect } from './platform-act.ts'
import type { World } from './world.ts'

/** An authorization_code lives an hour (callbacks.md §6.5). */
const CODE_SECONDS = 3600
/** Messages and the sends of an Official Account. */
const DEFAULT_SCOPES = [1, 7, 15, 89]
const KEPT_TICKETS = 200

const text = z.string().min(1)
const merchant = z.strictObject({ app_id: text })
const grant = z.strictObject({
  app_id: text,
  pre_auth_code: text.optional(),
  scopes: z.array(z.int()).optional(),
})

interface Scene {
  readonly world: World
  readonly owner: Component
  readonly now: Date
}

/** What happens to a component, by its name in the control API. */
export const COMPONENT_ACTS = {
  push_ticket: platformAct(z.strictObject({}), pushTicket),
  authorize: platformAct(grant, authorize),
  update_authorization: platformAct(grant, updateAuthorization),
  unauthorize: platformAct(merchant, unauthorize),
  /** The platform stops pushing tickets until `api_start_push_ticket` is called. */
  stop_tickets: platformAct(z.strictObject({}), ({ owner }) => {
    owner.ticketsOn = false
    return {}
  }),
} satisfies Record<string, PlatformAct<Component>>

export type ComponentActName = keyof typeof COMPONENT_ACTS

function pushTicket(scene: Scene): PlatformEffect {
  const { world, owner, now } = scene
  const ticket = `ticket@@@${world.random.urlSafe(80)}`
  owner.lastTicketMs = now.getTime()
  owner.tickets.set(ticket, owner.lastTicketMs)
  for (const old of owner.tickets.keys()) {
    if (owner.tickets.size <= KEPT_TICKETS) break
    owner.tickets.delete(old)
  }
  const fields = [{ name: 'ComponentVerifyTicket', text: ticket }]
  return { ...notice(scene, 'component_verify_ticket', { fields }), made: { ticket } }
}

/** A merchant grants the component its rights: the push and the redirect carry the same code. */
function authorize(scene: Scene, details: z.output<typeof grant>): PlatformEffect {
  const { world, owner, now } = scene
  const account = world.accounts.get(details.app_id)
  if (account?.config.component_app_id !== owner.config.app_id) {
    const rule = `expected an account whose component_app_id is ${owner.config.app_id}`
    throw new InvalidInputError('invalid_sandbox_input', [{ field: 'app_id', rule }])
  }
  checkPreAuthCode(scene, details.pre_auth_code)
  const authorizer = authorizerOf(world, owner, details.app_id)
  Object.assign(authorizer, {
    authorized: true,
    // The refresh token of an earlier authorisation is dead from now on (sending.md §1.6).
    refreshToken: makeRefreshToken(world.random),
    authorizedAtSeconds: unixSeconds(now),
    scopes: details.scopes ?? DEFAULT_SCOPES,
  })
  endOptOuts(authorizer, () => true, world.clock.monotonicMs())
  return grantNotice(scene, 'authorized', { authorizer, preAuthCode: details.pre_auth_code })
}

function checkPreAuthCode({ owner, now }: Scene, code: string | undefined): void {
  if (code === undefined) return
  const expiresAtMs = owner.preAuthCodes.get(code)
  if (expiresAtMs !== undefined && now.getTime() < expiresAtMs) return
  const rule = 'expected a pre_auth_code that was given and is not over'
  throw new InvalidInputError('invalid_sandbox_input', [{ field: 'pre_auth_code', rule }])
}

/** Nothing is pushed when the permission sets stay the same (callbacks.md §5.2). */
function updateAuthorization(scene: Scene, details: z.output<typeof grant>): PlatformEffect {
  const authorizer = findAuthorizer(scene, details.app_id)
  const scopes = details.scopes ?? DEFAULT_SCOPES
  const same = scopes.toSorted().join() === authorizer.scopes.toSorted().join()
  authorizer.scopes = scopes
  if (same) return {}
  const preAuthCode = details.pre_auth_code
  return grantNotice(scene, 'updateauthorized', { authorizer, preAuthCode })
}

function unauthorize(scene: Scene, { app_id }: { app_id: string }): PlatformEffect {
  const authorizer = findAuthorizer(scene, app_id)
  authorizer.authorized = false
  authorizer.tokens.revokeAll(scene.now.getTime())
  const fields = [{ name: 'AuthorizerAppid', text: app_id }]
  return { ...notice(scene, 'unauthorized', { fields, person: app_id }), optOut: authorizer }
}

function findAuthorizer({ owner }: Scene, appId: string): Authorizer {
  const authorizer = owner.authorizers.get(appId)
  if (authorizer?.authorized) return authorizer
  const rule = 'expected an account that is authorised; let it authorize first'
  throw new InvalidInputError('invalid_sandbox_input', [{ field: 'app_id', rule }])
}

function grantNotice(
  scene: Scene,
  infoType: string,
  granted: { readonly authorizer: Authorizer; readonly preAuthCode: string | undefined },
): PlatformEffect {
  const { world, owner, now } = scene
  const { appId } = granted.authorizer
  const code = `queryauthcode@@@${world.random.urlSafe(64)}`
  const expires = unixSeconds(now) + CODE_SECONDS
  owner.codes.set(code, { appId, expiresAtMs: expires * 1000, used: false })
  const fields = [
    { name: 'AuthorizerAppid', text: appId },
    { name: 'AuthorizationCode', text: code },
    { name: 'AuthorizationCodeExpiredTime', text: String(expires), bare: true },
    { name: 'PreAuthCode', text: granted.preAuthCode ?? '' },
  ]
  const made = { auth_code: code, expires_in: String(CODE_SECONDS) }
  return { ...notice(scene, infoType, { fields, person: appId }), made }
}

function notice(
  { owner, now }: Scene,
  infoType: string,
  what: { readonly fields: readonly Node[]; readonly person?: string },
): PlatformEffect {
  const head = [
    { name: 'AppId', text: owner.config.app_id },
    { name: 'CreateTime', text: String(unixSeconds(now)), bare: true },
    { name: 'InfoType', text: infoType },
  ]
  return {
    push: {
      place: () => componentPlace(owner),
      event: infoType,
      document: writeXml([...head, ...what.fields]),
      ...(what.person === undefined ? {} : { person: what.person }),
    },
  }
}
