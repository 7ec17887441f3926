import { createHash } from 'node:crypto'
import { templateScope } from '../consent/consent.ts'
import type { Clock } from '../foundation/clock.ts'
import { ConflictError, InvalidInputError, UnavailableError } from '../foundation/errors.ts'
import { newId, sha256 } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import {
  lineResolver,
  resolveTemplate,
  type AccountTemplates,
  type FindTemplates,
} from '../templates/resolve-template.ts'
import { isBlank, linesOf, MAX_LINE_BYTES, type RawLine } from './broadcast-lines.ts'
import {
  digestOfHead,
  readAudienceBroadcast,
  readBroadcastHead,
  recipientReader,
  type BroadcastHead,
  type ListedRecipient,
} from './broadcast-request.ts'
import type { BroadcastStore, LineBatch, StoredBroadcast } from './broadcast-store.ts'
import type { BadLine } from './broadcast.ts'
import { refuseMisfit, type FindSender } from './account-fit.ts'
import { prepareCallback, type Callbacks } from './callback-url.ts'
import { accountIdsOf, accountOf, type Caller } from './caller.ts'
import { consentScopeOf } from './consent-scope.ts'
import { planSchedule } from './send-request.ts'

/** Reads one JSON value; throws InvalidInputError for anything else. */
export type ParseJson = (bytes: Buffer) => unknown

export interface CreateBroadcastDeps {
  readonly store: Pick<
    BroadcastStore,
    'insert' | 'findByKey' | 'find' | 'addLines' | 'badLines' | 'cancel'
  >
  readonly findSender: FindSender
  readonly findTemplates: FindTemplates
  readonly callbacks: Callbacks
  readonly clock: Clock
  readonly log: Log
  /** How long a broadcast without `expires_at` may go on after it became due. */
  readonly lifetimeHours: number
}

/** The answer to a broadcast: what is stored, and the first of the lines that could not be read. */
export interface AcceptedBroadcast {
  readonly broadcast: StoredBroadcast
  readonly badLines: readonly BadLine[]
  /** Whether an earlier request with the same Idempotency-Key had already stored all of it. */
  readonly replayed: boolean
}

interface Asked {
  readonly caller: Caller
  readonly idempotencyKey: string | null
}

/** Lines and bytes of one statement: large enough to be quick, small enough to hold. */
const BATCH_LINES = 2_000
const BATCH_BYTES = 1024 * 1024
/** Of what is sent to all, as it comes. */
export const MAX_HEAD_BYTES = 64 * 1024
const MAX_REASON_LENGTH = 300
/** How many bad lines the answer names; the report has them all. */
const NAMED_BAD_LINES = 20

/** The digest of a list of which nothing was read. */
const NO_LINES = sha256('')

/**
 * Accepts a broadcast as a stream of lines: the first says what is sent, each further one to whom.
 * Lines are stored in batches as they come, and the next bytes are taken when a batch is stored, so
 * a list of any length needs little memory. A bad line is kept with its number and reason and harms
 * no other. Nothing is sent before the last line is here.
 *
 * With an Idempotency-Key a list that broke off can be sent again: it goes on where it stopped.
 *
 * @throws InvalidInputError `invalid_request`, `malformed_json`; NotFoundError `account_not_found`;
 *   ConflictError `idempotency_key_reused`, `broadcast_lines_differ`, `broadcast_ended`
 */
export async function createListedBroadcast(
  deps: CreateBroadcastDeps,
  asked: Asked & { readonly chunks: AsyncIterable<Buffer>; readonly parse: ParseJson },
): Promise<AcceptedBroadcast> {
  const { caller, parse } = asked
  const lines = linesOf(asked.chunks, (number) => (number === 1 ? MAX_HEAD_BYTES : MAX_LINE_BYTES))
  const head = readBroadcastHead(parse(await headBytes(lines)))
  const { broadcast, known } = await begin(deps, asked, head)
  try {
    const isNew = await storeList(deps, broadcast, { head, known, lines, parse })
    return await answer(deps, { caller, id: broadcast.id, isNew })
  } catch (error) {
    // nobody could name this list again, so nobody can complete it
    if (asked.idempotencyKey === null) await deps.store.cancel(broadcast.id, 'interrupted')
    throw error
  }
}

/**
 * Accepts a broadcast to everybody who has given a consent; the list is made in the background.
 *
 * @param asked.body what the JSON parser returned.
 * @throws InvalidInputError `invalid_request`; NotFoundError `account_not_found`; ConflictError
 *   `idempotency_key_reused`
 */
