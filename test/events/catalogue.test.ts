import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CATALOGUE, EFFECTS, findRow, rowOf } from '../../src/events/catalogue.ts'

const PAGE = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8')

/** The cells of the table under a heading of the page, without its two head lines. */
function tableUnder(heading: string): string[][] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

describe('docs/events.md', () => {
  const rows = CATALOGUE.map((row) => [
    row.name.startsWith('(') ? row.name : `\`${row.name}\``,
    `\`${row.kind}\``,
    { from_user: '`FromUserName`', open_id: '`OpenID`', none: 'nobody' }[row.subject],
    `\`${row.effect}\``,
    row.note,
  ])

  it('has every row of the catalogue, and no other, in its order', () => {
    expect(tableUnder('Every event')).toEqual(rows)
  })

  it('explains every effect, and no other', () => {
    expect(tableUnder('What each effect does').map(([name]) => name)).toEqual(
      EFFECTS.map((effect) => `\`${effect}\``),
    )
  })
})

describe('CATALOGUE', () => {
  it('has each kind once', () => {
    const kinds = CATALOGUE.map((row) => row.kind)
    expect(new Set(kinds).size).toBe(kinds.length)
  })

  it.each(CATALOGUE.filter((row) => /^\w+$/.test(row.name)))(
    'names $kind after the platform, in lower case, and finds it in any case',
    ({ kind, name }) => {
      const [family] = kind.split('.')
      expect(kind).toBe(`${family}.${name.toLowerCase()}`)
      for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
        const row = family === 'event' ? findRow('event', spelling) : findRow(spelling, '')
        expect(row.kind).toBe(kind)
      }
    },
  )

  it('uses every effect', () => {
    expect([...new Set(CATALOGUE.map((row) => row.effect))].sort()).toEqual([...EFFECTS].sort())
  })

  it('reads the person of an authorisation event from OpenID', () => {
    const rows = CATALOGUE.filter((row) => /^user_(authorization|info)_/.test(row.name))
    expect(rows.map((row) => row.subject)).toEqual(Array(4).fill('open_id'))
  })
})

describe('findRow', () => {
  it.each([
    ['event', 'subscribe', 'event.subscribe'],
    ['Event', 'user_authorization_revoke', 'event.user_authorization_revoke'],
    ['event', 'LOCATION', 'event.location'],
    ['location', '', 'message.location'],
    ['text', 'subscribe', 'message.text'],
    ['event', 'guide_qrcode_scan_event', 'event.guide'],
    ['event', 'user_authorization_paused', 'event.user_authorization'],
    ['event', 'guide', 'event.unknown'],
    ['event', 'subscribe ', 'event.unknown'],
    ['event', 'invented_tomorrow', 'event.unknown'],
    ['event', 'constructor', 'event.unknown'],
    ['event', '', 'event.unknown'],
    ['hologram', '', 'message.unknown'],
    ['__proto__', '', 'message.unknown'],
    ['', 'subscribe', 'message.unknown'],
  ])('gives MsgType %j with Event %j the kind %s', (msgType, event, kind) => {
    expect(findRow(msgType, event).kind).toBe(kind)
  })
})

describe('rowOf', () => {
  it.each(CATALOGUE)('finds $kind', (row) => {
    expect(rowOf(row.kind)).toBe(row)
  })
})
