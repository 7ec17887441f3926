import { describe, expect, it } from 'vitest'
import { EVENT_SOURCES, type EventSource } from '../../src/accounts/account.ts'
import { EFFECTS, FOLLOW_UPS, SECRET_NAMES, type Route } from '../../src/events/catalogue-row.ts'
import {
  CATALOGUE,
  findEntry,
  findKfRow,
  findRow,
  KF_CATALOGUE,
  rowOf,
  type CatalogueRow,
} from '../../src/events/catalogue.ts'
import { EVENTS_PAGE, HEADINGS, tableUnder } from '../support/events-page.ts'

const ROWS: readonly CatalogueRow[] = [
  ...new Set([...EVENT_SOURCES.flatMap((source) => CATALOGUE[source]), ...KF_CATALOGUE]),
]
const code = (text: string) => `\`${text}\``

function nameCell({ name, changeType }: CatalogueRow): string {
  if (name.startsWith('(')) return name
  if (changeType === undefined) return code(name)
  return `${code(name)} + ${changeType === '*' ? 'any other' : code(changeType)}`
}

const cellsOf = (row: CatalogueRow) => [
  nameCell(row),
  code(row.kind),
  row.subject === null ? 'nobody' : code(row.subject),
  code(row.effect),
  row.note,
]

describe('docs/events.md', () => {
  it.each(EVENT_SOURCES)('has every row of %s, and no other, in its order', (source) => {
    expect(tableUnder(HEADINGS[source])).toEqual(CATALOGUE[source].map(cellsOf))
  })

  it('has every row of customer service, and no other, in its order', () => {
    expect(tableUnder(HEADINGS.kf)).toEqual(KF_CATALOGUE.map(cellsOf))
  })

  it('explains every effect, and no other', () => {
    expect(tableUnder('What each effect does').map(([name]) => name)).toEqual(EFFECTS.map(code))
  })

  it('names every follow-up with the kinds that cause it, and no other', () => {
    expect(tableUnder('What an event causes').map(([name, kinds]) => [name, kinds])).toEqual(
      FOLLOW_UPS.map((job) => [
        code(job),
        ROWS.filter((row) => row.followUp === job)
          .map((row) => code(row.kind))
          .join(', '),
      ]),
    )
  })

  it('names every event that carries a credential, and no other', () => {
    const sealed = ROWS.filter((row) => row.secrets !== undefined && row.secrets !== SECRET_NAMES)
    expect(tableUnder('Credentials')).toEqual(
      sealed.map((row) => [code(row.kind), row.secrets?.map(code).join(', ')]),
    )
    for (const name of SECRET_NAMES) expect(EVENTS_PAGE).toContain(code(name))
  })
})

describe('CATALOGUE', () => {
  it('has each kind once', () => {
    const kinds = ROWS.map((row) => row.kind)
    expect(new Set(kinds).size).toBe(kinds.length)
  })

  it('names few enough kinds to label a metric, each short', () => {
    expect(ROWS.length).toBeLessThan(300)
    for (const { kind } of ROWS) expect(kind).toMatch(/^[a-z0-9_.]{1,80}$/)
  })

  const plain = EVENT_SOURCES.flatMap((source) =>
    CATALOGUE[source]
      .filter((row) => /^\w+$/.test(row.name))
      .map((row) => ({ source, row, kind: row.kind })),
  )

  it.each(plain)('names $kind of $source after the platform, in lower case', ({ row }) => {
    const own = row.changeType === undefined || row.changeType === '*' ? [] : [row.changeType]
    const room = row.kind.startsWith('wecom.message.')
      ? ['wecom', 'message']
      : [row.kind.split('.')[0]]
    expect(row.kind).toBe([...room, row.name, ...own].join('.').toLowerCase())
  })

  it.each(plain)('finds $kind of $source in any case', ({ source, row }) => {
    const routes = ['MsgType', 'Event', 'InfoType'] as const
    const type = row.changeType ?? ''
    for (const spell of [
      String,
      (text: string) => text.toLowerCase(),
      (text: string) => text.toUpperCase(),
    ]) {
      const found = routes.map((route) =>
        findRow(findEntry(source, route, spell(row.name)), spell(type)),
      )
      expect(found).toContain(row)
    }
  })

  it('uses every effect and every follow-up', () => {
    expect([...new Set(ROWS.map((row) => row.effect))].sort()).toEqual([...EFFECTS].sort())
    const jobs = new Set(ROWS.flatMap((row) => row.followUp ?? []))
    expect([...jobs].sort()).toEqual([...FOLLOW_UPS].sort())
  })

  it('reads the person of an authorisation event from OpenID', () => {
    const rows = ROWS.filter((row) => /^user_(authorization|info)_/.test(row.name))
    expect(rows.map((row) => row.subject)).toEqual(Array(4).fill('OpenID'))
  })

  it('keeps unknown pushes of the encrypted kinds without what may be a credential', () => {
    for (const kind of [
      'component.unknown',
      'suite.unknown',
      'wecom.unknown',
      'kf.unknown',
    ] as const) {
      expect(rowOf(kind).secrets).toBe(SECRET_NAMES)
    }
  })
})

