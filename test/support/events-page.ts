import { readFileSync } from 'node:fs'
import type { EventSource } from '../../src/accounts/account.ts'

export const EVENTS_PAGE = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8')

/** The headings of docs/events.md, by where a row is looked up. */
export const HEADINGS: Readonly<Record<EventSource | 'kf', string>> = {
  official_account: 'Official Account (`official_account`)',
  mini_program: 'Mini Program (`mini_program`)',
  component: 'Third-party platform (`component`)',
  wecom: 'WeCom (`wecom`)',
  wecom_suite: 'WeCom suite (`wecom_suite`)',
  kf: 'Items of customer service (`kf/sync_msg`)',
}

/** The cells of the table under a heading of docs/events.md, without its two head lines. */
export function tableUnder(heading: string): string[][] {
  const section = EVENTS_PAGE.split(/^##+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}
