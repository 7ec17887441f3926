import { InvalidInputError, type Fault } from '../foundation/errors.ts'
import {
  ACCOUNT_KINDS,
  BODY_FORMATS,
  CALLBACK_MODES,
  CORP_TOKEN_CHOICES,
  TOKEN_KINDS,
} from './account.ts'
import { KIND_RULES } from './account-kinds.ts'

/**
 * The rules for what an operator types about an account, in the words a person sees. `code` is
 * stable; the sentences may change.
 */

type Values = Readonly<Record<string, string | number>>
type Sentence = (values: Values) => string

/** A fault whose rule can be shown in either language of the command line. */
export interface SpokenFault extends Fault {
  readonly code: RuleCode
  readonly ruleZh: string
}

/** The kinds that an operator may add. */
export const KINDS_TO_ADD = ACCOUNT_KINDS.filter((kind) => KIND_RULES[kind].madeBy === 'operator')

const KINDS = KINDS_TO_ADD.join(', ')

export const ACCOUNT_RULES = {
  missing: {
    en: () => 'is required',
    zh: () => '必须填写',
  },
  bad_name: {
    en: () =>
      'must begin with a lower-case letter or digit and hold only lower-case letters, digits, - and _, at most 63 characters',
    zh: () => '必须以小写字母或数字开头，只能包含小写字母、数字、- 和 _，最多 63 个字符',
  },
  unknown_kind: {
    en: ({ kind }) => `must be one of: ${KINDS}; not ${JSON.stringify(kind)}`,
    zh: ({ kind }) => `必须是以下之一：${KINDS}；现在是 ${JSON.stringify(kind)}`,
  },
  made_by_gateway: {
    en: ({ kind, parent }) =>
      `${kind} accounts are made by the gateway, when somebody authorises a ${parent}; add the ${parent}, and they appear by themselves`,
    zh: ({ kind, parent }) =>
      `${kind} 帐号由网关在对方授权 ${parent} 后自动创建；请添加 ${parent}，无需手动添加`,
  },
  not_for_kind: {
    en: ({ kind }) => `does not belong to a ${kind}; leave it out`,
    zh: ({ kind }) => `不适用于 ${kind}，请去掉`,
  },
  mode_not_for_kind: {
    en: ({ kind, modes }) => `must be ${modes} for a ${kind}: the platform always encrypts`,
    zh: ({ kind, modes }) => `${kind} 只能是 ${modes}：平台始终加密`,
  },
  format_not_for_kind: {
    en: ({ kind, formats }) => `must be ${formats} for a ${kind}`,
    zh: ({ kind, formats }) => `${kind} 只能是 ${formats}`,
  },
  rotate_parent: {
    en: ({ kind }) =>
      `is not the ${kind}’s own: pushes come under the Token and key of what it has authorised; rotate those`,
    zh: ({ kind }) => `不属于该 ${kind}：推送使用其授权的第三方的令牌和密钥，请在那里更换`,
  },
  white_space: {
    en: () => 'must not hold white space; a space or line break was probably copied with it',
    zh: () => '不能包含空白字符，可能是复制时带上了空格或换行',
  },
  too_long: {
    en: ({ most }) => `must have at most ${most} characters`,
    zh: ({ most }) => `最多 ${most} 个字符`,
  },
  bad_original_id: {
    en: () =>
      'must begin with gh_ and hold only letters, digits, - and _: it is the 原始 ID on the account’s settings page, not the app id or the WeChat name',
    zh: () =>
      '必须以 gh_ 开头，只含字母、数字、- 和 _：即帐号详情页的“原始 ID”，不是 AppID，也不是微信号',
  },
  unknown_mode: {
    en: ({ mode }) =>
      `must be one of: ${CALLBACK_MODES.join(', ')} (安全模式, 兼容模式, 明文模式, as set on the platform’s page), not ${JSON.stringify(mode)}`,
    zh: ({ mode }) =>
      `必须是 safe（安全模式）、compatible（兼容模式）、plain（明文模式）之一，并与平台页面的设置一致；现在是 ${JSON.stringify(mode)}`,
  },
  bad_token: {
    en: ({ length }) =>
      `must be 3 to 32 letters and digits, as typed on the platform’s page; ${length} characters arrived`,
    zh: ({ length }) =>
      `必须是 3 到 32 位字母或数字，与平台页面填写的一致；现在是 ${length} 个字符`,
  },
  bad_wecom_token: {
    en: ({ length }) =>
      `must be 1 to 32 letters and digits, as typed on the platform’s page; ${length} characters arrived`,
    zh: ({ length }) =>
      `必须是 1 到 32 位字母或数字，与管理后台填写的一致；现在是 ${length} 个字符`,
  },
  bad_agent_id: {
    en: () => 'must be the number that the application’s page shows as AgentId',
    zh: () => '必须是应用详情页的 AgentId（数字）',
  },
  unknown_format: {
    en: ({ format }) =>
      `must be one of: ${BODY_FORMATS.join(', ')} (数据格式, as set on the platform’s page), not ${JSON.stringify(format)}`,
    zh: ({ format }) =>
      `必须是以下之一：${BODY_FORMATS.join('、')}，并与平台页面的“数据格式”一致；现在是 ${JSON.stringify(format)}`,
  },
  bad_aes_key: {
    en: ({ length }) =>
      `must be exactly 43 letters and digits (EncodingAESKey); ${length} characters arrived`,
    zh: ({ length }) =>
      `必须正好是 43 位字母和数字（EncodingAESKey，消息加解密密钥）；现在是 ${length} 个字符`,
  },
  aes_key_needed: {
    en: ({ mode }) => `is required in ${mode} mode; only plain mode does without`,
    zh: ({ mode }) => `${mode} 模式下必须填写；只有 plain（明文模式）不需要`,
  },
  bad_freshness: {
    en: () => 'must be a whole number of seconds from 0 to 86400; 0 switches the check off',
    zh: () => '必须是 0 到 86400 之间的整数秒；0 表示不检查',
  },
  bad_pace: {
    en: () => 'must be a whole number of messages a second from 0 to 10000; 0 sets no limit',
    zh: () => '必须是每秒消息条数，0 到 10000 之间的整数；0 表示不限速',
  },
  bad_quiet_hours: {
    en: () => 'must be two times of day in China, such as 22:00-08:00, or off',
    zh: () => '必须是两个中国时间的时刻，例如 22:00-08:00，或 off（关闭）',
  },
  endless_quiet_hours: {
    en: () =>
      'must begin and end at different times: the same ones could mean always or never; off ends them',
    zh: () => '开始和结束时间不能相同：相同时间既可理解为全天，也可理解为没有；用 off 关闭',
  },
  bad_count: {
    en: ({ most }) => `must be a whole number of messages from 0 to ${most}; 0 takes it away`,
    zh: ({ most }) => `必须是 0 到 ${most} 之间的整数条数；0 表示取消`,
  },
  unknown_channel: {
    en: ({ channels }) => `must name one of the channels: ${channels}`,
    zh: ({ channels }) => `必须是以下通道之一：${channels}`,
  },
  bad_margin: {
    en: () => 'must be a whole percentage from 0 to 50 of the daily quota',
    zh: () => '必须是 0 到 50 之间的整数百分比（占当日额度）',
  },
  bad_welcome_message: {
    en: () => 'must be a JSON object: the body of send_welcome_msg without welcome_code',
    zh: () => '必须是 JSON 对象：send_welcome_msg 的请求体，不含 welcome_code',
  },
  bad_reply_deadline: {
    en: () =>
      'must be a whole number of milliseconds from 100 to 3500; the platform waits for 5000',
    zh: () => '必须是 100 到 3500 之间的整数毫秒；平台最多等待 5000 毫秒',
  },
  unknown_token_kind: {
    en: ({ kind }) => `must be one of: ${TOKEN_KINDS.join(', ')}, not ${JSON.stringify(kind)}`,
    zh: ({ kind }) => `必须是以下之一：${TOKEN_KINDS.join('、')}；现在是 ${JSON.stringify(kind)}`,
  },
  unknown_corp_token: {
    en: ({ kind }) =>
      `must be one of: ${CORP_TOKEN_CHOICES.join(', ')}, not ${JSON.stringify(kind)}`,
    zh: ({ kind }) =>
      `必须是以下之一：${CORP_TOKEN_CHOICES.join('、')}；现在是 ${JSON.stringify(kind)}`,
  },
  bad_template_id: {
    en: () => 'must be a template id as the platform shows it, without white space',
    zh: () => '必须是平台显示的模板 ID，不含空白字符',
  },
  bad_keyword: {
    en: () => 'must have 1 to 64 characters beside white space',
    zh: () => '去掉首尾空白后必须有 1 到 64 个字符',
  },
  pair_lost: {
    en: () =>
      'is required here: the Token and EncodingAESKey of now do not open under WCG_MASTER_KEY, so give both anew',
    zh: () =>
      '此时必须填写：当前的令牌和 EncodingAESKey 无法用 WCG_MASTER_KEY 解开，请同时提供新的两项',
  },
  nothing_to_rotate: {
    en: () =>
      'give at least one of --token, --aes-key, --secret, --provider-secret or --drop-previous',
    zh: () => '至少提供 --token、--aes-key、--secret、--provider-secret、--drop-previous 之一',
  },
} as const satisfies Record<string, { en: Sentence; zh: Sentence }>

export type RuleCode = keyof typeof ACCOUNT_RULES

/** One fault: the field as typed, and the rule in both languages. */
export function spokenFault(field: string, code: RuleCode, values: Values = {}): SpokenFault {
  const rule: { en: Sentence; zh: Sentence } = ACCOUNT_RULES[code]
  return { field, code, rule: rule.en(values), ruleZh: rule.zh(values) }
}

/** What an input became: the value, or every fault of it. */
export type Reading<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly faults: readonly SpokenFault[] }

/** The value of a reading. @throws InvalidInputError `bad_account` with every fault. */
export function valueOf<Value>(reading: Reading<Value>): Value {
  if (reading.ok) return reading.value
  throw new InvalidInputError('bad_account', reading.faults)
}

/** @throws InvalidInputError `bad_account` with every fault, if there is one. */
export function refuseFaults(faults: readonly SpokenFault[]): void {
  if (faults.length > 0) throw new InvalidInputError('bad_account', faults)
}