describe('findEntry', () => {
  it.each<[EventSource, Route, string, string, string]>([
    ['official_account', 'Event', 'subscribe', '', 'event.subscribe'],
    ['official_account', 'Event', 'LOCATION', '', 'event.location'],
    ['official_account', 'Event', 'subscribe', 'delete_user', 'event.subscribe'],
    ['official_account', 'MsgType', 'location', '', 'message.location'],
    ['official_account', 'MsgType', 'text', '', 'message.text'],
    ['official_account', 'Event', 'guide_qrcode_scan_event', '', 'event.guide'],
    ['official_account', 'Event', 'user_authorization_paused', '', 'event.user_authorization'],
    ['official_account', 'Event', 'guide', '', 'event.unknown'],
    ['official_account', 'Event', 'subscribe ', '', 'event.unknown'],
    ['official_account', 'Event', 'user_enter_tempsession', '', 'event.unknown'],
    ['official_account', 'Event', 'change_contact', 'delete_user', 'event.unknown'],
    ['official_account', 'Event', 'constructor', '', 'event.unknown'],
    ['official_account', 'Event', '', '', 'event.unknown'],
    ['official_account', 'InfoType', 'authorized', '', 'event.unknown'],
    ['official_account', 'MsgType', 'miniprogrampage', '', 'message.unknown'],
    ['official_account', 'MsgType', '__proto__', '', 'message.unknown'],
    ['official_account', 'MsgType', '', '', 'message.unknown'],
    ['mini_program', 'Event', 'subscribe', '', 'event.unknown'],
    ['mini_program', 'Event', 'unsubscribe', '', 'event.unknown'],
    ['mini_program', 'Event', 'CLICK', '', 'event.unknown'],
    ['mini_program', 'Event', 'xpay_goods_deliver_notify', '', 'event.xpay'],
    ['mini_program', 'Event', 'trade_manage_order_settlement', '', 'event.trade_manage'],
    ['mini_program', 'MsgType', 'miniprogrampage', '', 'message.miniprogrampage'],
    ['component', 'InfoType', 'Authorized', '', 'component.authorized'],
    ['component', 'Event', 'authorized', '', 'component.unknown'],
    ['component', 'Event', 'betaapp_verify_event', '', 'component.betaapp_verify_event'],
    ['component', 'MsgType', 'text', '', 'component.unknown'],
    ['wecom', 'Event', 'subscribe', '', 'wecom.subscribe'],
    ['wecom', 'Event', 'CLICK', '', 'wecom.click'],
    ['wecom', 'Event', 'change_contact', 'DELETE_USER', 'wecom.change_contact.delete_user'],
    ['wecom', 'Event', 'change_contact', 'invented', 'wecom.change_contact'],
    ['wecom', 'Event', 'change_contact', '', 'wecom.change_contact'],
    [
      'wecom',
      'Event',
      'change_school_contact',
      'subscribe',
      'wecom.change_school_contact.subscribe',
    ],
    ['wecom', 'Event', 'change_external_chat', 'create', 'wecom.change_external_chat.create'],
    ['wecom', 'Event', 'change_external_tag', 'create', 'wecom.change_external_tag.create'],
    ['wecom', 'Event', 'change_external_tag', 'dismiss', 'wecom.change_external_tag'],
    ['wecom', 'Event', 'create_auth', '', 'wecom.unknown'],
    ['wecom', 'Event', 'delete_user', 'delete_user', 'wecom.unknown'],
    ['wecom', 'Event', 'meeting_change', 'start', 'wecom.meeting'],
    ['wecom', 'MsgType', 'file', '', 'wecom.message.unknown'],
    ['wecom_suite', 'InfoType', 'create_auth', '', 'suite.create_auth'],
    [
      'wecom_suite',
      'InfoType',
      'change_contact',
      'delete_user',
      'suite.change_contact.delete_user',
    ],
    ['wecom_suite', 'event_type', 'hit_keyword', '', 'suite.hit_keyword'],
    ['wecom_suite', 'Event', 'program_notify', '', 'suite.program_notify'],
    ['wecom_suite', 'Event', 'subscribe', '', 'suite.unknown'],
    ['wecom_suite', 'MsgType', 'text', '', 'suite.unknown'],
  ])('of %s gives %s %j with ChangeType %j the kind %s', (source, route, name, type, kind) => {
    expect(findRow(findEntry(source, route, name), type).kind).toBe(kind)
  })
})

describe('findKfRow', () => {
  it.each([
    ['origin', '3', 'kf.message'],
    ['origin', '5', 'kf.staff_message'],
    ['origin', '4', 'kf.unknown'],
    ['origin', '', 'kf.unknown'],
    ['event_type', 'Enter_Session', 'kf.enter_session'],
    ['event_type', 'invented', 'kf.unknown'],
    ['event_type', '', 'kf.unknown'],
  ] as const)('gives %s %j the kind %s', (route, name, kind) => {
    expect(findKfRow(route, name).kind).toBe(kind)
  })
})

describe('rowOf', () => {
  it.each(ROWS)('finds $kind', (row) => {
    expect(rowOf(row.kind)).toBe(row)
  })
})
