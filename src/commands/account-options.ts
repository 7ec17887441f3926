import type { SettingsInput } from '../accounts/account-input.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import type { Arguments, CommandOption } from './command.ts'
import type { Say } from './words.ts'

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
  'keep-templates-on-unfollow': {
    type: 'flag',
    help: {
      en: 'A follower’s template rights survive an unfollow.',
      zh: '取消关注后仍保留模板订阅授权。',
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
      en: 'A template whose acceptance is a standing right; an empty one clears the list.',
      zh: '长期订阅模板 ID；空值清空列表。',
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
} as const satisfies Record<string, CommandOption>

/** The settings as typed. */
export function settingsInput(args: Arguments): SettingsInput {
  return {
    freshness: args.text('freshness'),
    tokenKind: args.text('token-kind'),
    keepTemplatesOnUnfollow: args.flag('keep-templates-on-unfollow') || undefined,
    keepDataOnCancellation: args.flag('keep-data-on-cancellation') || undefined,
    longTermTemplates: args.texts('long-term-template'),
    optOutKeywords: args.texts('opt-out-keyword'),
  }
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
    mode: account.mode,
    settings: account.settings,
    secrets: Object.fromEntries(account.secrets.map((name) => [name, 'configured'])),
    created_at: account.createdAt.toISOString(),
    updated_at: account.updatedAt.toISOString(),
    disabled_at: account.disabledAt?.toISOString() ?? null,
    warnings: accountWarnings(account, say),
  }
}

/** Where the platform posts an account's pushes; only the path when nobody said our address. */
export function callbackUrl(publicBaseUrl: string | null, name: string): string {
  return `${publicBaseUrl ?? ''}/callbacks/${name}`
}

/** The same for a person, with what to do where it is not the whole address. */
export function callbackLine(publicBaseUrl: string | null, name: string, say: Say): string {
  const url = callbackUrl(publicBaseUrl, name)
  return publicBaseUrl === null ? say('callback_hint', { url }) : url
}
