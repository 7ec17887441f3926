import { type ErrorRequestHandler, type IRouter, type Request, type Response } from 'express'
import type { Account } from '../accounts/account.ts'
import { KIND_RULES } from '../accounts/account-kinds.ts'
import type { Clock } from '../foundation/clock.ts'
import { within } from '../foundation/coarse-timer.ts'
import { assertNever, describeError, UnavailableError } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import { prepareKeys, type CallbackKeys } from './callback-keys.ts'
import { writePassiveReply, type PassiveReply } from './passive-reply.ts'
import { readBody } from './read-body.ts'
import {
  receiveIdOf,
  verifyHandshake,
  verifyPush,
  type EarlyPush,
  type HandshakeInput,
  type PushInput,
  type Tenant,
  type VerifiedPush,
} from './receive-push.ts'
import { REFUSALS, type Refusal } from './refusals.ts'
import { checkAnswerTo, isStranger, tenantOrChecker } from './release-check.ts'

/** Compatible mode makes a push about three times as large; none is near this. */
const MAX_BODY_BYTES = 262_144
/** The platform gives up on an answer after 5 seconds. */
const BODY_TIMEOUT_MS = 5_000
/** When we answer at the latest, whatever the database does: a second before the platform gives up. */
const ANSWER_LIMIT_MS = 4_000
/** What of that is kept for storing a reply and writing the answer. */
const REPLY_MARGIN_MS = 300
/** How long a sender may go on writing after its answer, so that it reads the answer. */
const LINGER_MS = 1_000

export interface RecordedPush {
  readonly outcome: 'recorded' | 'repeated'
  readonly eventId: string
  readonly kind: string
}

/** What becomes of a verified push; see consent/place-push.ts. */
export type PushOutcome =
  | RecordedPush
  /** It waits for the account of the tenant whose people it is about. */
  | { readonly outcome: 'parked' }
  /** There is no account for it, and it cannot wait for one. */
  | { readonly outcome: 'nowhere'; readonly reason: string }

export interface CallbackDeps {
  /** By our name for the account; undefined when there is none or it is disabled. */
  readonly findAccount: (name: string) => Account | Promise<Account | undefined>
  /** By its parent and what the platform calls it; undefined when that is not authorised. */
  readonly findTenant: (parentId: number, appId: string) => Promise<Account | undefined>
  /** Resolves only when the event and all that follows from it are committed. */
  readonly recordPush: (push: VerifiedPush) => Promise<PushOutcome>
  /** Where a push of a tenant that is not in service is to go; it is committed where it is parked. */
  readonly placePush: (
    early: EarlyPush,
  ) => Promise<
    | { readonly outcome: 'known'; readonly account: Account; readonly hasLeft: boolean }
    | Exclude<PushOutcome, RecordedPush>
  >
  /** Whether an application may want to answer pushes of this account; false is certain. */
  readonly mayReply: (account: Account) => boolean
  /**
   * What an application wants a person to be answered with at once; null: nothing, or not in time. It
   * is asked when the push has been committed, the same for every repeat, and does not throw.
   */
  readonly askForReply: (asked: {
    readonly push: VerifiedPush
    readonly eventId: string
    readonly limitMs: number
  }) => Promise<{ readonly reply: PassiveReply; readonly at: Date } | null>
  /** Has the code of a release check exchanged and answered; see release-check.ts. */
  readonly queueReleaseCheck: (check: {
    readonly componentId: number
    readonly code: string
    readonly openid: string
  }) => Promise<void>
  /**
   * Has the code exchanged that a browser brought back from the platform's page; false when we did not
   * send the browser there.
   */
  readonly exchangeRedirect: (
    account: Account,
    redirect: { readonly code: string; readonly proof: string },
  ) => Promise<boolean>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** For tests; 5,000 when absent. */
  readonly bodyTimeoutMs?: number
}

