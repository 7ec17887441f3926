import { randomBytes } from 'node:crypto'
import type { NewAccount } from '../accounts/account-input.ts'
import type { AccountKind } from '../accounts/account.ts'
import type { SandboxAccount } from '../sandbox/sandbox-account.ts'
import type { SandboxComponent, SandboxCorp, SandboxSuite } from '../sandbox/sandbox-owners.ts'
import { waitFor } from './demo-wait.ts'
import {
  lettersAndDigits,
  NOTICE_TEMPLATE,
  SUBSCRIPTION_TEMPLATE,
  type DemoWorld,
} from './demo-world.ts'

/** A message as the application asks for it. */
export interface KindSend {
  readonly to: string
  readonly channel: string
  readonly content: Readonly<Record<string, unknown>>
}

/** The story of one kind: somebody agrees, is written to, and takes it back. */
export interface Play {
  readonly kind: AccountKind
  /** Our name for the account, and the id by which the platform counts what it sends. */
  readonly account: string
  readonly ownerId: string
  /** Whose ledger holds the consent, of whom, for what. */
  readonly consent: { readonly account: string; readonly subject: string; readonly scope: string }
  readonly agree: () => Promise<unknown>
  readonly takeBack: () => Promise<unknown>
  /** Null for what sends by its tenants alone. */
  readonly send: KindSend | null
  /**
   * What the end does to the consent: it is taken back itself, it stays and the tenant's right to be
   * acted for is gone, or it is erased with everything of the account.
   */
  readonly end: 'taken_back' | 'tenant_gone' | 'erased'
}

const AGENT = '1000002'
/** In the corp that installs the suite. */
const SUITE_AGENT = '1000042'
const MEMBER = 'LiXiaoMing'
const TEXT = { msgtype: 'text', text: { content: '您的工单有了新的回复' } }

/** The accounts of the demo's other kinds, on both sides. */
interface Cast {
  /** Behind every name of ours, so that runs on one database do not meet. */
  readonly suffix: string
  readonly official: SandboxAccount
  readonly mini: SandboxAccount
  readonly merchant: SandboxAccount
  readonly component: SandboxComponent
  /** A corp with an application of its own, and one with customer service. */
  readonly staff: SandboxCorp
  readonly service: SandboxCorp
  readonly suite: SandboxSuite
  /** The corp that installs the suite. */
  readonly client: SandboxCorp
  readonly kf: string
}

/** Registers one account of each kind; the tenants come when their owners agree. */
export async function castKinds(world: DemoWorld): Promise<readonly Play[]> {
  const cast = await connectKinds(world)
  return [...peopleOfWeChat(cast), ...peopleOfWeCom(cast), ...(await tenants(world, cast))]
}

async function connectKinds({ gateway, sandbox, gatewayUrl }: DemoWorld): Promise<Cast> {
  const suffix = randomBytes(3).toString('hex')
  const at = (name: string, tenant = '') => `${gatewayUrl}/callbacks/${name}-${suffix}${tenant}`
  const register = async (
    name: string,
    account: Pick<NewAccount, 'kind' | 'appId'> & Partial<NewAccount>,
  ) => {
    const pair = { token: lettersAndDigits(16), aes_key: lettersAndDigits(43) }
    const secret = randomBytes(16).toString('hex')
    await gateway.parts.accounts.add({
      ...{ name: `${name}-${suffix}`, mode: 'safe', settings: {}, secret },
      ...{ token: pair.token, aesKey: pair.aes_key },
      ...account,
    })
    return { ...pair, secret, callback_url: at(name) }
  }
  const ids = {
    official: { appId: weChatId(), originalId: originalId() },
    mini: { appId: weChatId(), originalId: originalId() },
    ...{ component: weChatId(), merchant: weChatId() },
    ...{ staff: weComId(), service: weComId(), client: weComId() },
    ...{ suite: weComId(), provider: weComId(), kf: `wk${lettersAndDigits(30)}` },
  }

  const official = sandbox.addAccount({
    ...(await register('kind-oa', { kind: 'official_account', ...ids.official })),
    ...{ app_id: ids.official.appId, original_id: ids.official.originalId },
  })
  const mini = sandbox.addAccount({
    ...(await register('kind-mini', { kind: 'mini_program', ...ids.mini, bodyFormat: 'json' })),
    ...{ app_id: ids.mini.appId, original_id: ids.mini.originalId },
    ...{ kind: 'mini_program', body_format: 'json' },
  })
  const component = sandbox.addComponent({
    ...(await register('kind-platform', { kind: 'component', appId: ids.component })),
    ...{ app_id: ids.component, message_url: at('kind-platform', '/$APPID$') },
  })
  const merchant = sandbox.addAccount({
    ...{ app_id: ids.merchant, original_id: originalId(), component_app_id: ids.component },
  })
  const staffApp = { kind: 'wecom_app', appId: ids.staff, agentId: AGENT } as const
  const staff = sandbox.addCorp({
    ...{ corp_id: ids.staff, members: [MEMBER] },
    apps: [{ ...(await register('kind-staff', staffApp)), agent_id: AGENT }],
  })
  const service = sandbox.addCorp({
    ...{ corp_id: ids.service, kf_accounts: [ids.kf] },
    kf: await register('kind-service', { kind: 'wecom_kf', appId: ids.service }),
  })
  const suite = sandbox.addSuite({
    ...(await register('kind-suite', {
      ...{ kind: 'wecom_suite', appId: ids.suite, providerCorpId: ids.provider },
    })),
    ...{ suite_id: ids.suite, provider_corp_id: ids.provider },
    data_url: at('kind-suite', '/$CORPID$'),
  })
  const client = sandbox.addCorp({ corp_id: ids.client, members: [MEMBER] })
  return { suffix, official, mini, component, merchant, staff, service, suite, client, kf: ids.kf }
}

