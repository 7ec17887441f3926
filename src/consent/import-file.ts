import type { Clock } from '../foundation/clock.ts'
import {
  formatOf,
  readLine,
  type ImportedConsent,
  type LineFormat,
  type LineProblem,
} from './import-line.ts'

/** A line that cannot be imported, by its number in the file, from 1. */
export interface BadLine {
  readonly line: number
  readonly problem: LineProblem
}

/** What a file holds. */
export interface FileCheck {
  readonly consents: number
  /** The first of the bad lines. */
  readonly bad: readonly BadLine[]
  readonly badCount: number
}

export interface ImportProgress {
  readonly read: number
  readonly written: number
}

/** The lines of a file, from its beginning; called once for the check, once for the import. */
export type OpenLines = () => AsyncIterable<string>

/** One transaction's worth; each person takes a lock for its length. */
const BATCH = 1_000
const SHOWN = 100

/** Reads a whole file and writes nothing, so that nothing is imported from one with a bad line. */
export async function checkFile(lines: OpenLines, clock: Clock): Promise<FileCheck> {
  const bad: BadLine[] = []
  let badCount = 0
  let consents = 0
  for await (const { line, read } of readFile(lines, clock)) {
    if (read.kind === 'consent') consents += 1
    else {
      badCount += 1
      if (bad.length < SHOWN) bad.push({ line, problem: read.problem })
    }
  }
  return { consents, bad, badCount }
}

/**
 * Imports a checked file in batches. It can be stopped anywhere and begun again from the start: what
 * has been written is found and left out.
 */
export async function importFile(
  lines: OpenLines,
  options: {
    readonly clock: Clock
    readonly write: (consents: readonly ImportedConsent[]) => Promise<number>
    readonly onProgress: (progress: ImportProgress) => void
    readonly signal: AbortSignal
  },
): Promise<ImportProgress> {
  const { clock, write, onProgress, signal } = options
  let progress: ImportProgress = { read: 0, written: 0 }
  let batch: ImportedConsent[] = []
  const flush = async () => {
    const written = await write(batch)
    progress = { read: progress.read + batch.length, written: progress.written + written }
    batch = []
    onProgress(progress)
  }
  for await (const { read } of readFile(lines, clock)) {
    if (signal.aborted) return progress
    if (read.kind === 'consent') batch.push(read.consent)
    if (batch.length === BATCH) await flush()
  }
  if (batch.length > 0) await flush()
  return progress
}

async function* readFile(lines: OpenLines, clock: Clock) {
  const now = clock.now()
  let format: LineFormat | undefined
  let number = 0
  for await (const raw of lines()) {
    number += 1
    const text = number === 1 ? raw.replace(/^\uFEFF/, '') : raw
    if (text.trim() === '') continue
    const isHeading = format === undefined
    format ??= formatOf(text)
    if (isHeading && format.kind === 'csv') continue
    yield { line: number, read: readLine(text, format, now) }
  }
}
