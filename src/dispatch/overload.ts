import type { ErrorClass } from '../wechat/error-codes.ts'
import type { CallOutcome } from '../wechat/platform-client.ts'
import type { CodeSpace } from '../wechat/served-account.ts'

/** Whose answer it is, and what a code means for the account that was called for. */
interface Reader {
  readonly space: CodeSpace
  readonly classOf: (errcode: number) => ErrorClass
}

/** “api minute-quota reach limit” */
const WECHAT_MINUTE_LIMIT = 45011
/** “api freq out of limit” */
const WECOM_MINUTE_LIMIT = 45009
/** “concurrent call limit” */
const WECOM_CONCURRENCY_LIMIT = 45033

/**
 * Whether a code of class `rate_minute` is about the account's calls of an API. All others of that
 * class (43117, 43108 …) are about one person or one message and say nothing about the next.
 */
export function isMinuteLimit(space: CodeSpace, errcode: number): boolean {
  return errcode === (space === 'wecom' ? WECOM_MINUTE_LIMIT : WECHAT_MINUTE_LIMIT)
}

/**
 * Whether the platform, or something before it, says that the calls come too fast: 45011, in WeCom
 * 45009, or HTTP 429. Fewer a second help.
 */
export function isTooMuch(call: CallOutcome, { space, classOf }: Reader): boolean {
  if (call.kind !== 'answer') return call.reason === 'http_429'
  return isMinuteLimit(space, call.errcode) && classOf(call.errcode) === 'rate_minute'
}

/** Whether the platform was busy (−1 and its kin), or the calls at once too many. Fewer at once help. */
export function isTransient(call: CallOutcome, { space, classOf }: Reader): boolean {
  if (call.kind !== 'answer' || call.errcode === 0) return false
  const errorClass = classOf(call.errcode)
  const isCrowd = space === 'wecom' && call.errcode === WECOM_CONCURRENCY_LIMIT
  return errorClass === 'transient' || (isCrowd && errorClass === 'rate_minute')
}
