import { parseScope, type ConsentState } from './consent.ts'

/** A consent as a line of an import file tells it. */
export interface ImportedConsent {
  readonly subject: string
  readonly scope: string
  readonly state: ConsentState
  readonly effectiveAt: Date
  readonly reason: string
  /** Sends that a granted template allows; null: a standing right, or no template. */
  readonly credits: number | null
}

/** What is wrong with a line; the command says it in both languages. */
export const LINE_PROBLEMS = [
  'not_an_object',
  'wrong_columns',
  'unknown_field',
  'bad_subject',
  'bad_scope',
  'not_grantable',
  'bad_state',
  'bad_time',
  'future_time',
  'bad_reason',
  'bad_credits',
] as const
export type LineProblem = (typeof LINE_PROBLEMS)[number]

export type ReadLine =
  | { readonly kind: 'consent'; readonly consent: ImportedConsent }
  | { readonly kind: 'bad'; readonly problem: LineProblem }

/** How the lines of a file are read: each a JSON object, or columns under a first line of names. */
export type LineFormat =
  { readonly kind: 'ndjson' } | { readonly kind: 'csv'; readonly columns: readonly string[] }

const FIELDS = ['subject', 'scope', 'state', 'effective_at', 'reason', 'credits']
const STATES: readonly string[] = ['granted', 'revoked', 'suppressed'] satisfies ConsentState[]
/** openids have 28 letters, WeCom's ids up to 64. */
const SUBJECT = /^[\w@.-]{1,64}$/
/** With seconds and a zone: a time without one would depend on the machine. */
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)$/
const LONGEST_REASON = 500
/** How far ahead another clock may be; as for pushes. */
const AHEAD_MS = 60_000

/** The format of a file, by its first line. A byte order mark is not part of it. */
export function formatOf(firstLine: string): LineFormat {
  return firstLine.trimStart().startsWith('{')
    ? { kind: 'ndjson' }
    : { kind: 'csv', columns: splitCsv(firstLine).map((name) => name.trim()) }
}

/**
 * Reads one line.
 *
 * Fields: `subject`, `scope`, `state`, `effective_at`, `reason`, all required, and `credits` for a
 * granted template (1 when absent, `null` or `standing` for a standing right).
 */
export function readLine(line: string, format: LineFormat, now: Date): ReadLine {
  const fields = format.kind === 'ndjson' ? readObject(line) : readColumns(line, format.columns)
  return typeof fields === 'string' ? bad(fields) : readFields(fields, now)
}

type Fields = Readonly<Record<string, unknown>>

function readObject(line: string): Fields | LineProblem {
  try {
    const value: unknown = JSON.parse(line)
    return isObject(value) ? value : 'not_an_object'
  } catch {
    return 'not_an_object' // told with the line's number
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readColumns(line: string, columns: readonly string[]): Fields | LineProblem {
  const cells = splitCsv(line)
  if (cells.length !== columns.length) return 'wrong_columns'
  const filled = columns.map((name, index) => [name, cells[index]] as const)
  return Object.fromEntries(filled.filter(([name, cell]) => name !== 'credits' || cell !== ''))
}

/** RFC 4180 without line breaks inside of quotes. */
function splitCsv(line: string): string[] {
  const cells: string[] = []
  for (const match of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    cells.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
  }
  return cells
}

function readFields(fields: Fields, now: Date): ReadLine {
  const { subject, scope, state, effective_at: time, reason } = fields
  if (Object.keys(fields).some((name) => !FIELDS.includes(name))) return bad('unknown_field')
  if (typeof subject !== 'string' || !SUBJECT.test(subject)) return bad('bad_subject')
  if (typeof scope !== 'string' || !parseScope(scope)) return bad('bad_scope')
  if (!isState(state)) return bad('bad_state')
  if (state === 'granted' && !isGrantable(scope)) return bad('not_grantable')
  if (typeof time !== 'string' || !TIME.test(time)) return bad('bad_time')
  const effectiveAt = new Date(time)
  if (Number.isNaN(effectiveAt.getTime())) return bad('bad_time')
  if (effectiveAt.getTime() > now.getTime() + AHEAD_MS) return bad('future_time')
  if (typeof reason !== 'string' || reason.trim() === '' || reason.length > LONGEST_REASON) {
    return bad('bad_reason')
  }
  const credits = readCredits(fields, state === 'granted' && scope.startsWith('template:'))
  if (credits === undefined) return bad('bad_credits')
  return { kind: 'consent', consent: { subject, scope, state, effectiveAt, reason, credits } }
}

function isState(state: unknown): state is ConsentState {
  return typeof state === 'string' && STATES.includes(state)
}

/** As for an operator's word: a conversation is opened by the person alone. */
function isGrantable(text: string): boolean {
  const scope = parseScope(text)
  if (scope?.family === 'template') return scope.templateId !== null
  return scope !== undefined && scope.family !== 'conversation'
}

/** undefined: not a number of credits, or none are to be given here. */
function readCredits({ credits }: Fields, isTemplate: boolean): number | null | undefined {
  if (!isTemplate) return credits === undefined || credits === null ? null : undefined
  if (credits === undefined) return 1
  if (credits === null || credits === 'standing') return null
  const number =
    typeof credits === 'string' && /^\d{1,4}$/.test(credits) ? Number(credits) : credits
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 1000
    ? number
    : undefined
}

function bad(problem: LineProblem): ReadLine {
  return { kind: 'bad', problem }
}
