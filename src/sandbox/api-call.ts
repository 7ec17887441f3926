import { lookUpErrorCode } from '../wechat/error-codes.ts'
import type { ApiFault } from './api-faults.ts'
import type { Pusher } from './pushes.ts'
import type { Randomness } from './randomness.ts'
import type { CallRecord } from './record.ts'
import { unixSeconds } from './movable-clock.ts'
import type { Account, World } from './world.ts'

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

/**
 * The body of an answer. A failure's `errmsg` is the platform's own text and ends with a rid, whose
 * first part is the time. A msgid is a bare 64-bit number, which no JavaScript number can hold.
 */
export function writeAnswer(answer: Answer, now: Date, random: Randomness): string {
  if (!('fields' in answer)) {
    const name = lookUpErrorCode('oa', answer.errcode).row?.nameEn
    const errmsg = answer.errmsg ?? name ?? 'error made by the sandbox'
    const rid = `${unixSeconds(now).toString(16).padStart(8, '0')}-${random.hex(8)}-${random.hex(8)}`
    return JSON.stringify({ errcode: answer.errcode, errmsg: `${errmsg} rid: ${rid}` })
  }
  const text = JSON.stringify(answer.fields)
  return answer.msgid === undefined ? text : `${text.slice(0, -1)},"msgid":${answer.msgid}}`
}

/** Whether an outside value is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The text under a name; undefined when it is absent, empty or something else. */
export function textIn(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** An endpoint that needs a token, and so knows the account. */
export type AccountEndpoint = (call: ApiCall, account: Account) => Answer

/** An endpoint that finds out by itself who calls. */
export type OpenEndpoint = (call: ApiCall) => Answer
