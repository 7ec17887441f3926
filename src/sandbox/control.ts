import { NotFoundError } from '../foundation/errors.ts'
import { actsOf, isActName } from './acts.ts'
import { isFields, textIn } from './api-call.ts'
import { accountPlace } from './components.ts'
import {
  matchPath,
  route,
  waitForAct,
  type Control,
  type ControlCall,
  type ControlRoute,
} from './control-route.ts'
import {
  apiFaultSchema,
  clockSchema,
  pushFaultSchema,
  readInput,
  templateSchema,
} from './inputs.ts'
import { readLog, readMessages } from './log.ts'
import { OWNER_ROUTES, asDocument } from './owner-routes.ts'
import { makeReport } from './report.ts'
import {
  addFollowers,
  createSandboxAccount,
  pushDocument,
  viewFollower,
} from './sandbox-account.ts'
import { pushDueTickets } from './tickets.ts'
import { getAccount, putAccount, type Account } from './world.ts'

const DONE = { ok: true }

/** Every address of the control API; `{…}` stands for one part of the path. */
const ROUTES: readonly ControlRoute[] = [
  route('GET', '/sandbox', () => ({
    routes: ROUTES.map(({ method, path }) => `${method} ${path}`),
  })),
  route('GET', '/sandbox/clock', ({ world }) => ({ now: world.clock.now().toISOString() })),
  route('POST', '/sandbox/clock', async ({ world, pusher }, { body }) => {
    world.clock.advance(readInput(clockSchema, body).advance_seconds)
    await pushDueTickets(world, pusher)
    return { now: world.clock.now().toISOString() }
  }),
  route('GET', '/sandbox/accounts', ({ world }) => [...world.accounts.values()].map(viewAccount)),
  route('POST', '/sandbox/accounts', ({ world }, { body }) => viewAccount(putAccount(world, body))),
  route('POST', '/sandbox/accounts/{app_id}/templates', (control, call) => {
    const account = accountOf(control, call)
    const template = readInput(templateSchema, call.body)
    const others = account.config.templates.filter(
      (one) => one.template_id !== template.template_id,
    )
    account.config = { ...account.config, templates: [...others, template] }
    return viewAccount(account)
  }),
  route('POST', '/sandbox/accounts/{app_id}/handshake', (control, call) =>
    control.pusher.handshake(accountPlace(control.world, accountOf(control, call))),
  ),
  route('POST', '/sandbox/accounts/{app_id}/events', (control, call) => {
    const account = accountOf(control, call)
    const place = () => accountPlace(control.world, account)
    return pushDocument(control.pusher, place, asDocument(call.body))
  }),
  route('GET', '/sandbox/accounts/{app_id}/messages', (control, call) => {
    const account = accountOf(control, call)
    const openid = call.query.get('openid') ?? undefined
    return {
      messages: readMessages(control.world.record, { appId: account.config.app_id, openid }),
    }
  }),
  route('POST', '/sandbox/accounts/{app_id}/followers', (control, call) => {
    const openids = addFollowers(control.world, accountOf(control, call), call.body)
    return { count: openids.length, openids }
  }),
  route('GET', '/sandbox/accounts/{app_id}/followers/{openid}', (control, call) => {
    const { openid = '' } = call.parameters
    const follower = accountOf(control, call).followers.get(openid)
    if (follower) return viewFollower(follower)
    throw new NotFoundError('unknown_follower', 'The account never met this openid; let it follow.')
  }),
  route('POST', '/sandbox/accounts/{app_id}/followers/{openid}/{act}', serveAct),
  route('GET', '/sandbox/log', ({ world }, { query }) => {
    const kind = query.get('kind')
    return readLog(world.record, {
      kind: kind === 'call' || kind === 'push' ? kind : undefined,
      appId: query.get('app_id') ?? undefined,
      openid: query.get('openid') ?? undefined,
      path: query.get('path') ?? undefined,
      event: query.get('event') ?? undefined,
      after: readNumber(query, 'after'),
      limit: readNumber(query, 'limit'),
    })
  }),
  route('GET', '/sandbox/report', ({ world }, { query }) =>
    makeReport(world.record, readNumber(query, 'tolerance_ms')),
  ),
  route('POST', '/sandbox/settle', async ({ pusher }) => {
    await pusher.settled()
    return DONE
  }),
  route('POST', '/sandbox/reset', ({ reset }, { body }) => {
    reset(isFields(body) && textIn(body, 'only') === 'record')
    return DONE
  }),
  route('POST', '/sandbox/faults', ({ world }, { body }) => ({
    id: world.apiFaults.add(readInput(apiFaultSchema, body)),
  })),
  route('DELETE', '/sandbox/faults', ({ world }) => {
    world.apiFaults.clear()
    return DONE
  }),
  route('POST', '/sandbox/push_faults', ({ world }, { body }) => ({
    id: world.pushFaults.add(readInput(pushFaultSchema, body)),
  })),
  route('DELETE', '/sandbox/push_faults', ({ world }) => {
    world.pushFaults.clear()
    return DONE
  }),
  ...OWNER_ROUTES,
]

/**
 * What the control API answers, as a value for JSON.
 *
 * @throws NotFoundError for an unknown address, account or person; InvalidInputError for a body that
 *   is not as expected.
 */
export async function answerControl(
  control: Control,
  request: { readonly method: string; readonly url: URL; readonly body: unknown },
): Promise<unknown> {
  const { method, url, body } = request
  for (const candidate of ROUTES) {
    const parameters = candidate.method === method && matchPath(candidate.path, url.pathname)
    if (parameters) return candidate.serve(control, { parameters, query: url.searchParams, body })
  }
  throw new NotFoundError(
    'unknown_sandbox_route',
    `The sandbox has no ${method} ${url.pathname}; GET /sandbox lists what it has.`,
  )
}

function accountOf({ world }: Control, { parameters }: ControlCall): Account {
  return getAccount(world, parameters.app_id ?? '')
}

/** Waits for the push's outcome, unless `wait=0`. */
async function serveAct(control: Control, call: ControlCall): Promise<unknown> {
  const { openid = '', act = '' } = call.parameters
  const { app_id, kind } = accountOf(control, call).config
  if (!isActName(act)) {
    const known = actsOf(kind).join(', ')
    throw new NotFoundError('unknown_act', `Nobody can ${act} here; expected one of ${known}.`)
  }
  const account = createSandboxAccount(control.world, control.pusher, app_id)
  const silent = call.query.get('silent') === '1'
  const push = account.act(openid, { name: act, details: call.body ?? {}, silent })
  return { openid, push: (await waitForAct(call, push)) ?? null }
}

/** Without secret, token and key: whoever sees a log of this answer learns nothing. */
function viewAccount({ config, followers }: Account) {
  const { app_id, kind, original_id, mode, callback_url, templates } = config
  const component = config.component_app_id ?? null
  const rest = { mode, callback_url, templates, followers: followers.size }
  return { app_id, kind, original_id, component_app_id: component, ...rest }
}

function readNumber(query: URLSearchParams, name: string): number | undefined {
  const value = Number(query.get(name) ?? Number.NaN)
  return Number.isFinite(value) ? value : undefined
}
