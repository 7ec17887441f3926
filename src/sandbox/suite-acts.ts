import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import { makeExternalUserid } from './corps.ts'
import { elements, writeJson, writeXml, type DocumentFormat } from './document-writer.ts'
import { unixSeconds } from './movable-clock.ts'
import { endOptOuts } from './opt-outs.ts'
import { platformAct, type PlatformAct, type PlatformEffect } from './platform-act.ts'
import { commandPlace, installAt, type Install, type Suite } from './suites.ts'
import { getOwner, type World } from './world.ts'

/** An AuthCode lives ten minutes; it has at least 64 characters (callbacks.md §5.3). */
const CODE_MS = 600_000
const CODE_LENGTH = 86
const KEPT_TICKETS = 200

const text = z.string().min(1)
const corp = z.strictObject({ corp_id: text })
const creation = z.strictObject({
  corp_id: text,
  agent_id: text.default('1000001'),
  state: text.optional(),
  /** Begun on the provider's own site: the redirect has the code, and nothing is pushed. */
  from_provider_site: z.boolean().default(false),
})

interface Scene {
  readonly world: World
  readonly owner: Suite
  readonly now: Date
}

/** What happens to a suite, by its name in the control API. */
export const SUITE_ACTS = {
  push_ticket: platformAct(z.strictObject({}), pushTicket),
  create_auth: platformAct(creation, createAuth),
  change_auth: platformAct(corp.extend({ state: text.optional() }), (scene, details) => {
    findInstall(scene, details.corp_id)
    const fields = { AuthCorpId: details.corp_id, State: details.state }
    return notice(scene, 'change_auth', { fields, person: details.corp_id })
  }),
  cancel_auth: platformAct(corp, (scene, { corp_id }) => {
    const install = findInstall(scene, corp_id)
    Object.assign(install, { authorized: false, permanentCode: undefined })
    install.app.tokens.revokeAll(scene.now.getTime())
    const told = notice(scene, 'cancel_auth', { fields: { AuthCorpId: corp_id }, person: corp_id })
    return { ...told, optOut: install }
  }),
  reset_permanent_code: platformAct(corp, (scene, { corp_id }) => {
    findInstall(scene, corp_id)
    const auth_code = makeCode(scene, corp_id)
    const told = notice(scene, 'reset_permanent_code', { fields: { AuthCode: auth_code } })
    return { ...told, made: { auth_code } }
  }),
  agree_external_userid_migration: platformAct(corp, (scene, { corp_id }) => {
    const { world, owner } = scene
    const { relations, newExternalUserids } = findInstall(scene, corp_id).corp
    for (const { externalUserid } of relations.values()) {
      if (newExternalUserids.has(externalUserid)) continue
      newExternalUserids.set(externalUserid, makeExternalUserid(world))
    }
    const fields = { AuthCorpId: corp_id, ServiceCorpId: owner.config.provider_corp_id }
    const format = 'json' // the form of it that is published (callbacks.md §7.10)
    return notice(scene, 'agree_external_userid_migration', { fields, person: corp_id, format })
  }),
} satisfies Record<string, PlatformAct<Suite>>

export type SuiteActName = keyof typeof SUITE_ACTS

function pushTicket(scene: Scene): PlatformEffect {
  const { world, owner, now } = scene
  const ticket = world.random.urlSafe(64)
  owner.lastTicketMs = now.getTime()
  owner.tickets.set(ticket, owner.lastTicketMs)
  for (const old of owner.tickets.keys()) {
    if (owner.tickets.size <= KEPT_TICKETS) break
    owner.tickets.delete(old)
  }
  const told = notice(scene, 'suite_ticket', { fields: { SuiteTicket: ticket }, slow: true })
  return { ...told, made: { ticket } }
}

/** A corp installs the suite; what it gets is decided when the code is exchanged. */
function createAuth(scene: Scene, details: z.output<typeof creation>): PlatformEffect {
  const { world, owner } = scene
  const found = getOwner(world.corps, 'corps', details.corp_id)
  const install = installAt(world, owner, { corp: found, agentId: details.agent_id })
  Object.assign(install, { authorized: true, state: details.state })
  endOptOuts(install, () => true, world.clock.monotonicMs())
  const auth_code = makeCode(scene, details.corp_id)
  const made = { auth_code }
  if (details.from_provider_site) return { made }
  const fields = { AuthCode: auth_code, State: details.state }
  return { ...notice(scene, 'create_auth', { fields }), made }
}

function makeCode({ world, owner, now }: Scene, corpId: string): string {
  const code = world.random.urlSafe(CODE_LENGTH)
  owner.codes.set(code, { corpId, expiresAtMs: now.getTime() + CODE_MS, used: false })
  return code
}

function findInstall({ owner }: Scene, corpId: string): Install {
  const install = owner.installs.get(corpId)
  if (install?.authorized) return install
  const rule = 'expected a corp that installed the suite; let it create_auth first'
  throw new InvalidInputError('invalid_sandbox_input', [{ field: 'corp_id', rule }])
}

/** A notice about an authorisation must be answered in one second, a ticket in five. */
function notice(
  { world, owner, now }: Scene,
  infoType: string,
  what: {
    readonly fields: Readonly<Record<string, string | undefined>>
    readonly person?: string
    readonly slow?: boolean
    /** XML where nothing is said. */
    readonly format?: DocumentFormat
  },
): PlatformEffect {
  const write = what.format === 'json' ? writeJson : writeXml
  const document = write([
    ...elements({ SuiteId: owner.config.suite_id, InfoType: infoType }),
    { name: 'TimeStamp', text: String(unixSeconds(now)), bare: true },
    ...elements(what.fields),
  ])
  return {
    push: {
      place: () => commandPlace(owner),
      event: infoType,
      document,
      ...(what.person === undefined ? {} : { person: what.person }),
      ...(what.slow ? {} : { timeoutMs: world.push.noticeTimeoutMs }),
    },
  }
}