type Verdict =
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly account?: string }
  | { readonly kind: 'handshake'; readonly echostr: string; readonly account: Account }
  | {
      readonly kind: 'push'
      readonly push: VerifiedPush
      readonly recorded: RecordedPush
      /** The body of the answer where it is more than `success`. */
      readonly reply?: string
    }
  | { readonly kind: 'parked'; readonly account: string }
  | { readonly kind: 'check'; readonly reply: string; readonly account: string }
  | { readonly kind: 'unavailable'; readonly error: unknown; readonly account?: string }

type PushVerdict = Extract<Verdict, { kind: 'push' }>
type NotRecorded = Extract<Verdict, { kind: 'parked' | 'refused' | 'unavailable' }>

interface Arrival {
  readonly receivedAt: Date
  readonly startedMs: number
}

type KeysOf = (account: Account) => CallbackKeys

/** A request to a callback address; `tenant` is whom a component or suite received it for. */
type CallbackRequest = Request<{ account: string; tenant?: string }>

/**
 * `GET` and `POST /callbacks/{account}`: the platform's handshake and pushes. Those that a component
 * or suite receives for somebody who has authorised it come to `/callbacks/{account}/{tenant}`.
 *
 * They go to the root and before any body parser: signatures are over the raw bytes. They answer
 * everything themselves: 200 `success` once the push is committed, 503 when it could not be (the
 * platform then repeats it), and an empty 403, 405, 408 or 413 that tells a stranger nothing, not
 * even whether the account exists. The reason stands in the log and the metrics.
 */
export function addCallbackRoutes(router: IRouter, deps: CallbackDeps): void {
  const keysOf = rememberKeys()
  // first what comes most
  router.all('/callbacks/:account', (req, res) => receive(deps, keysOf, { req, res }))
  router.get('/callbacks/:account/authorized', (req, res) => receiveRedirect(deps, req, res))
  router.all('/callbacks/:account/:tenant', (req, res) => receive(deps, keysOf, { req, res }))
  router.use('/callbacks', answerUnreadableName(deps))
}

async function receive(
  deps: CallbackDeps,
  keysOf: KeysOf,
  { req, res }: { req: CallbackRequest; res: Response },
): Promise<void> {
  const arrival = note(deps.clock)
  const verdict = await decide(deps, keysOf, { req, arrival }).catch((error: unknown): Verdict => ({
    kind: 'unavailable',
    error,
  }))
  answer(verdict, req, res)
  report(deps, arrival, verdict)
}

async function decide(
  deps: CallbackDeps,
  keysOf: KeysOf,
  { req, arrival }: { req: CallbackRequest; arrival: Arrival },
): Promise<Verdict> {
  if (req.method !== 'GET' && req.method !== 'POST')
    return refused({ reason: 'method_not_allowed' })
  const name = req.params.account
  const found = await findAccount(deps, arrival, name)
  const account = found && hasAddress(found, req.params.tenant) ? found : undefined
  const query = readQuery(req.url)
  const now = arrival.receivedAt
  if (req.method === 'GET') {
    return account
      ? shakeHands({ account, keys: keysOf(account), query, now })
      : refused({ reason: 'unknown_account' })
  }
  // Read even for an unknown name: an answer before the body would tell which names exist.
  const timeoutMs = deps.bodyTimeoutMs ?? BODY_TIMEOUT_MS
  const body = await readBody(req, { maxBytes: MAX_BODY_BYTES, timeoutMs })
  if (!body.ok) return refused({ reason: body.reason }, account)
  if (!account) return refused({ reason: 'unknown_account' })
  const sealed = { account, keys: keysOf(account), query, body: body.bytes, now }
  return take(deps, arrival, { sealed, appId: req.params.tenant })
}

