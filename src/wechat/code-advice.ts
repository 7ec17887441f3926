import type { ErrorClass } from './error-codes.ts'

/** One thing said in both languages of the product. */
export interface Bilingual {
  readonly en: string
  readonly zh: string
}

/** What the gateway does about each class; `docs/errors.md` says the same at more length. */
export const CLASS_WORDS: Readonly<Record<ErrorClass, Bilingual>> = {
  ok: { en: 'success; the message counts as sent', zh: '成功；消息记为已发送' },
  token: {
    en: 'the token is dead; the gateway gets another one and calls once more',
    zh: 'token 已失效；网关会换取新的 token 并重试一次',
  },
  opt_out: {
    en: 'the person has opted out; a revocation goes into the consent ledger, and the call is never repeated',
    zh: '用户已拒收；撤回会写入同意台账，不再重试',
  },
  window_closed: {
    en: "the time or the count for this conversation is over; it opens again with the person's next act",
    zh: '会话窗口已关闭（超时或次数用尽）；用户再次互动后才会重新打开',
  },
  invalid_recipient: {
    en: 'it cannot be delivered to this recipient, but nobody refused; the consent is suppressed until newer evidence',
    zh: '无法送达此接收者，但并非用户拒收；同意暂停使用，直到有新的证据',
  },
  template: {
    en: 'the template must be mended; the message fails',
    zh: '模板有问题，需要修正；消息失败',
  },
  content: {
    en: 'the content must be mended; the message fails',
    zh: '消息内容有问题，需要修正；消息失败',
  },
  quota_daily: {
    en: "the day's quota is used up; the channel rests until 00:00 China time",
    zh: '当日额度已用完；该通道暂停到北京时间 00:00',
  },
  rate_minute: {
    en: 'too many calls; the gateway calls again in the next minute',
    zh: '调用过于频繁；网关会在下一分钟重试',
  },
  ip_whitelist: {
    en: 'our address is not on the whitelist; somebody must add it',
    zh: '本机出口 IP 不在白名单；需要有人在平台上添加',
  },
  permission: {
    en: 'the account may not do this; the message fails',
    zh: '该帐号没有此接口或对象的权限；消息失败',
  },
  config: {
    en: 'a setting of the account is wrong; somebody must mend it',
    zh: '帐号配置有误，需要有人修正',
  },
  transient: {
    en: 'the platform is busy; the gateway calls again after about 1, 2 and 4 seconds',
    zh: '平台繁忙；网关会在约 1、2、4 秒后重试',
  },
  duplicate: {
    en: 'the platform has this message already; it counts as sent',
    zh: '平台已有这条消息；记为已发送',
  },
  blocked_account: {
    en: 'the platform has stopped the account; its channels rest for an hour',
    zh: '帐号被平台限制；其通道暂停一小时',
  },
  other: {
    en: 'the message fails; the platform’s words say why',
    zh: '消息失败；原因见平台返回的文字',
  },
}

/** When the gateway makes a call again after an answer; `never`: somebody has to act first. */
export const RETRIES = [
  'never',
  'with_new_token',
  'after_pause',
  'next_minute',
  'next_day',
] as const
export type Retry = (typeof RETRIES)[number]

/** Whether a call is made again, by class. `dispatch/outcome.ts` does it; a test compares them. */
export const CLASS_RETRIES: Readonly<Record<ErrorClass, Retry>> = {
  ok: 'never',
  token: 'with_new_token',
  opt_out: 'never',
  window_closed: 'never',
  invalid_recipient: 'never',
  template: 'never',
  content: 'never',
  quota_daily: 'next_day',
  rate_minute: 'next_minute',
  ip_whitelist: 'never',
  permission: 'never',
  config: 'never',
  transient: 'after_pause',
  duplicate: 'never',
  blocked_account: 'never',
  other: 'never',
}
