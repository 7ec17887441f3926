import { COMPONENT_ACTS } from './component-acts.ts'
import { componentPlace, putComponent } from './components.ts'
import {
  findAct,
  route,
  waitForAct,
  type Control,
  type ControlCall,
  type ControlRoute,
} from './control-route.ts'
import { CORP_ACTS } from './corp-acts.ts'
import { corpPlace } from './corp-notices.ts'
import { putCorp } from './corps.ts'
import { readMessages } from './log.ts'
import { runReleaseCheck } from './release-check.ts'
import { pushDocument } from './sandbox-account.ts'
import { createSandboxComponent, createSandboxCorp, createSandboxSuite } from './sandbox-owners.ts'
import { SUITE_ACTS } from './suite-acts.ts'
import { commandPlace, putSuite } from './suites.ts'
import { getOwner } from './world.ts'

/** The control API of components, corps and suites. */
export const OWNER_ROUTES: readonly ControlRoute[] = [
  route('GET', '/sandbox/components', ({ world }) =>
    [...world.components.keys()].map((appId) => viewComponent(world, appId)),
  ),
  route('POST', '/sandbox/components', ({ world }, { body }) =>
    viewComponent(world, putComponent(world, body).config.app_id),
  ),
  route('POST', '/sandbox/components/{app_id}/handshake', (control, call) =>
    componentOf(control, call).handshake(),
  ),
  route('POST', '/sandbox/components/{app_id}/events', ({ world, pusher }, call) => {
    const owner = getOwner(world.components, 'components', call.parameters.app_id ?? '')
    return pushDocument(pusher, () => componentPlace(owner), asDocument(call.body))
  }),
  route('POST', '/sandbox/components/{app_id}/release_check', ({ world, pusher }, call) => {
    const component = getOwner(world.components, 'components', call.parameters.app_id ?? '')
    return runReleaseCheck(world, pusher, { component, input: call.body })
  }),
  route('POST', '/sandbox/components/{app_id}/acts/{act}', (control, call) => {
    const name = findAct(COMPONENT_ACTS, call.parameters.act ?? '')
    return serveAct(call, componentOf(control, call).act(name, detailsOf(call), optionsOf(call)))
  }),
  route('GET', '/sandbox/corps', ({ world }) =>
    [...world.corps.keys()].map((corpId) => viewCorp(world, corpId)),
  ),
  route('POST', '/sandbox/corps', ({ world }, { body }) =>
    viewCorp(world, putCorp(world, body).config.corp_id),
  ),
  route('POST', '/sandbox/corps/{corp_id}/handshake', (control, call) =>
    corpOf(control, call).handshake(call.query.get('agent_id') ?? undefined),
  ),
  route('POST', '/sandbox/corps/{corp_id}/events', ({ world, pusher }, call) => {
    const owner = getOwner(world.corps, 'corps', call.parameters.corp_id ?? '')
    const agentId = call.query.get('agent_id') ?? undefined
    return pushDocument(pusher, () => corpPlace(owner, agentId), asDocument(call.body))
  }),
  route('GET', '/sandbox/corps/{corp_id}/messages', ({ world }, { parameters, query }) => {
    const { corp_id } = getOwner(world.corps, 'corps', parameters.corp_id ?? '').config
    const openid = query.get('person') ?? undefined
    return { messages: readMessages(world.record, { appId: corp_id, openid }) }
  }),
  route('POST', '/sandbox/corps/{corp_id}/acts/{act}', (control, call) => {
    const name = findAct(CORP_ACTS, call.parameters.act ?? '')
    return serveAct(call, corpOf(control, call).act(name, detailsOf(call), optionsOf(call)))
  }),
  route('GET', '/sandbox/suites', ({ world }) =>
    [...world.suites.keys()].map((suiteId) => viewSuite(world, suiteId)),
  ),
  route('POST', '/sandbox/suites', ({ world }, { body }) =>
    viewSuite(world, putSuite(world, body).config.suite_id),
  ),
  route('POST', '/sandbox/suites/{suite_id}/handshake', (control, call) =>
    suiteOf(control, call).handshake(),
  ),
  route('POST', '/sandbox/suites/{suite_id}/events', ({ world, pusher }, call) => {
    const owner = getOwner(world.suites, 'suites', call.parameters.suite_id ?? '')
    return pushDocument(pusher, () => commandPlace(owner), asDocument(call.body))
  }),
  route('POST', '/sandbox/suites/{suite_id}/acts/{act}', (control, call) => {
    const name = findAct(SUITE_ACTS, call.parameters.act ?? '')
    return serveAct(call, suiteOf(control, call).act(name, detailsOf(call), optionsOf(call)))
  }),
]

/** A raw document is taken as it is; anything else must say what it is. */
export function asDocument(body: unknown): unknown {
  return typeof body === 'string' ? { document: body } : body
}

function componentOf({ world, pusher }: Control, { parameters }: ControlCall) {
  const { config } = getOwner(world.components, 'components', parameters.app_id ?? '')
  return createSandboxComponent(world, pusher, config.app_id)
}

function corpOf({ world, pusher }: Control, { parameters }: ControlCall) {
  const { config } = getOwner(world.corps, 'corps', parameters.corp_id ?? '')
  return createSandboxCorp(world, pusher, config.corp_id)
}

function suiteOf({ world, pusher }: Control, { parameters }: ControlCall) {
  const { config } = getOwner(world.suites, 'suites', parameters.suite_id ?? '')
  return createSandboxSuite(world, pusher, config.suite_id)
}

function detailsOf({ body }: ControlCall): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? { ...body } : {}
}

function optionsOf({ query }: ControlCall): { silent: boolean } {
  return { silent: query.get('silent') === '1' }
}

async function serveAct<Outcome>(call: ControlCall, act: Promise<Outcome>) {
  return (await waitForAct(call, act)) ?? { push: null, made: {} }
}

/** The views show no secret, token, key, ticket or code. */
function viewComponent(world: Control['world'], appId: string) {
  const { config, authorizers, ticketsOn } = getOwner(world.components, 'components', appId)
  const { app_id, callback_url, message_url, tickets } = config
  const granted = [...authorizers.values()].filter(({ authorized }) => authorized)
  return {
    app_id,
    callback_url,
    message_url,
    tickets,
    tickets_on: ticketsOn,
    authorizers: granted.map(({ appId: merchant, scopes }) => ({ app_id: merchant, scopes })),
  }
}

function viewCorp(world: Control['world'], corpId: string) {
  const { config, apps, members, relations, kf } = getOwner(world.corps, 'corps', corpId)
  return {
    corp_id: config.corp_id,
    name: config.name,
    apps: apps.map(({ agentId, suiteId }) => ({ agent_id: agentId, suite_id: suiteId })),
    members: members.size,
    relations: [...relations.values()].map(({ userid, externalUserid, state, archive }) => {
      return { userid, external_userid: externalUserid, state, archive }
    }),
    kf_accounts: [...kf.accounts],
    robots: config.robots.map(({ name, state }) => ({ name, state })),
  }
}

function viewSuite(world: Control['world'], suiteId: string) {
  const { config, installs } = getOwner(world.suites, 'suites', suiteId)
  const { suite_id, provider_corp_id, callback_url, data_url, tickets } = config
  const corps = [...installs.values()].filter(({ authorized }) => authorized)
  return {
    suite_id,
    provider_corp_id,
    callback_url,
    data_url,
    tickets,
    corps: corps.map(({ corp, app }) => ({
      corp_id: corp.config.corp_id,
      agent_id: app.agentId,
    })),
  }
}
