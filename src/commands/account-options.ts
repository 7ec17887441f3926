import { z } from 'zod'
import type { AccountSettings } from '../accounts/account.ts'
import type { SettingsInput } from '../accounts/account-input.ts'
import { KIND_RULES, type IdOption } from '../accounts/account-kinds.ts'
import { refuseFaults, spokenFault } from '../accounts/account-rules.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import { readInput } from '../messages/input-faults.ts'
import { CHANNEL_NAMES } from '../wechat/channels.ts'
import { ownWelcomeContent } from '../wechat/wecom-content.ts'
import type { CommandContext, CommandOption } from './command.ts'
import { readTyped } from './typed-secret.ts'
import type { Say, WordKey } from './words.ts'

/** The options of an account's settings, shared by `account add` and `account set`. */
export const SETTING_OPTIONS = {
  freshness: {
    type: 'text',
    value: 'seconds',
    help: {
      en: 'How old or early a push’s timestamp may be; 600 by default, 0 switches the check off.',
      zh: '推送时间戳允许的偏差（秒），默认 600，0 表示不检查。',
    },
  },
  'token-kind': {
    type: 'text',
    value: 'stable|classic',
    help: {
      en: 'Which token endpoint to use; stable by default.',
      zh: '使用哪种 access_token 接口，默认 stable（稳定版）。',
    },
  },
  'corp-token-from': {
    type: 'text',
    value: 'auto|gettoken|get_corp_token',
    help: {
      en: 'Of a wecom_suite: where its corps’ tokens come from; auto by default: gettoken for a suite id that begins with dk, get_corp_token for others.',
      zh: 'wecom_suite：授权企业的 access_token 从哪个接口获取；默认 auto，dk 开头的代开发模板用 gettoken，其余用 get_corp_token。',
    },
  },
  'keep-templates-on-unfollow': {
    type: 'flag',
    help: {
      en: 'A follower’s template rights survive an unfollow.',
      zh: '取消关注后仍保留模板订阅授权。',
    },
  },
  'erase-on-unfollow': {
    type: 'flag',
    help: {
      en: 'An unfollow also erases the person; the proof that they had agreed goes with it.',
      zh: '取消关注即删除该用户的数据；其曾经同意的证据也一并删除。',
    },
  },
  'keep-data-on-cancellation': {
    type: 'flag',
    help: {
      en: 'A person who cancels the account at WeChat is stopped, but not erased.',
      zh: '用户注销微信帐号时只停止发送，不删除其数据。',
    },
  },
  'long-term-template': {
    type: 'text',
    value: 'id',
    multiple: true,
    help: {
      en: 'A template whose acceptance is a standing right, beside those that the platform lists as such; an empty one clears the list.',
      zh: '长期订阅模板 ID（平台模板列表中标为长期订阅的自动生效，无需填写）；空值清空列表。',
    },
  },
  'opt-out-keyword': {
    type: 'text',
    value: 'word',
    multiple: true,
    help: {
      en: 'A message of this word stops everything; in place of 退订 and TD. An empty one: no word does.',
      zh: '用户发送此词即停止一切发送；替换默认的“退订”和“TD”，空值表示不用关键词。',
    },
  },
  'quota-margin': {
    type: 'text',
    value: 'percent',
    help: {
      en: 'How much of a daily quota stays untouched before a channel rests; 2 by default.',
      zh: '当日额度预留百分比，达到后通道暂停，默认 2。',
    },
  },
  'welcome-message': {
    type: 'text',
    value: 'json|@file',
    help: {
      en: 'What new customers are welcomed with: the body of send_welcome_msg without its code; an empty one: nothing.',
      zh: '自动欢迎语：send_welcome_msg 的请求体（不含 welcome_code）；空值表示不自动发送。',
    },
  },
  'archive-account': {
    type: 'text',
    value: 'name',
    help: {
      en: 'The account with the Secret of the chat archive, to ask who agrees to it; an empty one: none.',
      zh: '持有会话内容存档 Secret 的帐号，用于查询客户是否同意存档；空值表示不查询。',
    },
  },
  'sends-per-second': {
    type: 'text',
    value: 'number|channel=number',
    multiple: true,
    help: {
      en: 'How many messages a second all processes together send for it, or through one channel of it; 0 by default: no limit.',
      zh: '所有进程合计每秒发送的消息条数，可按通道单独设置；默认 0，不限速。',
    },
  },
  'quiet-hours': {
    type: 'text',
    value: 'from-to|off',
    help: {
      en: 'When no marketing is sent, by the clock in China: 22:00-08:00. It waits until they end.',
      zh: '免打扰时段（中国时间），例如 22:00-08:00：营销消息等到时段结束再发，其他消息不受影响；off 关闭。',
    },
  },
  'marketing-per-person-per-day': {
    type: 'text',
    value: 'number',
    help: {
      en: 'The most marketing messages a person gets on one day in China; 0 by default: no limit.',
      zh: '每人每天（中国时间）最多收到的营销消息条数；默认 0，不限制。',
    },
  },
  'recipient-per-minute': {
    type: 'text',
    value: 'channel=number',
    multiple: true,
    help: {
      en: 'Messages a minute to one recipient through a channel, in place of its usual number; 0: that one again.',
      zh: '某通道每分钟发给同一接收人的消息条数，替换该通道的默认值；0 恢复默认值。',
    },
  },
  'reply-deadline': {
    type: 'text',
    value: 'ms',
    help: {
      en: 'How long an application has for the reply to a push; 2000 milliseconds by default.',
      zh: '业务应用给出被动回复的时限（毫秒），默认 2000。',
    },
  },
  'templates-strict': {
    type: 'flag',
    help: {
      en: 'Refuse sends by templates that wcg templates list does not show.',
      zh: '拒绝使用 wcg templates list 中没有的模板。',
    },
  },
  'empty-receive-id': {
    type: 'flag',
    help: {
      en: 'A wecom_suite of an individual developer: its pushes are sealed without a receive id.',
      zh: '个人主体第三方应用 (wecom_suite)：推送密文不带 ReceiveId。',
    },
  },
} as const satisfies Record<string, CommandOption>