export async function createAudienceBroadcast(
  deps: CreateBroadcastDeps,
  asked: Asked & { readonly body: unknown },
): Promise<AcceptedBroadcast> {
  const head = readAudienceBroadcast(asked.body)
  const { broadcast, isNew } = await begin(deps, asked, head)
  return answer(deps, { caller: asked.caller, id: broadcast.id, isNew })
}

async function headBytes(lines: AsyncGenerator<RawLine, void>): Promise<Buffer> {
  const { value: first } = await lines.next()
  if (!first) {
    throw new InvalidInputError('malformed_json', [{ field: 'body', rule: 'must not be empty' }])
  }
  if (!first.isTooLong) return first.bytes
  throw new InvalidInputError('invalid_request', [
    { field: 'line 1', rule: `must be at most ${MAX_HEAD_BYTES} bytes` },
  ])
}

/** Stores the head, or finds the broadcast that an earlier request with this key has stored. */
async function begin(
  deps: CreateBroadcastDeps,
  asked: Asked,
  head: BroadcastHead,
): Promise<{ broadcast: StoredBroadcast; isNew: boolean; known: AccountTemplates }> {
  const account = accountOf(asked.caller, head.account)
  refuseMisfit(head, await deps.findSender(account.id))
  await prepareCallback(deps.callbacks, asked.caller, head.callbackUrl)
  const headDigest = digestOfHead(head)
  const now = deps.clock.now()
  const known = await deps.findTemplates(account.id)
  const plan = tryPlan(head, { now, known, lifetimeHours: deps.lifetimeHours })
  if (plan instanceof InvalidInputError) {
    const first = await findEarlier(deps, asked, headDigest)
    if (first) return { broadcast: first, isNew: false, known }
    throw plan
  }
  const { name, purpose, channel } = head
  const { schedule, resolved, audienceScope } = plan
  const { templateId, content, alias } = resolved
  const id = newId(now)
  const isNew = await deps.store.insert({
    ...{ id, account, name, purpose, channel, templateId, content, audienceScope, headDigest },
    consentScope: consentScopeOf(head),
    // what fallbacks are made of is kept for single messages alone once values have been mapped
    templateAlias: alias?.step === 0 ? alias.name : null,
    callbackUrl: head.callbackUrl ?? null,
    tellsEach: head.tellsEach === true,
    applicationId: asked.caller.id,
    idempotencyKey: asked.idempotencyKey,
    linesDigest: NO_LINES,
    sendAt: schedule.sendAt,
    expiresAt: schedule.expiresAt,
    createdAt: now,
  })
  const broadcast = isNew
    ? await deps.store.find(id, [account.id])
    : await findEarlier(deps, asked, headDigest)
  if (broadcast) return { broadcast, isNew, known }
  throw new UnavailableError(
    'request_interrupted',
    'the broadcast stored under this Idempotency-Key was removed at this moment; send the request again',
  )
}

