import { lookUpErrorCode, type CodePlatform } from '../wechat/error-codes.ts'
import type { ApiFault } from './api-faults.ts'
import type { Pusher } from './pushes.ts'
import type { Randomness } from './randomness.ts'
import type { CallRecord } from './record.ts'
import { unixSeconds } from './movable-clock.ts'
import type { World } from './world.ts'

/** One call as an endpoint sees it. */
export interface ApiCall {
  readonly world: World
  readonly pusher: Pusher
  readonly query: URLSearchParams
  /** The JSON body; empty for GET. */
  readonly body: Fields
  readonly now: Date
  readonly remoteAddress: string
  /** Facts for the record; an endpoint adds what it learns. */
  readonly record: CallRecord
  readonly fault: ApiFault | undefined
}

export type Fields = Readonly<Record<string, unknown>>

/** What an endpoint answers; `fields` of a success stand as they are, `msgid` as a bare number. */
export type Answer =
  | { readonly errcode: 0; readonly fields: Fields; readonly msgid?: string }
  | { readonly errcode: number; readonly errmsg?: string }

/** `{"errcode":0,"errmsg":"ok", …}`. */
export function ok(fields: Fields = {}, msgid?: string): Answer {
  const all = { errcode: 0, errmsg: 'ok', ...fields }
  return { errcode: 0, fields: all, ...(msgid === undefined ? {} : { msgid }) }
}

/** A success that carries no `errcode`: tokens and everything that is asked for by GET. */
export function plain(fields: Fields): Answer {
  return { errcode: 0, fields }
}

/** @param errmsg only where the platform says more than the table of codes. */
export function refuse(errcode: number, errmsg?: string): Answer {
  return errmsg === undefined ? { errcode } : { errcode, errmsg }
}

/** What an answer looks like on the wire, and its rid where it has one. */
interface WrittenAnswer {
  readonly text: string
  readonly rid: string | undefined
}

/**
 * The body of an answer. A failure's `errmsg` is the platform's own text and ends with a rid, whose
 * first part is the time; WeCom writes a hint and the caller's address instead (sending.md §5.6). A
 * msgid is a bare 64-bit number, which no JavaScript number can hold.
 */
export function writeAnswer(
  answer: Answer,
  to: { readonly platform: CodeFamily; readonly now: Date; readonly remoteAddress: string },
  random: Randomness,
): WrittenAnswer {
  if ('fields' in answer) {
    const text = JSON.stringify(answer.fields)
    const { msgid } = answer
    const whole = msgid === undefined ? text : `${text.slice(0, -1)},"msgid":${msgid}}`
    return { text: whole, rid: undefined }
  }
  const { errcode } = answer
  const name = lookUpErrorCode(to.platform, errcode).row?.nameEn
  const errmsg = answer.errmsg ?? name ?? 'error made by the sandbox'
  if (to.platform === 'wecom') {
    const hint = `${unixSeconds(to.now)}_${random.hex(32)}`
    const more = `more info at https://open.work.weixin.qq.com/devtool/query?e=${errcode}`
    const whole = `${errmsg}, hint: [${hint}], from ip: ${to.remoteAddress}, ${more}`
    return { text: JSON.stringify({ errcode, errmsg: whole }), rid: undefined }
  }
  const time = unixSeconds(to.now).toString(16).padStart(8, '0')
  const rid = `${time}-${random.hex(8)}-${random.hex(8)}`
  return { text: JSON.stringify({ errcode, errmsg: `${errmsg} rid: ${rid}` }), rid }
}

/** Whether an outside value is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The texts of a list; undefined when it is no list of texts. */
export function textsIn(fields: Fields, name: string): string[] | undefined {
  const value = fields[name]
  if (!Array.isArray(value)) return undefined
  const texts = value.filter((one) => typeof one === 'string')
  return texts.length === value.length ? texts : undefined
}

/** The text under a name; undefined when it is absent, empty or something else. */
export function textIn(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Which numbers an `errcode` is from. */
export type CodeFamily = Exclude<CodePlatform, 'any'>