/** A push that has come whole: checked, recorded, and answered as its kind is. */
async function take(
  deps: CallbackDeps,
  arrival: Arrival,
  { sealed, appId }: { readonly sealed: PushInput; readonly appId: string | undefined },
): Promise<Verdict> {
  const { account } = sealed
  const tenant = appId === undefined ? appId : await findTenant(deps, arrival, { account, appId })
  const verified = verifyPush({ ...sealed, tenant })
  if (!verified.ok) {
    const { early, refusal } = verified
    if (early) return takeEarly(deps, arrival, { early, sealed })
    return refused(refusal, tenant?.account ?? account)
  }
  const { push } = verified
  const recorded = isStranger(push, account) ? null : await record(deps, arrival, push)
  if (recorded && recorded.kind !== 'push') return recorded
  const checked = await answerCheck(deps, { push, sealed: { ...sealed, tenant }, arrival })
  if (checked) return checked
  if (!recorded) return refused({ reason: 'unknown_authorizer' }, account)
  const reply = await replyTo(deps, arrival, { verdict: recorded, sealed: { ...sealed, tenant } })
  return reply === null ? recorded : { ...recorded, reply }
}

/**
 * A push for a tenant that is not in service: recorded where it has an account all the same, else
 * parked until it has one. Nobody is asked for a reply.
 */
async function takeEarly(
  deps: CallbackDeps,
  arrival: Arrival,
  { early, sealed }: { readonly early: EarlyPush; readonly sealed: PushInput },
): Promise<Verdict> {
  const place = await inTime(deps.clock, arrival, deps.placePush(early))
  if (place.outcome !== 'known') return notRecorded(place, early.parent)
  const { account, hasLeft } = place
  const verified = verifyPush({ ...sealed, tenant: { appId: early.tenant, account } })
  if (!verified.ok) return refused(verified.refusal, account)
  return record(deps, arrival, { ...verified.push, hasLeft })
}

function notRecorded(
  outcome: Exclude<PushOutcome, RecordedPush>,
  parent: Account,
): Extract<Verdict, { kind: 'parked' | 'refused' }> {
  if (outcome.outcome === 'parked') return { kind: 'parked', account: parent.name }
  const refusal = { reason: 'unknown_authorizer', detail: outcome.reason } as const
  return { kind: 'refused', refusal, account: parent.name }
}

/** The message that the answer to a recorded push carries; null for `success`. */
async function replyTo(
  deps: CallbackDeps,
  { startedMs }: Arrival,
  { verdict, sealed }: { readonly verdict: PushVerdict; readonly sealed: PushInput },
): Promise<string | null> {
  const { push, recorded } = verdict
  if (!deps.mayReply(push.account)) return null
  const leftMs = startedMs + ANSWER_LIMIT_MS - REPLY_MARGIN_MS - deps.clock.monotonicMs()
  const limitMs = Math.min(push.account.settings.reply_deadline_ms, leftMs)
  if (limitMs <= 0) return null
  const asked = deps.askForReply({ push, eventId: recorded.eventId, limitMs })
  const limit = { ms: limitMs + REPLY_MARGIN_MS, tooLate: overdue }
  const given = await within(limit, asked).catch(() => null)
  if (!given) return null
  const way = { receiver: sealed.account, keys: sealed.keys, receiveId: receiveIdOf(sealed) }
  const { reply: content, at } = given
  return writePassiveReply(push, way, { content, at, now: deps.clock.now() })
}

/** The answer to a message of the platform's release check; null for every other push. */
async function answerCheck(
  deps: CallbackDeps,
  check: {
    readonly push: VerifiedPush
    readonly sealed: PushInput
    readonly arrival: Arrival
  },
): Promise<Verdict | null> {
  const { push, sealed, arrival } = check
  const expected = checkAnswerTo(push)
  if (expected === null) return null
  const { account: component, keys, query } = sealed
  const account = component.name
  if (expected.kind === 'reply') {
    const content = { msgtype: 'text', text: { content: expected.text } } as const
    const now = arrival.receivedAt
    // the platform's own examples send the nonce of the request back
    const reply = { content, at: now, now, nonce: String(query['nonce']) }
    const way = { receiver: component, keys, receiveId: receiveIdOf(sealed) }
    return { kind: 'check', reply: writePassiveReply(push, way, reply), account }
  }
  const { code, openid } = expected
  await inTime(
    deps.clock,
    arrival,
    deps.queueReleaseCheck({ componentId: component.id, code, openid }),
  )
  return { kind: 'check', reply: '', account }
}

