import { spreadOfFigure, type Series } from './sample.ts'
import type { Spread } from './statistics.ts'

/** A figure of the run that is not a rate. */
export interface Figure {
  readonly name: string
  readonly unit: 'ms' | 'MB'
  readonly value: Spread
}

/** A figure that must reach something. */
export interface Ratio {
  readonly name: string
  readonly value: Spread
  /** What we want, and the least that will do (the most, when less is better); null: no goal. */
  readonly goal: { readonly goal: number; readonly bound: number } | null
  readonly better: 'more' | 'less'
}

/** Something that must be so whatever the speed. */
export interface Check {
  readonly name: string
  readonly expected: number
  readonly found: number
}

export interface Report {
  readonly startedAt: string
  readonly machine: Readonly<Record<string, string | number>>
  readonly tookSeconds: number
  readonly series: readonly Series[]
  readonly figures: readonly Figure[]
  readonly ratios: readonly Ratio[]
  readonly checks: readonly Check[]
}

/** The whole report as text; tables in Markdown, so that they can be put into a document. */
export function writeReport(report: Report): string {
  const { machine, tookSeconds } = report
  return [
    Object.entries(machine)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
    writeTable(SERIES_HEAD, report.series.map(seriesRow)),
    writeTable(['', 'median', 'least – most'], report.figures.map(figureRow)),
    writeTable(
      ['ratio, round by round', 'median', 'least – most', 'goal', 'bound', ''],
      report.ratios.map(ratioRow),
    ),
    report.checks.map(writeCheck).join('\n'),
    `took ${Math.round(tookSeconds)} s`,
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

const SERIES_HEAD = [
  'per second, one process each',
  'median',
  'least – most',
  'p50 ms',
  'p99 ms',
  'own CPU µs',
  'PostgreSQL CPU µs',
]

function seriesRow(series: Series): string[] {
  const rate = spreadOfFigure(series, 'rate')
  const median = (figure: 'p50Ms' | 'p99Ms' | 'ownUs' | 'postgresUs', digits: number) => {
    const spread = spreadOfFigure(series, figure)
    return spread ? decimal(spread.median, digits) : '–'
  }
  return [
    series.name,
    rate ? decimal(rate.median, 0) : '–',
    rate ? range(rate, 0) : '–',
    median('p50Ms', 1),
    median('p99Ms', 1),
    median('ownUs', 0),
    median('postgresUs', 0),
  ]
}

function figureRow({ name, unit, value }: Figure): string[] {
  return [name, `${decimal(value.median, 0)} ${unit}`, range(value, 0)]
}

function ratioRow(ratio: Ratio): string[] {
  const digits = ratio.value.median >= 10 ? 0 : 2
  const limit = (value: number | undefined) =>
    value === undefined ? '–' : `${ratio.better === 'more' ? '≥' : '≤'} ${value}`
  return [
    ratio.name,
    decimal(ratio.value.median, digits),
    range(ratio.value, digits),
    limit(ratio.goal?.goal),
    limit(ratio.goal?.bound),
    verdict(ratio),
  ]
}

function verdict({ value, goal, better }: Ratio): string {
  if (!goal) return ''
  const reaches = (limit: number) =>
    better === 'more' ? value.median >= limit : value.median <= limit
  if (reaches(goal.goal)) return 'goal'
  return reaches(goal.bound) ? 'reached' : 'missed'
}

function writeCheck({ name, expected, found }: Check): string {
  return `${expected === found ? 'right' : 'WRONG'}: ${name}: ${found} of ${expected}`
}

function range({ least, most }: Spread, digits: number): string {
  return `${decimal(least, digits)} – ${decimal(most, digits)}`
}

function decimal(value: number, digits: number): string {
  if (Number.isNaN(value)) return '–'
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

/** Columns of equal width; numbers to the right. */
function writeTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const widths = head.map((name, column) =>
    Math.max(3, ...[name, ...rows.map((row) => row[column] ?? '')].map((text) => text.length)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}
