import { isUnavailable, shutOutBy } from '../database/availability.ts'
import {
  AppError,
  ConfigError,
  describeError,
  InvalidInputError,
  type Fault,
} from '../foundation/errors.ts'
import { speakIn, type Language, type Spoken } from './words.ts'

/** A failure as a person or a script sees it. */
export interface Explanation {
  /** 2: the input or the settings must change; 1: anything else. */
  readonly exitCode: 1 | 2
  readonly code: string
  readonly message: string
  readonly faults: readonly Fault[]
  /** The whole, ready to print. */
  readonly text: string
}

/** What a failure means, in a person's language. Messages without a translation stay English. */
export function explainError(error: unknown, language: Language): Explanation {
  const say = speakIn(language)
  if (error instanceof ConfigError || error instanceof InvalidInputError) {
    return explainFaults(error, language)
  }
  const { code, message } = failureOf(error, language)
  return { exitCode: 1, code, message, faults: [], text: `${say('failed')}: ${message}` }
}

/** What we know ourselves goes before what a cause of it may be: HOST can be ENOTFOUND too. */
function failureOf(error: unknown, language: Language): Pick<Explanation, 'code' | 'message'> {
  const say = speakIn(language)
  if (error instanceof AppError) return { code: error.code, message: messageOf(error, language) }
  const message = describeError(error)
  switch (shutOutBy(error)) {
    case 'no_database':
      return { code: 'database_missing', message: say('database_missing') }
    case 'no_entry':
      return { code: 'database_refused', message: say('database_refused') }
    case undefined:
      return isUnavailable(error)
        ? { code: 'database_unavailable', message: say('database_unavailable', { message }) }
        : { code: 'unexpected', message: say('unexpected', { message }) }
  }
}

function explainFaults(error: ConfigError | InvalidInputError, language: Language): Explanation {
  const say = speakIn(language)
  const message = say(error instanceof ConfigError ? 'bad_settings' : 'bad_input')
  const faults = error.faults.map((fault) => ({
    field: fault.field,
    rule: ruleIn(fault, language),
  }))
  const lines = faults.map((fault) => `  ${fault.field}: ${fault.rule}`)
  return { exitCode: 2, code: error.code, message, faults, text: [message, ...lines].join('\n') }
}

/** The rule in the person's language, where the fault brings it along. */
function ruleIn(fault: Fault, language: Language): string {
  if (language !== 'zh') return fault.rule
  const spoken = 'ruleZh' in fault ? fault.ruleZh : RULES_ZH[fault.rule]
  return typeof spoken === 'string' ? spoken : fault.rule
}

/** Chinese for the rules that requests break most; the others stay English. */
const RULES_ZH: Readonly<Record<string, string>> = {
  'is required': '必须填写',
  'must be text': '必须是文本',
  'must be a number': '必须是数字',
  'must be a whole number': '必须是整数',
  'must be true or false': '必须是 true 或 false',
  'must be an object': '必须是 JSON 对象',
  'must be a list': '必须是列表',
}

/** Chinese for the failures that an operator meets; `{…}` are details of the error. */
const MESSAGES_ZH: Readonly<Record<string, string>> = {
  unknown_account: '没有名为 {name} 的帐号；用 wcg account list 查看',
  account_name_taken: 'NAME：帐号 {name} 已存在；请换一个名称，或用 wcg account set、rotate 修改它',
  account_app_id_taken: '--app-id：此 AppID 已由帐号 {name} 使用；同一平台帐号只能登记一次',
  account_not_found: '没有此帐号，或该应用无权使用；用 wcg account list 查看',
  broadcast_not_found: '没有此群发；用 wcg broadcast list 查看',
  broadcast_ended: '该群发已结束，不能再修改',
  message_not_found: '没有此消息',
  token_unavailable: '该帐号目前没有 access_token；用 wcg account check 查看原因',
  no_provider_token: '该帐号没有服务商 provider_access_token；只有 wecom_suite 才有',
  endpoint_paused: '接收地址已暂停，不会投递；先用 wcg endpoint resume 恢复',
  endpoint_disabled: '接收地址已停用，不会投递',
  not_cancellable: '消息已不能取消',
  unknown_application: '没有名为 {name} 的应用；用 wcg app list 查看',
  signing_secret_missing: '{name} 还没有签名密钥；用 wcg app rotate {name} 生成并显示',
  endpoint_not_found: '没有此接收地址；用 wcg endpoint list 查看',
  endpoint_exists: '此用途只能有一个接收地址，且已登记；请用 wcg endpoint list 查看后修改或删除',
  application_name_taken: 'NAME：应用 {name} 已存在（可能已吊销）；请换一个名称',
  unknown_master_key:
    'WCG_MASTER_KEY 中没有加密这些数据的主密钥；请把它加在当前主密钥之后，以逗号分隔',
  broken_seal: '密文无法解开：它被改动或移动过',
  quota_not_in_wecom: '企业微信没有额度查询与清零接口；其限制按分钟和小时计算，超限返回 45009',
  quota_refused: '平台返回 {errcode} {errmsg}；wcg explain {errcode} 有说明',
  quota_failed: '平台没有返回可用的结果：{reason}',
  template_alias_not_found: '该帐号没有此别名；用 wcg templates list 查看',
  drill_needs_stable:
    '只有 token_kind 为 stable 的帐号可以强制刷新：普通 token 被替换后仍会有效五分钟',
  data_directory_in_use: '另一个网关正在使用此数据目录；请先停止它，或设置 DATABASE_URL 共用数据库',
  database_newer: '数据库已由更新版本的网关迁移；请使用那个版本',
  migration_running: '另一个进程正在迁移数据库；请稍后再试',
}

function messageOf(error: AppError, language: Language): string {
  const translated = MESSAGES_ZH[error.code]
  if (error instanceof SpokenError) return error.words[language]
  if (language === 'en' || translated === undefined) return error.message
  return translated.replace(/\{([a-z_]+)\}/g, (_, name: string) => {
    const value = error.details?.[name]
    return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  })
}

/** A failure that a command found itself; it brings its words in both languages. */
export class SpokenError extends AppError {
  readonly words: Spoken

  constructor(code: string, words: Spoken, options: { cause?: unknown } = {}) {
    super(code, words.en, options)
    this.words = words
  }
}

/** Says one thing in both languages. */
export function inBoth(words: (say: ReturnType<typeof speakIn>) => string): Spoken {
  return { en: words(speakIn('en')), zh: words(speakIn('zh')) }
}