function shakeHands(input: HandshakeInput): Verdict {
  const { account } = input
  const shake = verifyHandshake(input)
  if (!shake.ok) return refused(shake.refusal, account)
  return { kind: 'handshake', echostr: shake.echostr, account }
}

/** Longer is none of the platform's codes. */
const LONGEST_CODE = 1024

/**
 * `GET /callbacks/{component or suite}/authorized`: a browser that comes back from the platform's page
 * with a code. Nothing in it is signed by the platform, so it must bring what we sent it there with.
 */
async function receiveRedirect(
  deps: CallbackDeps,
  req: Request<{ account: string }>,
  res: Response,
): Promise<void> {
  const arrival = note(deps.clock)
  const verdict = await decideRedirect(deps, req, arrival).catch((error: unknown): Verdict => ({
    kind: 'unavailable',
    error,
  }))
  if (verdict === null) return sendText(res, 'authorized / 已授权')
  answer(verdict, req, res)
  report(deps, arrival, verdict)
}

async function decideRedirect(
  deps: CallbackDeps,
  req: Request<{ account: string }>,
  arrival: Arrival,
): Promise<Verdict | null> {
  const account = await findAccount(deps, arrival, req.params.account)
  if (!account || KIND_RULES[account.kind].tenants === null) {
    return refused({ reason: 'unknown_account' })
  }
  const { auth_code: code, proof } = readQuery(req.url)
  if (typeof code !== 'string' || code === '' || code.length > LONGEST_CODE) {
    return refused({ reason: 'missing_parameter', detail: 'auth_code' }, account)
  }
  const isOurs =
    typeof proof === 'string' &&
    (await inTime(deps.clock, arrival, deps.exchangeRedirect(account, { code, proof })))
  return isOurs ? null : refused({ reason: 'bad_signature', detail: 'proof' }, account)
}

/** Whose callback address it is; nearly always known without a wait. */
function findAccount(
  deps: CallbackDeps,
  arrival: Arrival,
  name: string,
): Account | undefined | Promise<Account | undefined> {
  if (!isPossibleName(name)) return undefined
  const found = deps.findAccount(name)
  return found instanceof Promise ? inTime(deps.clock, arrival, found) : found
}

/** Whether an account receives anything at an address of this form. */
function hasAddress({ kind, callbackKey }: Account, tenant: string | undefined): boolean {
  return callbackKey !== null && (tenant === undefined || KIND_RULES[kind].tenants !== null)
}

/** Whom the path names. One that is unknown is refused only when its push proves to be genuine. */
async function findTenant(
  deps: CallbackDeps,
  arrival: Arrival,
  { account, appId }: { readonly account: Account; readonly appId: string },
): Promise<Tenant> {
  const tenant = isPossibleName(appId)
    ? await inTime(deps.clock, arrival, deps.findTenant(account.id, appId))
    : undefined
  return tenantOrChecker(account, { appId, account: tenant })
}

async function record(
  deps: CallbackDeps,
  arrival: Arrival,
  push: VerifiedPush,
): Promise<PushVerdict | NotRecorded> {
  try {
    const recorded = await inTime(deps.clock, arrival, deps.recordPush(push))
    if (!('eventId' in recorded)) return notRecorded(recorded, push.account)
    return { kind: 'push', push, recorded }
  } catch (error) {
    return { kind: 'unavailable', error, account: push.account.name }
  }
}

/**
 * The result of work, if it comes while the platform still waits. Each part has limits of its own,
 * but one after the other they can be longer than its 5 seconds; what goes on after the limit is
 * answered when the push is repeated.
 *
 * @throws UnavailableError `answer_overdue`
 */
