import { isDeepStrictEqual } from 'node:util'
import type { Fields } from '../../src/events/document.ts'
import { readQuickly } from '../../src/receiver/quick-xml.ts'
import { readXmlOfRecord, type XmlResult } from '../../src/receiver/xml.ts'
import { createDocumentMaker } from '../support/xml-documents.ts'

export interface Comparison {
  readonly documents: number
  /** How many the quick reader took. */
  readonly readQuickly: number
  /** How many the reader of record does not refuse. */
  readonly readable: number
  /** Documents that the quick reader takes and the reader of record refuses or reads otherwise. */
  readonly disagreements: readonly string[]
}

/** Gives made documents to both readers. */
export function compareReaders(seed: number, documents: number): Comparison {
  const maker = createDocumentMaker(seed)
  const disagreements: string[] = []
  let taken = 0
  let readable = 0
  for (let made = 0; made < documents; made++) {
    const document = maker.next()
    const quick = readQuickly(document)
    const record = readXmlOfRecord(document)
    if (quick) taken++
    if (record.ok) readable++
    if (!agree(quick, record)) disagreements.push(document)
  }
  return { documents, readQuickly: taken, readable, disagreements }
}

/** Whether the quick reader handed the document over, or read what the reader of record read. */
function agree(quick: Fields | undefined, record: XmlResult): boolean {
  if (quick === undefined) return true
  // Strictly: prototypes count. The written form adds the order of the names.
  return (
    record.ok &&
    isDeepStrictEqual(quick, record.fields) &&
    JSON.stringify(quick) === JSON.stringify(record.fields)
  )
}

/** `node test/receiver/fuzz-xml.ts [documents] [seed]`: a million documents, unless told otherwise. */
function main(args: readonly string[]): number {
  const documents = Number(args[0] ?? 1_000_000)
  const seed = Number(args[1] ?? Date.now() % 2 ** 32)
  if (!Number.isSafeInteger(documents) || !Number.isSafeInteger(seed)) {
    process.stderr.write('usage: node test/receiver/fuzz-xml.ts [documents] [seed]\n')
    return 2
  }
  process.stdout.write(`seed ${seed}\n`)
  const started = performance.now()
  const compared = compareReaders(seed, documents)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const share = ((100 * compared.readQuickly) / documents).toFixed(1)
  for (const document of compared.disagreements.slice(0, 10)) {
    process.stdout.write(`disagree: ${JSON.stringify(document.slice(0, 2000))}\n`)
  }
  process.stdout.write(
    `${documents} documents in ${seconds} s: ${compared.readable} readable, ` +
      `${compared.readQuickly} read quickly (${share} %), ` +
      `${compared.disagreements.length} disagreements\n`,
  )
  return compared.disagreements.length > 0 ? 1 : 0
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2))
