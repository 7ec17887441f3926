import type { ChaosReport } from './run-chaos.ts'

/** Ids of one broken invariant that are printed; the rest is counted. */
const MOST_IDS = 20

/** The whole report as text: what must be so, what there was, and where something is broken. */
export function writeReport({ size, tookSeconds, verdict }: ChaosReport): string {
  const { invariants, counts, records = [] } = verdict
  const { messages, seed, processes } = size
  return [
    table(
      ['promise', 'must be none', 'found'],
      invariants.map(({ promise, name, broken }) => [promise, name, number(broken.length)]),
    ),
    table(
      ['', 'count'],
      Object.entries(counts).map(([name, count]) => [name, number(count)]),
    ),
    ...invariants
      .filter(({ broken }) => broken.length > 0)
      .map(({ promise, name, broken }) => {
        const more = broken.length > MOST_IDS ? `, and ${broken.length - MOST_IDS} more` : ''
        return `BROKEN ${promise}: ${name}: ${broken.slice(0, MOST_IDS).join(', ')}${more}`
      }),
    ...(records.length > 0 ? [records.join('\n')] : []),
    `${number(messages)} messages, ${processes} processes, seed ${seed}, ${Math.round(tookSeconds)} s`,
  ].join('\n\n')
}

/** Nothing that may never happen did. */
export function holds({ verdict }: ChaosReport): boolean {
  return verdict.invariants.every(({ broken }) => broken.length === 0)
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

/** A table in Markdown, so that it can be put into a document. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const last = head.length - 1
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === last ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join(' | ')} |`
  const rule = widths.map((width, column) =>
    column === last ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  )
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}
