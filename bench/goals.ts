import type { Ratio } from './report.ts'
import { ratioOf, type Series } from './sample.ts'
import { spreadOf } from './statistics.ts'

interface Goal extends Omit<Ratio, 'value'> {
  readonly above: string
  readonly below: string
  readonly figure: 'rate' | 'p99Ms'
}

const RATE = { figure: 'rate', better: 'more' } as const

/** What the project wants to reach; a goal of null is only printed. Keys are those of the series. */
const GOALS: readonly Goal[] = [
  {
    ...RATE,
    name: 'durable callbacks/s ÷ wechat in memory, 64 connections',
    above: 'gateway64',
    below: 'wechat64',
    goal: { goal: 3, bound: 2 },
  },
  {
    ...RATE,
    name: 'text messages alone/s ÷ wechat in memory, 64 connections',
    above: 'messages64',
    below: 'wechat64',
    goal: null,
  },
  {
    ...RATE,
    name: 'durable callbacks/s ÷ co-wechat in memory, 64 connections',
    above: 'gateway64',
    below: 'co-wechat64',
    goal: null,
  },
  {
    ...RATE,
    name: 'durable callbacks/s ÷ wechat in memory, 256 connections',
    above: 'gateway256',
    below: 'wechat256',
    goal: null,
  },
  {
    ...RATE,
    name: 'durable callbacks/s ÷ Express 5 hello, same body',
    above: 'gateway64',
    below: 'express64',
    goal: { goal: 0.9, bound: 0.6 },
  },
  {
    ...RATE,
    name: 'durable callbacks/s ÷ single-row inserts/s',
    above: 'gateway64',
    below: 'inserts64',
    goal: { goal: 1.3, bound: 0.9 },
  },
  {
    name: 'p99 ÷ p99 of wechat in memory, 64 connections',
    above: 'gateway64',
    below: 'wechat64',
    figure: 'p99Ms',
    better: 'less',
    goal: { goal: 0.3, bound: 0.6 },
  },
  {
    ...RATE,
    name: 'floor, nothing kept, ÷ Express 5 hello, same body',
    above: 'opened64',
    below: 'express64',
    goal: null,
  },
  {
    ...RATE,
    name: 'floor, one row each, ÷ Express 5 hello, same body',
    above: 'one-row64',
    below: 'express64',
    goal: null,
  },
  {
    ...RATE,
    name: 'floor, one row each, ÷ wechat in memory, 64 connections',
    above: 'one-row64',
    below: 'wechat64',
    goal: null,
  },
  {
    name: 'floor, one row each, p99 ÷ p99 of wechat in memory, 64 connections',
    above: 'one-row64',
    below: 'wechat64',
    figure: 'p99Ms',
    better: 'less',
    goal: null,
  },
  {
    ...RATE,
    name: 'sends/s ÷ undici alone, 5 ms, 256 in flight',
    above: 'sends5',
    below: 'calls5',
    goal: { goal: 0.6, bound: 0.4 },
  },
  {
    ...RATE,
    name: 'sends/s ÷ undici alone, 50 ms, 512 in flight',
    above: 'sends50',
    below: 'calls50',
    goal: null,
  },
  {
    ...RATE,
    name: 'callbacks/s, many rows ÷ few rows, the same people writing',
    above: 'large',
    below: 'small',
    goal: { goal: 0.95, bound: 0.85 },
  },
  {
    ...RATE,
    name: 'callbacks/s, many rows ÷ few rows, any of all the people writing',
    above: 'largeAnybody',
    below: 'small',
    goal: null,
  },
]

/** The ratios of whatever was measured. */
export function ratiosOf(series: Readonly<Record<string, Series>>): Ratio[] {
  return GOALS.flatMap(({ above, below, figure, ...goal }) => {
    const [ours, theirs] = [series[above], series[below]]
    return ours && theirs ? [{ ...goal, value: ratioOf(ours, theirs, figure) }] : []
  })
}

/** The largest of the peaks, as a figure that has a goal. */
export function memoryRatio(megabytes: readonly number[]): Ratio[] {
  if (megabytes.length === 0) return []
  return [
    {
      name: 'peak memory of the gateway, MB',
      value: spreadOf([Math.max(...megabytes)]),
      goal: { goal: 200, bound: 300 },
      better: 'less',
    },
  ]
}
