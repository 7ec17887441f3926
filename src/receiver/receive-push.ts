import { isUtf8 } from 'node:buffer'
import type { Account, EventSource } from '../accounts/account.ts'
import {
  eventSourceOf,
  KIND_RULES,
  type PushRule,
  type PushShape,
} from '../accounts/account-kinds.ts'
import type { Fields } from '../events/document.ts'
import { textOf } from '../events/document.ts'
import { InvariantError } from '../foundation/errors.ts'
import type { CallbackKeys } from './callback-keys.ts'
import { readJson } from './json.ts'
import { openEnvelope, type EnvelopeFault } from './message-crypto.ts'
import { refuse, type RefusalReason, type Refused } from './refusals.ts'
import { sameSignature, signMessage, signRequest } from './signature.ts'
import { readXml } from './xml.ts'

export interface HandshakeInput {
  /** Whose callback address it is. */
  readonly account: Account
  readonly keys: CallbackKeys
  /** By name; a name given twice must not look like a string. */
  readonly query: Readonly<Record<string, unknown>>
  readonly now: Date
}

export interface PushInput extends HandshakeInput {
  /** The bytes as they came. */
  readonly body: Buffer
  /** Who the path says the push is for, behind a component or suite; no signature covers that. */
  readonly tenant?: Tenant | undefined
}

/** The second name in a callback's path: an authorizer's appid or a corp's corpid. */
export interface Tenant {
  readonly appId: string
  /** Undefined when we know none in service that has authorised the account. */
  readonly account: Account | undefined
}

/** A push to a tenant's address that the platform has sent, while we know no account for it. */
export interface EarlyPush {
  /** The component or suite. */
  readonly parent: Account
  /** The appid or corpid in the path. */
  readonly tenant: string
  /** The list of events that it is in; null where that follows from what the merchant is. */
  readonly source: EventSource | null
  readonly document: string
  readonly fields: Fields
  readonly timestamp: string
  readonly receivedAt: Date
}

/** A push that the platform has sent to this account; everything in it may be believed. */
export interface VerifiedPush {
  /** The account whose event it is: of a tenant's push the tenant, of a notice about it the parent. */
  readonly account: Account
  /** The list of events that it is in. */
  readonly source: EventSource
  /** The decrypted text exactly as it was; in plain mode the body without its byte order mark. */
  readonly document: string
  readonly fields: Fields
  /** The query's `timestamp`: when it was signed, Unix seconds. */
  readonly timestamp: string
  /** `previous` when only the Token or the key before the last rotation fitted. */
  readonly keyUsed: 'current' | 'previous' | 'none'
  readonly receivedAt: Date
  /** Of a corp that has cancelled: nothing of what it says may be kept. */
  readonly hasLeft?: boolean
}

export type HandshakeResult = { readonly ok: true; readonly echostr: string } | Refused
export type PushResult =
  | { readonly ok: true; readonly push: VerifiedPush }
  /** `early` where all but the account is right: it is refused only where it cannot wait for one. */
  | (Refused & { readonly early?: EarlyPush })

type TokenUsed = 'current' | 'previous'
/** The query values that a check relies on: each present, once, and text. */
type Query<Name extends string> = Readonly<Record<Name, string>>
type Document = { readonly ok: true; readonly document: string; readonly fields: Fields } | Refused

const TIMESTAMP = /^\d{1,10}$/
/** An appid or corpid as a path can name it; a placeholder that the platform left alone is none. */
const TENANT_ID = /^[\w-]{1,64}$/

/**
 * Checks the request with which the platform tries out a callback address. Whatever the mode, it is
 * never encrypted by WeChat, where `echostr` must be sent back and is not covered by the signature,
 * and always by WeCom, where what is sealed in `echostr` is the answer.
 */
export function verifyHandshake(input: HandshakeInput): HandshakeResult {
  const repeated = findRepeated(input.query)
  if (repeated) return repeated
  return KIND_RULES[input.account.kind].handshake.form === 'sealed'
    ? verifySealedHandshake(input)
    : verifyPlainHandshake(input)
}

function verifyPlainHandshake(input: HandshakeInput): HandshakeResult {
  const read = readQuery(input.query, ['signature', 'timestamp', 'nonce', 'echostr'])
  if (!read.ok) return read
  const { signature, timestamp, nonce, echostr } = read.values
  const token = findToken(input.keys, signature, (token) => signRequest(token, timestamp, nonce))
  if (!token) return refuse('bad_signature')
  return checkFreshness(input, timestamp) ?? { ok: true, echostr }
}

