import type { ErrorClass } from '../wechat/error-codes.ts'
import type { CallOutcome } from '../wechat/platform-client.ts'

/** What a code means, for the account that was called for. */
type ClassOf = (errcode: number) => ErrorClass

/**
 * Whether the platform, or something before it, says that the calls come too fast: 45011, in WeCom
 * 45009, or HTTP 429. Fewer a second help.
 */
export function isTooMuch(call: CallOutcome, classOf: ClassOf): boolean {
  if (call.kind === 'answer') return call.errcode !== 0 && classOf(call.errcode) === 'rate_minute'
  return call.reason === 'http_429'
}

/** Whether the platform was busy (−1 and its kin). Fewer at once help. */
export function isTransient(call: CallOutcome, classOf: ClassOf): boolean {
  return call.kind === 'answer' && call.errcode !== 0 && classOf(call.errcode) === 'transient'
}