/** The settings as typed. */
export async function settingsInput(
  context: Pick<CommandContext, 'args' | 'readFile'>,
): Promise<SettingsInput> {
  const { args } = context
  const welcomeMessage = await readTyped(context, 'welcome-message')
  const paces = args.texts('sends-per-second')
  return {
    welcomeMessage,
    archiveAccount: args.text('archive-account'),
    freshness: args.text('freshness'),
    tokenKind: args.text('token-kind'),
    corpTokenFrom: args.text('corp-token-from'),
    keepTemplatesOnUnfollow: args.flag('keep-templates-on-unfollow') || undefined,
    keepDataOnCancellation: args.flag('keep-data-on-cancellation') || undefined,
    eraseOnUnfollow: args.flag('erase-on-unfollow') || undefined,
    longTermTemplates: args.texts('long-term-template'),
    optOutKeywords: args.texts('opt-out-keyword'),
    quotaMargin: args.text('quota-margin'),
    sendsPerSecond: paces?.findLast((text) => !text.includes('=')),
    channelSendsPerSecond: paces?.filter((text) => text.includes('=')),
    quietHours: args.text('quiet-hours'),
    marketingPerPersonPerDay: args.text('marketing-per-person-per-day'),
    recipientPerMinute: args.texts('recipient-per-minute'),
    replyDeadline: args.text('reply-deadline'),
    templatesStrict: args.flag('templates-strict') || undefined,
    emptyReceiveId: args.flag('empty-receive-id') || undefined,
  }
}

/**
 * Refuses a welcome that the channel could not send.
 *
 * @throws InvalidInputError `bad_account`
 */
export function refuseBadWelcome({ welcome_message }: Partial<AccountSettings>): void {
  if (!welcome_message) return
  const schema = z.object({ welcome_message: ownWelcomeContent })
  readInput(schema, { welcome_message }, 'bad_account')
}

/**
 * Refuses a pace of a channel that there is none of: nobody would notice that it holds nowhere.
 *
 * @throws InvalidInputError `bad_account`
 */
export function refuseUnknownChannels(settings: Partial<AccountSettings>): void {
  const named = [
    ['--sends-per-second', settings.sends_per_second_by_channel],
    ['--recipient-per-minute', settings.recipient_per_minute],
  ] as const
  const known: readonly string[] = CHANNEL_NAMES
  const misnamed = named.filter(([, byChannel]) => {
    return Object.keys(byChannel ?? {}).some((name) => !known.includes(name))
  })
  const channels = CHANNEL_NAMES.join(', ')
  refuseFaults(misnamed.map(([option]) => spokenFault(option, 'unknown_channel', { channels })))
}

/** The forms that ids have, as far as every one seen has them; a SuiteID has more than one. */
const ID_FORMS: Readonly<Partial<Record<IdOption, RegExp>>> = {
  '--app-id': /^wx[0-9a-f]{16}$/,
  '--corp-id': /^w[wx][0-9a-zA-Z]{16}$/,
}