function inTime<Result>(
  clock: Clock,
  { startedMs }: Arrival,
  work: Promise<Result>,
): Promise<Result> {
  return within({ ms: startedMs + ANSWER_LIMIT_MS - clock.monotonicMs(), tooLate: overdue }, work)
}

function overdue(): UnavailableError {
  return new UnavailableError('answer_overdue', `no result within ${ANSWER_LIMIT_MS} ms`)
}

function refused(refusal: Refusal, account?: Account): Verdict {
  return account
    ? { kind: 'refused', refusal, account: account.name }
    : { kind: 'refused', refusal }
}

function answer(verdict: Verdict, req: Request, res: Response): void {
  switch (verdict.kind) {
    case 'push':
      return sendText(res, verdict.reply ?? 'success')
    case 'parked':
      return sendText(res, 'success')
    case 'handshake':
      return sendText(res, verdict.echostr)
    case 'check':
      return sendText(res, verdict.reply)
    case 'refused':
      return sendRefusal(verdict.refusal, req, res)
    case 'unavailable':
      return sendEmpty(res, 503)
    default:
      return assertNever(verdict)
  }
}

/** Not `res.send`: it adds an ETag, may turn the answer into a 304, and looks its type up each time. */
function sendText(res: Response, text: string): void {
  const length = String(Buffer.byteLength(text))
  res
    .writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': length })
    .end(text)
}

function sendEmpty(res: Response, status: number): void {
  res.status(status).set('Content-Length', '0').end()
}

function sendRefusal({ reason }: Refusal, req: Request, res: Response): void {
  const { status } = REFUSALS[reason]
  if (status === 405) res.set('Allow', 'GET, POST')
  if (status === 408 || status === 413) sendAndClose(status, req, res)
  else sendEmpty(res, status)
}

/**
 * Answers a sender that is still writing, and then hangs up. What it goes on to write is thrown away
 * for a moment first: closing on unread bytes resets the connection, and the answer is lost with it.
 */
function sendAndClose(status: number, req: Request, res: Response): void {
  res.status(status).set({ 'Content-Length': '0', Connection: 'close' }).flushHeaders()
  const hangUp = () => {
    clearTimeout(timer)
    res.end()
  }
  const timer = setTimeout(hangUp, LINGER_MS)
  req.once('close', hangUp).once('end', hangUp).resume()
}

function report(deps: CallbackDeps, arrival: Arrival, verdict: Verdict): void {
  switch (verdict.kind) {
    case 'push':
      return reportPush(deps, arrival, verdict)
    case 'parked':
      return reportParked(deps, arrival, verdict.account)
    case 'handshake':
      return reportHandshake(deps, arrival, verdict.account)
    case 'check':
      return deps.log.info(
        { ...fieldsOf(deps.clock, arrival), account: verdict.account },
        'release_check.received',
      )
    case 'refused':
      return reportRefusal(deps, arrival, verdict)
    case 'unavailable':
      return reportUnavailable(deps, arrival, verdict)
    default:
      return assertNever(verdict)
  }
}

/** A warning where the platform has not waited so long: its page then says that the URL failed. */
function reportHandshake({ clock, log }: CallbackDeps, arrival: Arrival, account: Account): void {
  const fields = fieldsOf(clock, arrival)
  const { limitMs } = KIND_RULES[account.kind].handshake
  const level = fields.duration_ms > limitMs ? 'warn' : 'info'
  log[level]({ ...fields, account: account.name }, 'handshake.answered')
}

function reportPush(
  { clock, log, metrics }: CallbackDeps,
  arrival: Arrival,
  { push, recorded }: PushVerdict,
): void {
  const account = push.account.name
  const { outcome, kind, eventId } = recorded
  // a line that nobody wants is not even made
  if (log.isLevelEnabled('info')) {
    const fields = { ...fieldsOf(clock, arrival), account, kind, event_id: eventId }
    log.info(fields, `push.${outcome}`)
  }
  metrics.pushes.inc({ account, kind, outcome })
  if (push.keyUsed === 'previous') metrics.previousKeyUses.inc({ account })
  metrics.pushSeconds.observe({ outcome }, spentMs(clock, arrival) / 1000)
}

