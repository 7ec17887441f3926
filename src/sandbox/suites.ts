import { prepareKey, type EnvelopeKey } from '../receiver/message-crypto.ts'
import { newApp, wecomPlace, type Corp, type CorpApp } from './corps.ts'
import { readInput, suiteSchema, type SuiteConfig } from './inputs.ts'
import type { OptOutHolder } from './opt-outs.ts'
import { fillPath, type PushPlace } from './push-place.ts'
import { createTokenBook, type TokenBook } from './tokens.ts'
import type { World } from './world.ts'

/** A corp that installed the suite. */
export interface Install extends OptOutHolder {
  readonly corp: Corp
  readonly app: CorpApp
  permanentCode: string | undefined
  authorized: boolean
  state: string | undefined
}

export interface SuiteCode {
  readonly corpId: string
  readonly expiresAtMs: number
  used: boolean
}

/** A third-party suite with everything the platform remembers about it. */
export interface Suite {
  config: SuiteConfig
  key: EnvelopeKey
  readonly tokens: TokenBook
  /** Those of the provider; of several suites of one provider the first's. */
  readonly providerTokens: TokenBook
  readonly tickets: Map<string, number>
  lastTicketMs: number
  readonly preAuthCodes: Map<string, number>
  readonly codes: Map<string, SuiteCode>
  readonly installs: Map<string, Install>
}

/**
 * Adds a suite, or gives a known one another configuration: its corps stay.
 *
 * @throws InvalidInputError
 */
export function putSuite(world: World, input: unknown): Suite {
  const config = readInput(suiteSchema, input)
  const key = prepareKey(config.aes_key)
  const known = world.suites.get(config.suite_id)
  if (known) return Object.assign(known, { config, key })
  const rules = { lifetimeSeconds: world.platform.tokenLifetimeSeconds, overlapSeconds: 0 }
  const suite: Suite = {
    config,
    key,
    // Both tokens stay the same for two hours, the suite's though the ticket changes (sending.md §1.7).
    tokens: createTokenBook(world.random, rules),
    providerTokens: createTokenBook(world.random, rules),
    tickets: new Map(),
    lastTicketMs: -Infinity,
    preAuthCodes: new Map(),
    codes: new Map(),
    installs: new Map(),
  }
  world.suites.set(config.suite_id, suite)
  return suite
}

/** The corp's installation, from now on if there was none; its agent joins the corp's apps. */
export function installAt(
  world: World,
  suite: Suite,
  to: { readonly corp: Corp; readonly agentId: string },
): Install {
  const { corp_id } = to.corp.config
  const known = suite.installs.get(corp_id)
  if (known) return known
  const app = newApp(world, {
    agentId: to.agentId,
    secret: undefined,
    suiteId: suite.config.suite_id,
    place: () => dataPlace(suite, to.corp, to.agentId),
  })
  to.corp.apps.push(app)
  const install: Install = {
    corp: to.corp,
    app,
    permanentCode: undefined,
    authorized: false,
    state: undefined,
    optOuts: undefined,
  }
  suite.installs.set(corp_id, install)
  return install
}

/** The 指令回调 URL: everything with an `InfoType`. */
export function commandPlace({ config, key, installs }: Suite): PushPlace {
  return {
    ...wecomPlace(config, key),
    kind: 'wecom_suite',
    ownerId: config.suite_id,
    url: config.callback_url ?? null,
    otherUrl: null,
    receiveId: config.suite_id,
    relatedReceiveId: [...installs.keys()][0] ?? config.provider_corp_id,
    outer: [
      ['ToUserName', config.suite_id],
      ['AgentID', ''],
    ],
    answer: 'success',
  }
}

/** The 数据回调 URL of one corp: what its members do in the app. */
function dataPlace(suite: Suite, corp: Corp, agentId: string): PushPlace {
  const { config, key } = suite
  const { corp_id } = corp.config
  const others = [...suite.installs.keys()]
  const other = others.find((id) => id !== corp_id) ?? 'ww0000000000000000'
  const url = config.data_url
  return {
    ...wecomPlace(config, key),
    kind: 'wecom_authorizer',
    ownerId: corp_id,
    url: url ? fillPath(url, '$CORPID$', corp_id) : null,
    otherUrl: url?.includes('CORPID') ? fillPath(url, '$CORPID$', other) : null,
    receiveId: corp_id,
    relatedReceiveId: config.suite_id,
    outer: [
      ['ToUserName', corp_id],
      ['AgentID', agentId],
    ],
    answer: 'any',
  }
}

/** Whether a suite is a template of agency-developed apps (代开发应用模板): its id says so. */
export function isAgency({ config }: Suite): boolean {
  return config.suite_id.startsWith('dk')
}

/** The app that a corp has from an agency, by the permanent code that is its secret (path/97164). */
export function findAgencyApp(world: World, corp: Corp, secret: string): CorpApp | undefined {
  const suites = [...world.suites.values()].filter(isAgency)
  const installs = suites.map(({ installs }) => installs.get(corp.config.corp_id))
  return installs.find((one) => one?.authorized === true && one.permanentCode === secret)?.app
}