/** An id of another form than its like is probably mistyped; the platform will tell. */
export function idWarnings(
  { name, kind, appId }: Pick<AccountOverview, 'name' | 'kind' | 'appId'>,
  say: Say,
): string[] {
  const { idOption } = KIND_RULES[kind]
  if (ID_FORMS[idOption]?.test(appId) !== false) return []
  return [say('odd_id', { option: idOption, id: appId, name })]
}

/** What is unsafe about an account as it is set up; none is the normal case. */
export function accountWarnings(
  account: Pick<AccountOverview, 'name' | 'mode' | 'settings'>,
  say: Say,
): string[] {
  return [
    ...(account.mode === 'plain' ? [say('plain_mode', { name: account.name })] : []),
    ...(account.settings.freshness_seconds === 0
      ? [say('freshness_off', { name: account.name })]
      : []),
    ...(account.settings.empty_receive_id ? [say('receive_id_off', { name: account.name })] : []),
  ]
}

/** An account for `--json`: the columns' names, and no secret. */
export function accountAnswer(account: AccountOverview, say: Say) {
  return {
    id: account.id,
    name: account.name,
    kind: account.kind,
    app_id: account.appId,
    original_id: account.originalId,
    agent_id: account.agentId,
    provider_corp_id: account.providerCorpId,
    parent: account.parent,
    serves: account.serves,
    mode: account.mode,
    body_format: account.bodyFormat,
    settings: account.settings,
    secrets: Object.fromEntries(account.secrets.map((name) => [name, 'configured'])),
    created_at: account.createdAt.toISOString(),
    updated_at: account.updatedAt.toISOString(),
    disabled_at: account.disabledAt?.toISOString() ?? null,
    warnings: accountWarnings(account, say),
  }
}

const ID_WORDS = {
  '--app-id': 'app_id',
  '--corp-id': 'corp_id',
  '--suite-id': 'suite_id',
} as const satisfies Record<IdOption, WordKey>

/** The ids of an account for a person; those that its kind does not have are left out. */
export function identityRows(account: AccountOverview, say: Say): string[][] {
  const rows: [string, string | null][] = [
    [say(ID_WORDS[KIND_RULES[account.kind].idOption]), account.appId],
    [say('original_id'), account.originalId],
    [say('agent_id'), account.agentId],
    [say('provider_corp_id'), account.providerCorpId],
    [say('parent'), account.parent],
    [say('serves'), account.serves],
  ]
  return rows.flatMap(([word, value]) => (value === null ? [] : [[word, value]]))
}

/** Whose addresses they are: of an account that has authorised another one, that one's. */
type Addressed = Pick<AccountOverview, 'name' | 'kind' | 'appId' | 'parent'>

interface Address {
  /** What the platform's page calls it. */
  readonly what:
    | 'callback_address'
    | 'authorisation_address'
    | 'message_address'
    | 'instruct_address'
    | 'data_address'
  readonly path: string
}

/**
 * Where the platform posts an account's pushes, as the paths to enter on its page. `$APPID$` and
 * `$CORPID$` are for the platform to replace.
 */
function addressesOf({ name, kind, appId, parent }: Addressed): readonly [Address, ...Address[]] {
  if (parent !== null) {
    return [{ what: 'callback_address', path: `/callbacks/${parent}/${appId}` }]
  }
  const path = `/callbacks/${name}`
  const { tenants } = KIND_RULES[kind]
  if (!tenants) return [{ what: 'callback_address', path }]
  const below = `${path}/${tenants.placeholder}`
  return kind === 'component'
    ? [
        { what: 'authorisation_address', path },
        { what: 'message_address', path: below },
      ]
    : [
        { what: 'instruct_address', path },
        { what: 'data_address', path: below },
      ]
}

/** The addresses for `--json`; only paths when nobody said our own. */
export function addressAnswer(publicBaseUrl: string | null, account: Addressed) {
  const [first, second] = addressesOf(account).map(({ path }) => `${publicBaseUrl ?? ''}${path}`)
  return { callback_url: first, ...(second !== undefined && { tenant_callback_url: second }) }
}

/** The same for a person, with what to do where it is not the whole address. */
export function addressLines(
  publicBaseUrl: string | null,
  account: Addressed,
  say: Say,
): readonly { readonly what: string; readonly url: string }[] {
  return addressesOf(account).map(({ what, path }) => ({
    what: say(what),
    url: publicBaseUrl === null ? say('callback_hint', { url: path }) : `${publicBaseUrl}${path}`,
  }))
}