function verifySealedHandshake(input: HandshakeInput): HandshakeResult {
  const read = readQuery(input.query, ['msg_signature', 'timestamp', 'nonce', 'echostr'])
  if (!read.ok) return read
  const { msg_signature: signature, timestamp, nonce } = read.values
  // Base64 has no space: a proxy or a second decoding has read a `+` as one.
  const encrypt = read.values.echostr.replaceAll(' ', '+')
  const token = findToken(input.keys, signature, (token) =>
    signMessage({ token, timestamp, nonce, encrypt }),
  )
  if (!token) return refuse('bad_signature')
  const stale = checkFreshness(input, timestamp)
  if (stale) return stale
  const { account } = input
  const { receiveId } = KIND_RULES[account.kind].handshake
  const opened = openSealed(input, encrypt, account[receiveId] ?? '')
  return opened.ok ? { ok: true, echostr: opened.message } : opened
}

/**
 * Checks one push: query, mode, signature, freshness, envelope, document, addressee, in this order.
 * The account's kind, mode and data format decide how; nothing in the request can lower it. Bytes
 * that no signature covers are read only to find `Encrypt`.
 */
export function verifyPush(input: PushInput): PushResult {
  const repeated = findRepeated(input.query)
  if (repeated) return repeated
  const { encrypt_type: type, msg_signature: signature } = input.query
  if (input.account.mode === 'plain') {
    const isPlain = (type === undefined || type === 'raw') && signature === undefined
    return isPlain ? verifyPlain(input) : refuse('unexpected_encryption')
  }
  const isMarked = type === 'aes' || !KIND_RULES[input.account.kind].marksEncryption
  const isSealed = isMarked && signature !== undefined
  return isSealed ? verifySealed(input) : refuse('not_encrypted')
}

/** Plain mode: the signature covers nothing of the body. For development. */
function verifyPlain(input: PushInput): PushResult {
  const read = readQuery(input.query, ['signature', 'timestamp', 'nonce'])
  if (!read.ok) return read
  const { signature, timestamp, nonce } = read.values
  const token = findToken(input.keys, signature, (token) => signRequest(token, timestamp, nonce))
  if (!token) return refuse('bad_signature')
  const stale = checkFreshness(input, timestamp)
  if (stale) return stale
  const text = readBody(input.body)
  if (text === undefined) return refuse('bad_encoding')
  const message = readDocument(formOf(input), text, 'bad_document')
  const keyUsed = token === 'previous' ? 'previous' : 'none'
  return message.ok ? acceptPush(input, { ...message, timestamp, keyUsed }) : message
}

/** Safe and compatible mode: only what `Encrypt` holds counts, never its plain twins beside it. */
function verifySealed(input: PushInput): PushResult {
  const read = readQuery(input.query, ['msg_signature', 'timestamp', 'nonce'])
  if (!read.ok) return read
  const { msg_signature: signature, timestamp, nonce } = read.values
  const found = findEncrypt(input)
  if (!found.ok) return found
  const { encrypt } = found
  const token = findToken(input.keys, signature, (token) =>
    signMessage({ token, timestamp, nonce, encrypt }),
  )
  if (!token) return refuse('bad_signature')
  const stale = checkFreshness(input, timestamp)
  if (stale) return stale
  const opened = openSealed(input, encrypt, receiveIdOf(input))
  if (!opened.ok) return opened
  const message = readDocument(formOf(input), opened.message, 'bad_message')
  const keyUsed = token === 'previous' ? 'previous' : opened.keyUsed
  return message.ok ? acceptPush(input, { ...message, timestamp, keyUsed }) : message
}

function findRepeated(query: HandshakeInput['query']): Refused | undefined {
  for (const name of Object.keys(query)) {
    const value = query[name]
    if (value !== undefined && typeof value !== 'string') {
      return refuse('duplicated_parameter', nameForLog(name))
    }
  }
  return undefined
}

/** Reads the named values out of a query without repeats; each must be there and not empty. */
function readQuery<Name extends string>(
  query: HandshakeInput['query'],
  names: readonly Name[],
): { readonly ok: true; readonly values: Query<Name> } | Refused {
  const values: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const value = query[name]
    if (typeof value !== 'string' || value === '') return refuse('missing_parameter', name)
    values[name] = value
  }
  return { ok: true, values: values as Query<Name> }
}

