import type { BroadcastStore, ReportEntry, StoredBroadcast } from './broadcast-store.ts'
import { fateOfTheRest, type BadLine } from './broadcast.ts'

/** One line of the report; every value as it is shown, null where there is none. */
export interface ReportLine {
  readonly line: number
  /** `erased` once the person's data has been erased; null for a bad line. */
  readonly recipient: string | null
  /** That of the message; `waiting` while there is none; `bad_line` for what could not be read. */
  readonly status: string
  readonly reason: string | null
  readonly errcode: number | null
  readonly message_id: string | null
  readonly queued_at: string | null
  readonly finished_at: string | null
  readonly receipt_at: string | null
}

const COLUMNS = [
  'line',
  'recipient',
  'status',
  'reason',
  'errcode',
  'message_id',
  'queued_at',
  'finished_at',
  'receipt_at',
] as const satisfies readonly (keyof ReportLine)[]

/** Rows of one query and of one piece of the answer. */
const PAGE = 1_000

/**
 * Every recipient of a broadcast with what became of their message, in the order of the list, and
 * behind them the lines that could not be read. A page at a time, each when the one before has been
 * taken: between two pages nothing is held but the number of the last line, so a slow reader holds
 * neither memory nor a transaction.
 */
export async function* reportPages(
  store: Pick<BroadcastStore, 'report' | 'badLines'>,
  broadcast: StoredBroadcast,
): AsyncGenerator<readonly ReportLine[], void> {
  for (let after = 0; ;) {
    const page = await store.report(broadcast.id, after, PAGE)
    if (page.length > 0) yield page.map((entry) => reportLine(entry, broadcast))
    if (page.length < PAGE) break
    after = page.at(-1)?.line ?? after
  }
  for (let after = 0; ;) {
    const page = await store.badLines(broadcast.id, after, PAGE)
    if (page.length > 0) yield page.map(badReportLine)
    if (page.length < PAGE) break
    after = page.at(-1)?.line ?? after
  }
}

function reportLine(entry: ReportEntry, broadcast: StoredBroadcast): ReportLine {
  return {
    line: entry.line,
    recipient: entry.recipient ?? 'erased',
    ...fateOf(entry, broadcast),
    errcode: entry.errcode === null ? null : Number(entry.errcode),
    message_id: entry.messageId,
    queued_at: entry.queuedAt?.toISOString() ?? null,
    finished_at: entry.finishedAt?.toISOString() ?? null,
    receipt_at: entry.receiptAt?.toISOString() ?? null,
  }
}

function fateOf(entry: ReportEntry, { status }: StoredBroadcast) {
  if (entry.status !== null) return { status: entry.status, reason: entry.reason }
  if (entry.recipient === null) return { status: 'cancelled', reason: 'erased' }
  switch (fateOfTheRest(status)) {
    case 'waiting':
      return { status: 'waiting', reason: null }
    case 'cancelled':
      return { status: 'cancelled', reason: 'broadcast_cancelled' }
    case 'expired':
      return { status: 'expired', reason: 'expired' }
  }
}

function badReportLine({ line, reason }: BadLine): ReportLine {
  return {
    line,
    recipient: null,
    status: 'bad_line',
    reason,
    errcode: null,
    message_id: null,
    queued_at: null,
    finished_at: null,
    receipt_at: null,
  }
}

/** The report as CSV (RFC 4180), a page at a time, headings first. */
export async function* reportCsv(
  pages: AsyncIterable<readonly ReportLine[]>,
): AsyncGenerator<string, void> {
  yield csvRow(COLUMNS)
  for await (const page of pages) {
    yield page.map((line) => csvRow(COLUMNS.map((column) => line[column]))).join('')
  }
}

/**
 * One row of CSV. A text that a spreadsheet would take for a formula has an apostrophe in front: who
 * sends us a recipient must not run anything on the machine of who opens the report.
 *
 * @see OWASP, “CSV Injection”.
 */
export function csvRow(values: readonly (string | number | null)[]): string {
  return `${values.map(csvCell).join(',')}\r\n`
}

function csvCell(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const harmless = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