function peopleOfWeChat({ suffix, official, mini }: Cast): Play[] {
  const [follower, user] = [official.newOpenid(), mini.newOpenid()]
  return [
    {
      kind: 'official_account',
      account: `kind-oa-${suffix}`,
      ownerId: official.appId,
      consent: { account: `kind-oa-${suffix}`, subject: follower, scope: 'follow' },
      agree: () => official.follow(follower),
      takeBack: () => official.unfollow(follower),
      end: 'taken_back',
      send: notice(follower),
    },
    {
      kind: 'mini_program',
      account: `kind-mini-${suffix}`,
      ownerId: mini.appId,
      consent: {
        ...{ account: `kind-mini-${suffix}`, subject: user },
        scope: `template:${SUBSCRIPTION_TEMPLATE}`,
      },
      agree: () => mini.accept(user, [SUBSCRIPTION_TEMPLATE]),
      takeBack: () => mini.switchOff(user, SUBSCRIPTION_TEMPLATE),
      end: 'taken_back',
      send: {
        to: user,
        channel: 'subscription_message',
        content: { template_id: SUBSCRIPTION_TEMPLATE, data: order() },
      },
    },
  ]
}

function peopleOfWeCom({ suffix, staff, service, kf }: Cast): Play[] {
  const customer = service.newExternalUserid()
  const member = { userid: MEMBER, agent_id: AGENT }
  const talk = { open_kfid: kf, external_userid: customer }
  return [
    {
      kind: 'wecom_app',
      account: `kind-staff-${suffix}`,
      ownerId: staff.corpId,
      consent: { account: `kind-staff-${suffix}`, subject: MEMBER, scope: 'member' },
      agree: () => staff.act('member_subscribe', member),
      takeBack: () => staff.act('member_unsubscribe', member),
      end: 'taken_back',
      send: { to: MEMBER, channel: 'wecom_app_message', content: TEXT },
    },
    {
      kind: 'wecom_kf',
      account: `kind-service-${suffix}`,
      ownerId: service.corpId,
      consent: { account: `kind-service-${suffix}`, subject: customer, scope: `kf:${kf}` },
      agree: () => service.act('kf_say', { ...talk, text: '你好' }),
      // What a customer refuses shows when the messages are fetched, and nowhere else.
      takeBack: () => service.act('kf_fail', { ...talk, msgid: 'earlier', fail_type: 10 }),
      end: 'taken_back',
      send: { to: customer, channel: 'wecom_kf_message', content: { open_kfid: kf, ...TEXT } },
    },
  ]
}

/** The tenants authorise first, and leave last: with them goes what they allowed. */
async function tenants({ gateway }: DemoWorld, cast: Cast): Promise<Play[]> {
  const { suffix, component, merchant, suite, client } = cast
  const [platform, isv] = [`kind-platform-${suffix}`, `kind-suite-${suffix}`]
  const { accounts } = gateway.parts
  const named = async (parent: string, appId: string) => {
    const all = await accounts.list()
    return all.find((one) => one.parent === parent && one.appId === appId)
  }
  const shop = { app_id: merchant.appId }
  const corp = { corp_id: client.corpId }
  await component.act('push_ticket')
  await component.act('authorize', shop)
  await suite.act('push_ticket')
  await suite.act('create_auth', { ...corp, agent_id: SUITE_AGENT })
  const authorizer = await waitFor('the merchant', () => named(platform, merchant.appId))
  const installed = await waitFor('the corp', async () => {
    const found = await named(isv, client.corpId)
    return found?.agentId ? found : null
  })
  const [person, follower] = [{ userid: MEMBER, agent_id: SUITE_AGENT }, merchant.newOpenid()]
  const nothing = () => Promise.resolve()
  return [
    {
      ...{ kind: 'component', account: platform, ownerId: component.appId, send: null },
      consent: { account: platform, subject: merchant.appId, scope: 'tenant' },
      agree: nothing,
      takeBack: () => component.act('unauthorize', shop),
      end: 'taken_back',
    },
    {
      ...{ kind: 'authorizer', account: authorizer.name, ownerId: merchant.appId },
      consent: { account: authorizer.name, subject: follower, scope: 'follow' },
      agree: () => merchant.follow(follower),
      takeBack: nothing,
      end: 'tenant_gone',
      send: notice(follower),
    },
    {
      ...{ kind: 'wecom_suite', account: isv, ownerId: suite.suiteId, send: null },
      consent: { account: isv, subject: client.corpId, scope: 'tenant' },
      agree: nothing,
      takeBack: () => suite.act('cancel_auth', corp),
      end: 'taken_back',
    },
    {
      ...{ kind: 'wecom_authorizer', account: installed.name, ownerId: client.corpId },
      consent: { account: installed.name, subject: MEMBER, scope: 'member' },
      agree: () => client.act('member_subscribe', person),
      takeBack: nothing,
      send: { to: MEMBER, channel: 'wecom_app_message', content: TEXT },
      end: 'erased',
    },
  ]
}

function notice(to: string): KindSend {
  const content = { template_id: NOTICE_TEMPLATE, data: order() }
  return { to, channel: 'template_message', content }
}

function order() {
  return { character_string1: { value: lettersAndDigits(16) } }
}

function weChatId(): string {
  return `wx${randomBytes(8).toString('hex')}`
}

function weComId(): string {
  return `ww${randomBytes(8).toString('hex')}`
}

function originalId(): string {
  return `gh_${randomBytes(6).toString('hex')}`
}