/** Which Token makes this signature: the current one, the one before, or neither. */
function findToken(
  keys: CallbackKeys,
  signature: string,
  sign: (token: string) => string,
): TokenUsed | undefined {
  if (sameSignature(sign(keys.token), signature)) return 'current'
  if (keys.previousToken === null) return undefined
  return sameSignature(sign(keys.previousToken), signature) ? 'previous' : undefined
}

/** Asked only after the signature, so that `stale` means: the platform's own request, but old. */
function checkFreshness(input: HandshakeInput, timestamp: string): Refused | undefined {
  if (!TIMESTAMP.test(timestamp)) return refuse('bad_timestamp')
  const limit = input.account.settings.freshness_seconds
  if (limit === 0) return undefined
  const behind = Math.round(input.now.getTime() / 1000 - Number(timestamp))
  if (Math.abs(behind) <= limit) return undefined
  const where = behind > 0 ? 'behind' : 'ahead of'
  return refuse('stale', `${Math.abs(behind)} s ${where} our clock, ${limit} s allowed`)
}

function readBody(body: Buffer): string | undefined {
  if (!isUtf8(body)) return undefined
  const text = body.toString()
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

function findEncrypt(input: PushInput): { readonly ok: true; readonly encrypt: string } | Refused {
  const text = readBody(input.body)
  if (text === undefined) return refuse('bad_encoding')
  const outer = readDocument(formOf(input), text, 'bad_document')
  if (!outer.ok) return outer
  if (Array.isArray(outer.fields.Encrypt)) return refuse('duplicated_field', 'Encrypt')
  const encrypt = textOf(outer.fields, 'Encrypt')?.trim()
  return encrypt ? { ok: true, encrypt } : refuse('missing_encrypt')
}

/** What must stand behind the message: nothing else says for whom the platform has sealed it. */
export function receiveIdOf({ account, tenant }: PushInput): string {
  if (!tenant) return account.appId
  return KIND_RULES[account.kind].tenants?.receiveId === 'tenant' ? tenant.appId : account.appId
}

function openSealed({ account, keys }: HandshakeInput, encrypt: string, receiveId: string) {
  if (!keys.envelope) throw new InvariantError(`account ${account.name} has no envelope keys`)
  const orNone = account.settings.empty_receive_id
  const opened = openEnvelope({ encrypt, keys: keys.envelope, receiveId, orNone })
  return opened.ok ? opened : refuse(opened.reason, describeFault(opened, receiveId))
}

function describeFault(fault: EnvelopeFault, expected: string): string | undefined {
  if (fault.reason !== 'wrong_receive_id') return undefined
  return `expected ${nameForLog(expected)}, got ${nameForLog(fault.got)}`
}

/** @param format which the platform writes to the address that the text came to. */
function readDocument(
  { account, format }: { readonly account: Account; readonly format: PushRule['format'] },
  text: string,
  reason: RefusalReason,
): Document {
  // a data format lowers nothing, unlike a mode: where the platform writes both, the text may say which
  const isJson =
    format === 'either' ? text.trimStart().startsWith('{') : account.bodyFormat === 'json'
  const read = isJson ? readJson(text) : readXml(text)
  if (read.ok) return { ok: true, document: text, fields: read.fields }
  return refuse(read.fault === 'doctype' ? 'doctype' : reason, read.detail)
}

function formOf({ account, tenant }: PushInput) {
  const { own, tenants } = KIND_RULES[account.kind]
  return { account, format: (tenant && tenants ? tenants : own).format }
}

/** The last check: is it a push at all, and whose is it? */
function acceptPush(
  { account: receiver, tenant, now }: PushInput,
  message: Pick<VerifiedPush, 'document' | 'fields' | 'timestamp' | 'keyUsed'>,
): PushResult {
  const { document, fields, timestamp, keyUsed } = message
  const rule = ruleFor(receiver, fields, tenant)
  if (tenant && !tenant.account)
    return acceptEarly(rule, { receiver, appId: tenant.appId, now }, message)
  const account = tenant?.account ?? receiver
  const fault = findShapeFault(rule, fields) ?? findAddresseeFault(rule, account, fields)
  if (fault) return fault
  const source = eventSourceOf(rule, account)
  const push = { account, source, document, fields, timestamp, keyUsed, receivedAt: now }
  return { ok: true, push }
}

/**
 * A push for somebody we do not know: refused, but everything that can be checked without an account
 * is, so that it may be parked.
 */
function acceptEarly(
  rule: PushRule,
  place: { readonly receiver: Account; readonly appId: string; readonly now: Date },
  message: Pick<VerifiedPush, 'document' | 'fields' | 'timestamp'>,
): PushResult {
  const { receiver: parent, appId: tenant, now: receivedAt } = place
  const refused = refuse('unknown_authorizer', nameForLog(tenant))
  const { document, fields, timestamp } = message
  const isOther = rule.addressee === 'appId' && textOf(fields, 'ToUserName')?.trim() !== tenant
  if (!TENANT_ID.test(tenant) || isOther || findShapeFault(rule, fields)) return refused
  const source = rule.source === 'served' ? null : rule.source
  return { ...refused, early: { parent, tenant, source, document, fields, timestamp, receivedAt } }
}

/**
 * Reads a document that was verified when it came and has waited for its tenant's account, and checks
 * what could not be checked before: that it is addressed to it.
 *
 * @param parked.source as it was parked under.
 */
export function acceptParked(parked: {
  readonly parent: Account
  readonly tenant: Account
  readonly source: EventSource | null
  readonly document: string
  readonly timestamp: string
  readonly receivedAt: Date
}): PushResult {
  const { parent, tenant: account, document: text, timestamp, receivedAt } = parked
  const { own, tenants } = KIND_RULES[parent.kind]
  const rule = parked.source === own.source || !tenants ? own : tenants
  const message = readDocument({ account: parent, format: rule.format }, text, 'bad_message')
  if (!message.ok) return message
  const { document, fields } = message
  const fault = findAddresseeFault(rule, account, fields)
  if (fault) return fault
  const source = eventSourceOf(rule, account)
  return {
    ok: true,
    push: { account, source, document, fields, timestamp, keyUsed: 'current', receivedAt },
  }
}

/** The rule that the documents of this address follow, or of this one among them. */
function ruleFor(receiver: Account, fields: Fields, tenant: Tenant | undefined): PushRule {
  const { own, alsoSends, tenants } = KIND_RULES[receiver.kind]
  if (tenant && tenants) return tenants
  return alsoSends && !hasType(own.shape, fields) && hasType(alsoSends.shape, fields)
    ? alsoSends
    : own
}

function hasType({ types }: PushShape, fields: Fields): boolean {
  return types.some((name) => name in fields)
}

function findShapeFault({ shape }: PushRule, fields: Fields): Refused | undefined {
  const { types, times, required, decisive } = shape
  const twice = decisive.find((name) => Array.isArray(fields[name]))
  if (twice) return refuse('duplicated_field', twice)
  const missing = required.find((name) => isMissing(fields, name))
  if (missing) return refuse('missing_field', missing)
  const time = times.find((name) => !isMissing(fields, name))
  if (time === undefined) return refuse('missing_field', times[0])
  if (types.every((name) => isMissing(fields, name))) return refuse('missing_field', types[0])
  // the time is part of what makes a repeat a repeat: without it one push could be recorded twice
  if (!TIMESTAMP.test(textOf(fields, time)?.trim() ?? '')) {
    return refuse('missing_field', `${time}: not Unix seconds`)
  }
  return undefined
}

function findAddresseeFault(
  { addressee }: PushRule,
  account: Account,
  fields: Fields,
): Refused | undefined {
  if (addressee === null) return undefined
  // an account that checks a third-party platform (release-check.ts); every other one has its id
  if (account.kind === 'authorizer' && account.originalId === null) return undefined
  const expected = account[addressee] ?? ''
  const got = textOf(fields, 'ToUserName')?.trim() ?? ''
  if (got !== expected) {
    const detail = `expected ${nameForLog(expected)}, got ${nameForLog(got)}`
    return refuse('wrong_to_user_name', detail)
  }
  // `AgentID` may be that of a built-in function, and which there are is not published: what an event
  // of another application grants, the consent rules decide; refused, it could be a lost opt-out
  return undefined
}

function isMissing(fields: Fields, name: string): boolean {
  return !textOf(fields, name)?.trim()
}

/** The first six characters of a name, with nothing in them that could disturb a log line. */
function nameForLog(name: string): string {
  const start = name.slice(0, 6).replace(/[^\w-]/g, '?')
  return name.length > 6 ? `${start}…` : start
}
