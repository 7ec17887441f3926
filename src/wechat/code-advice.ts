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

/**
 * What to do about the codes that operators meet, in Chinese, by `platform:code`. The table has the
 * same in English; a code without a line here has the words of its class.
 */
export const ADVICE_ZH: Readonly<Record<string, string>> = {
  'any:-1': '稍后重试，最多三次；网关会自动重试',
  'oa:40001':
    'token 无效或不是最新：网关会换新并重试一次；若由获取 token 的接口返回，则是 AppSecret 错误，请重新登记',
  'oa:40003': '检查 openid 是否属于该帐号；不要重试',
  'oa:40013': '检查 appid 的大小写和多余字符',
  'oa:40014': '网关会换取新的 token 并重试一次',
  'oa:40037': '该帐号没有此模板或模板已删除：停用该模板并检查 template_id',
  'oa:40125': 'AppSecret 错误或已重置：登记当前的 AppSecret',
  'oa:40132':
    '产品规则：视为已拒收，不再发送；平台的说法是微信号不合法，两者都无法送达。用户重新关注后恢复',
  'oa:40164': '在平台页面把出口 IP 加入白名单，约十分钟后生效',
  'oa:40243': '在平台页面解冻 AppSecret，最长十分钟生效',
  'oa:40249': '内容被判为违规或营销：停用该模板并检查文案',
  'oa:42001': '网关会换取新的 token 并重试一次',
  'oa:43004': '产品规则：视为已拒收，不再发送；用户未关注该帐号，重新关注后恢复',
  'oa:43101': '用户拒收该模板，或订阅次数已用完：重新征得同意后再发',
  'oa:43116': '该模板已被封禁：换用其他模板',
  'oa:43117': '对同一用户发送过于频繁：稍后再发',
  'oa:45009': '当日调用额度已用完：等到北京时间 00:00，或在平台上清零（每月十次）',
  'oa:45011': '每分钟调用超限：下一分钟重试',
  'oa:45015': '超出客服消息时间窗口，或用户已取消关注：等用户下次互动',
  'oa:45047': '客服消息条数已用完：等用户下次发来消息',
  'oa:47003': '模板参数为空或不合规则：errmsg 会指出字段',
  'oa:48001': '帐号没有此接口权限：检查认证和接口权限；不是拒收',
  'oa:48002': '用户关闭了接收消息：视为已拒收',
  'oa:50005': '用户未关注该帐号：视为已拒收',
  'oa:61004': '把出口 IP 加入白名单',
  'mini:40037': '该小程序没有此模板：检查 template_id 和所用接口',
  'mini:41030': '页面路径须存在于已发布的版本中',
  'mini:43101': '没有剩余的订阅次数，或用户已取消订阅：请用户再次授权',
  'mini:43107': '订阅消息能力已被封禁：停止发送并处理平台处罚',
  'mini:43108': '对同一用户并发发送：逐条发送',
  'mini:47003': '字段为空或不合规则：errmsg 会指出 data 中的字段',
  'open:40001': '所用的 component 或 authorizer token 无效：网关会换取新的并重试一次',
  'open:40091': '使用最新的 component_verify_ticket，或调用 api_start_push_ticket',
  'open:40125': '检查 component_appsecret',
  'open:42006': '网关会换取新的 component_access_token 并重试一次',
  'open:61003': '该帐号未授权给此第三方平台：停止发送，请商家授权',
  'open:61004': '把出口 IP 加入第三方平台的白名单',
  'open:61005': 'ticket 已过期：等待下一次推送，或调用 api_start_push_ticket',
  'open:61006': 'ticket 无效：使用最新的一个',
  'open:61007': '商家没有把此权限集授权给第三方平台',
  'open:61023':
    'authorizer_refresh_token 无效：网关会从 api_get_authorizer_list 重新读取；仍无效则请商家重新授权',
  'wecom:40001': 'corpsecret 错误或应用已停用：登记正确的 Secret；换取新 token 无济于事',
  'wecom:40003': 'userid 无效：与通讯录核对',
  'wecom:40013': '检查 corpid',
  'wecom:40014': '网关会换取新的 token 并重试一次',
  'wecom:40056': '检查 agentid',
  'wecom:40080': '检查 suite_secret',
  'wecom:40082': '网关会换取新的 suite_access_token 并重试一次',
  'wecom:40083': '检查 suite_id；也可能是误用了 GET',
  'wecom:40084': '永久授权码无效或企业已取消授权：停止为该企业发送',
  'wecom:40085': '使用最新的 suite_ticket（有效期 30 分钟）',
  'wecom:40091': '该 Secret 属于另一个企业',
  'wecom:40132': '团队号不支持此操作；不是拒收',
  'wecom:41050': '欢迎语 code 无效，或已超过 20 秒；不要重试',
  'wecom:41051': '已开始聊天，或欢迎语已发送；不要重试',
  'wecom:41096': '另一个调用方正在发送欢迎语；可以重试',
  'wecom:42001': '网关会换取新的 token 并重试一次',
  'wecom:42009': '网关会换取新的 suite_access_token 并重试一次',
  'wecom:43004': '成员未绑定微信或未关注微信插件；不是拒收，请成员用微信登录企业微信',
  'wecom:43012': '交互型模板卡片需要先配置回调 URL',
  'wecom:45009':
    '调用频率超限：按所触发的窗口等待（一分钟、一小时或一天）；群机器人每分钟最多 20 条',
  'wecom:45033': '降低并发后重试',
  'wecom:48002': '该类应用不能调用此接口；不是拒收（公众号的 48002 才是）',
  'wecom:60011': '应用对该成员、部门或标签没有权限：扩大可见范围',
  'wecom:60020': '把出口 IP 加入企业可信 IP，约一分钟后生效',
  'wecom:81013': '全部接收者无效或不在可见范围内：与通讯录核对；不是拒收',
  'wecom:84061': '成员与该客户没有外部联系人关系：停止这一对的发送；不是拒收',
  'wecom:93000': '群机器人的 webhook 地址不正确，或机器人已被移出群：停用此 webhook，换用新的地址',
  'wecom:93004': '机器人已被停用',
  'wecom:93008': '机器人或成员不在群里',
  'wecom:95001': '48 小时内的 5 条已用完：等客户下次发来消息',
  'wecom:95002': '距客户上次发来消息已超过 48 小时：等客户下次发来消息',
  'wecom:95018': '当前会话状态不允许通过接口发送，或已超过 48 小时',
  'wecom:301002': 'token 属于另一个应用：检查 agentid 与 Secret 是否对应',
}