function reportParked(
  { clock, log, metrics }: CallbackDeps,
  arrival: Arrival,
  account: string,
): void {
  const outcome = 'parked'
  log.info({ ...fieldsOf(clock, arrival), account }, 'push.parked')
  metrics.pushes.inc({ account, kind: 'unknown', outcome })
  metrics.pushSeconds.observe({ outcome }, spentMs(clock, arrival) / 1000)
}

function reportRefusal(
  { clock, log, metrics }: CallbackDeps,
  arrival: Arrival,
  { refusal, account = 'unknown' }: Extract<Verdict, { kind: 'refused' }>,
): void {
  const { level, hint } = REFUSALS[refusal.reason]
  log[level]({ ...fieldsOf(clock, arrival), account, ...refusal, hint }, 'push.refused')
  metrics.refusals.inc({ account, reason: refusal.reason })
}

function reportUnavailable(
  { clock, log, metrics }: CallbackDeps,
  arrival: Arrival,
  { error, account = 'unknown' }: Extract<Verdict, { kind: 'unavailable' }>,
): void {
  const fields = fieldsOf(clock, arrival)
  const outcome = 'unavailable'
  log.error({ ...fields, account, error: describeError(error) }, 'push.unavailable')
  metrics.pushes.inc({ account, kind: 'unknown', outcome })
  metrics.pushSeconds.observe({ outcome }, fields.duration_ms / 1000)
}

function note(clock: Clock): Arrival {
  return { receivedAt: clock.now(), startedMs: clock.monotonicMs() }
}

/** What the one line about a request begins with. */
function fieldsOf(clock: Clock, arrival: Arrival) {
  const spent = spentMs(clock, arrival)
  return { request_id: newId(arrival.receivedAt), duration_ms: Math.round(spent * 100) / 100 }
}

function spentMs(clock: Clock, { startedMs }: Arrival): number {
  return clock.monotonicMs() - startedMs
}

/** Keys are prepared once per account object; a changed account is a new object. */
function rememberKeys(): KeysOf {
  const known = new WeakMap<Account, CallbackKeys>()
  return (account) => {
    const keys = known.get(account) ?? prepareKeys(account)
    known.set(account, keys)
    return keys
  }
}

/** A control character is in no account's name, and U+0000 would make the database fail. */
function isPossibleName(name: string): boolean {
  return name.length <= 128 && !/\p{Cc}/u.test(name)
}

/** Every value by its name; a list where the name came more than once. `a[b]` is a name like any. */
export function readQuery(url: string): Record<string, string | string[]> {
  const at = url.indexOf('?')
  const text = at === -1 ? '' : url.slice(at + 1)
  const query = Object.create(null) as Record<string, string | string[]>
  for (const [name, value] of readPairs(text)) {
    const before = query[name]
    if (before === undefined) query[name] = value
    else if (typeof before === 'string') query[name] = [before, value]
    else before.push(value)
  }
  return query
}

/** As the platform writes it nothing is encoded, and the pairs can be read off. */
function readPairs(text: string): Iterable<[string, string]> {
  if (/[%+]/.test(text)) return new URLSearchParams(text)
  const pairs: [string, string][] = []
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    pairs.push(at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)])
  }
  return pairs
}

/** A name that is not even percent-encoded text (`/callbacks/%ff`) is an unknown account. */
function answerUnreadableName(deps: CallbackDeps): ErrorRequestHandler {
  // Express knows an error middleware by its four parameters.
  // eslint-disable-next-line max-params
  return (error, req, res, next) => {
    if (!(error instanceof URIError)) return next(error)
    const verdict = refused({ reason: 'unknown_account' })
    answer(verdict, req, res)
    report(deps, note(deps.clock), verdict)
  }
}