/** What follows from the head and from what is known now; or why it cannot be. */
function tryPlan(
  head: BroadcastHead,
  given: {
    readonly now: Date
    readonly known: AccountTemplates
    readonly lifetimeHours: number
  },
) {
  try {
    const data = head.audienceScope === null ? 'partial' : 'complete'
    const resolved = resolveTemplate(given.known, head, { data })
    const schedule = planSchedule(head, given)
    if (schedule.kind === 'impossible') {
      return new InvalidInputError('invalid_request', schedule.faults)
    }
    return { schedule, resolved, audienceScope: audienceOf(head, resolved.templateId) }
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
}

/** An audience may be named by the alias that its content has. */
function audienceOf(head: BroadcastHead, templateId: string | null): string | null {
  const { audienceScope: scope } = head
  if (!scope?.startsWith('template:@') || templateId === null) return scope
  if (scope === `template:${head.templateId}`) return templateScope(templateId)
  const rule = 'must name the alias that content.template_id has, or a template id'
  throw new InvalidInputError('invalid_request', [{ field: 'audience.scope', rule }])
}

/** @throws ConflictError `idempotency_key_reused` */
async function findEarlier(
  deps: CreateBroadcastDeps,
  asked: Asked,
  headDigest: Buffer,
): Promise<StoredBroadcast | undefined> {
  if (asked.idempotencyKey === null || asked.caller.id === null) return undefined
  const earlier = await deps.store.findByKey(asked.caller.id, asked.idempotencyKey)
  if (!earlier) return undefined
  if (earlier.headDigest.equals(headDigest)) return earlier
  throw new ConflictError(
    'idempotency_key_reused',
    'this Idempotency-Key has been used for another broadcast; use a new key for a new one',
  )
}

/** @returns whether this request stored the last of it. */
async function storeList(
  deps: CreateBroadcastDeps,
  broadcast: StoredBroadcast,
  list: {
    readonly head: BroadcastHead
    readonly known: AccountTemplates
    readonly lines: AsyncIterable<RawLine>
    readonly parse: ParseJson
  },
): Promise<boolean> {
  const readRecipient = recipientReader(list.head.channel)
  const resolveData = lineResolver(list.known, { ...list.head, resolvedId: broadcast.templateId })
  const readLine = (line: RawLine): ListedRecipient => {
    const { to, data } = readRecipient(list.parse(line.bytes))
    return { to, data: resolveData(data) }
  }
  for await (const batch of batchesOf(list.lines, readLine)) {
    // stored by the request that broke off; the digest of what follows says whether it was the same
    if (!batch.isLast && batch.after < broadcast.linesRead) continue
    const stored = await deps.store.addLines(broadcast.id, batch)
    if (stored === 'differs') throw linesDiffer()
    if (stored === 'ended') throw hasEnded()
    if (batch.isLast) return stored === 'stored'
  }
  return false
}

function linesDiffer(): ConflictError {
  return new ConflictError(
    'broadcast_lines_differ',
    'the first request with this Idempotency-Key had other lines; send the same list, or use a new key',
  )
}

function hasEnded(): ConflictError {
  return new ConflictError(
    'broadcast_ended',
    'the broadcast was cancelled before its list was complete; send it again under a new key',
  )
}

/** The lines in batches, cut at the same places however the bytes arrive. */
async function* batchesOf(
  lines: AsyncIterable<RawLine>,
  readLine: (line: RawLine) => ListedRecipient,
): AsyncGenerator<LineBatch, void> {
  let batch = newBatch({ line: 0, digest: NO_LINES })
  for await (const line of lines) {
    batch.add(line, readLine)
    if (!batch.isFull()) continue
    const full = batch.close(false)
    yield full
    batch = newBatch({ line: full.after, digest: full.digestAfter })
  }
  yield batch.close(true)
}

function newBatch(from: { readonly line: number; readonly digest: Buffer }) {
  const hash = createHash('sha256').update(from.digest)
  const recipients: LineBatch['recipients'][number][] = []
  const bad: BadLine[] = []
  let after = from.line
  let count = 0
  let size = 0
  return {
    add(line: RawLine, readLine: (line: RawLine) => ListedRecipient) {
      hash.update(line.bytes).update('\n')
      after = line.number
      count += 1
      size += line.bytes.length
      if (isBlank(line.bytes)) return
      const read = tryLine(line, readLine)
      if (typeof read === 'string') bad.push({ line: line.number, reason: read })
      else recipients.push({ line: line.number, recipient: read.to, data: read.data })
    },
    isFull: () => count >= BATCH_LINES || size >= BATCH_BYTES,
    close: (isLast: boolean): LineBatch => ({
      before: from.line,
      digestBefore: from.digest,
      after,
      digestAfter: hash.digest(),
      recipients,
      bad,
      isLast,
    }),
  }
}

/** @returns what is wrong with the line where something is; values are not repeated. */
function tryLine(
  line: RawLine,
  readLine: (line: RawLine) => ListedRecipient,
): ListedRecipient | string {
  if (line.isTooLong) return `must be at most ${MAX_LINE_BYTES} bytes`
  try {
    return readLine(line)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const rules = error.faults.map(({ field, rule }) =>
      field === 'body' ? rule : `${field}: ${rule}`,
    )
    return rules.join('; ').slice(0, MAX_REASON_LENGTH)
  }
}

async function answer(
  deps: CreateBroadcastDeps,
  known: { readonly caller: Caller; readonly id: string; readonly isNew: boolean },
): Promise<AcceptedBroadcast> {
  const broadcast = await deps.store.find(known.id, accountIdsOf(known.caller))
  if (!broadcast) {
    throw new UnavailableError(
      'request_interrupted',
      'the broadcast was removed at this moment; send the request again',
    )
  }
  if (known.isNew) logAccepted(deps.log, known.caller, broadcast)
  return {
    broadcast,
    badLines:
      broadcast.lines.bad > 0 ? await deps.store.badLines(broadcast.id, 0, NAMED_BAD_LINES) : [],
    replayed: !known.isNew,
  }
}

function logAccepted(log: Log, caller: Caller, broadcast: StoredBroadcast): void {
  const { accepted, duplicate, bad } = broadcast.lines
  log.info(
    {
      broadcast_id: broadcast.id,
      application: caller.name,
      account: broadcast.account,
      channel: broadcast.channel,
      scope: broadcast.audienceScope,
      ...{ accepted, duplicate, bad },
    },
    'broadcast.accepted',
  )
}
