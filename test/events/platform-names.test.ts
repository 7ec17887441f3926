import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { EVENT_SOURCES, type EventSource } from '../../src/accounts/account.ts'
import type { Effect } from '../../src/events/catalogue-row.ts'
import { CATALOGUE, KF_CATALOGUE, rowOf, type CatalogueRow } from '../../src/events/catalogue.ts'
import { readEvent } from '../../src/events/read-event.ts'
import { readKfMessage } from '../../src/events/read-kf-message.ts'
import { HEADINGS, tableUnder } from '../support/events-page.ts'
import { readCsv } from '../support/read-csv.ts'

const RECEIVED_AT = new Date('2026-01-02T00:00:01Z')

/**
 * What the platforms' documents say of their events, row by row: name, whose it is, what it means; in
 * the order of a reading of them, by its sections (`more`: known from elsewhere).
 */
const FACTS_FILE = new URL('../fixtures/platform-events.csv', import.meta.url)

/** Our effects, by what the documents say that an event means. */
const EFFECT_OF: Readonly<Record<string, Effect>> = {
  none: 'none',
  // nothing of consent
  secret: 'none',
  signal: 'signal',
  'nothing said': 'signal',
  'opens the reply window': 'message_interaction',
  'opens the session window': 'session_interaction',
  'a menu click that opens a short window': 'menu_interaction',
  'a scan of a follower': 'scan_interaction',
  'grants the channel': 'follow',
  'revokes the channel': 'unfollow',
  'revokes on user block': 'template_receipt',
  'counts of a mass send': 'mass_receipt',
  'grants or revokes templates': 'subscription_popup',
  'revokes templates': 'subscription_change',
  'consumes a right of a template': 'subscription_sent',
  'templates by fields that are not published': 'signal',
  'revokes personal data': 'authorization_revoked',
  'revokes the channel and personal data and erases': 'account_cancelled',
  'grants the tenant': 'tenant_granted',
  'grants the tenant by status': 'tenant_registered',
  'revokes the tenant': 'tenant_revoked',
  'revokes the tenant after a check': 'tenant_doubted',
  'permissions to be read again': 'tenant_changed',
  'a code to be exchanged': 'tenant_changed',
  // the follow-up reads it again
  'changes the scope of the tenant': 'signal',
  'changes the scope of a kf account': 'kf_accounts_changed',
  'gives customers other ids': 'signal',
  'shows the app to the member': 'member_added',
  'hides the app from the member': 'member_removed',
  'gives the member another id': 'member_renamed',
  'revokes the member and erases': 'member_deleted',
  'written by a member': 'member_message',
  'grants the channel to a parent': 'school_follow',
  'revokes the channel of a parent': 'school_unfollow',
  'grants the channel of a pair': 'contact_added',
  'revokes the channel of a pair by staff': 'contact_deleted',
  'revokes the channel of a pair by the customer': 'contact_left',
  'revokes on customer_refused': 'contact_transfer_failed',
  // no channel writes to a group
  'revokes the channel of a group': 'signal',
  'grants the archive': 'archive_agreed',
  'opens the window of a kf account': 'kf_message',
  'revokes or shuts by fail_type': 'kf_send_failed',
  'stops the session by staff': 'kf_reject_switch',
}

/** The follow-up without which what an event says would be lost: its effect alone changes nothing. */
const FOLLOW_UPS_OF: Readonly<Record<string, readonly string[]>> = {
  secret: ['keep_ticket'],
  'permissions to be read again': ['read_tenant'],
  'a code to be exchanged': ['exchange_auth_code'],
  'changes the scope of the tenant': ['read_tenant'],
  'changes the scope of a kf account': ['read_kf_accounts'],
  'gives customers other ids': ['rekey_external_contacts'],
  'gives the member another id': ['rekey_member'],
  'revokes the channel of a group': ['forget_chat'],
}

type Place = EventSource | 'kf'

interface Fact {
  readonly place: Place
  readonly routes: readonly string[]
  readonly name: string
  readonly change: string
  readonly subject: string
  readonly means: string
}

const PLACES: readonly Place[] = [...EVENT_SOURCES, 'kf']
const FACTS: readonly Fact[] = readCsv(readFileSync(FACTS_FILE, 'utf8'))
  .slice(1)
  .flatMap(([, sources = '', routes = '', name = '', change = '', subject = '', means = '']) =>
    sources.split(' ').map((source, at) => ({
      place: source as Place,
      // where a name has another place in each source, they are in the same order
      routes:
        sources.includes(' ') && routes.includes(' ')
          ? [routes.split(' ')[at] ?? '']
          : routes.split(' '),
      name,
      change,
      subject,
      means,
    })),
  )

/** One line for an event, the same from wherever it was read. */
const line = (name: string, change: string, subject: string, effect: string) =>
  `${name}${change === '' ? '' : ` + ${change}`}, of ${subject || 'nobody'}: ${effect}`

const factLines = (place: Place) =>
  FACTS.filter((fact) => fact.place === place)
    .map(({ name, change, subject, means }) =>
      line(name, change, subject, EFFECT_OF[means] ?? means),
    )
    .toSorted()

const rowsOf = (place: Place): readonly CatalogueRow[] =>
  place === 'kf' ? KF_CATALOGUE : CATALOGUE[place]

/** Rows for what the platform has not told us of: they are ours. */
const isForOthers = ({ name, changeType }: Pick<CatalogueRow, 'name' | 'changeType'>) =>
  /^\(any/.test(name) || changeType === '*'

const withoutTicks = (cell = '') => cell.replaceAll('`', '')

describe('the events that the documents of the platforms name', () => {
  it.each(PLACES)('are those of %s in the catalogue, and mean there what they say', (place) => {
    const rows = rowsOf(place).filter((row) => !isForOthers(row))
    const lines = rows.map((row) =>
      line(row.name, row.changeType ?? '', row.subject ?? '', row.effect),
    )
    expect(lines.toSorted()).toEqual(factLines(place))
  })

  it.each(PLACES)('are those of %s in docs/events.md, and mean there what they say', (place) => {
    const rows = tableUnder(HEADINGS[place]).flatMap(([names, , subject, effect]) => {
      const [name = '', change = ''] = withoutTicks(names).split(' + ')
      if (isForOthers({ name, changeType: change === 'any other' ? '*' : change })) return []
      return [line(name, change, withoutTicks(subject).replace('nobody', ''), withoutTicks(effect))]
    })
    expect(rows.toSorted()).toEqual(factLines(place))
  })

  it('mean one thing of ours each, and all that we know of', () => {
    expect(new Set(FACTS.map(({ means }) => means))).toEqual(new Set(Object.keys(EFFECT_OF)))
  })

  it('are followed up where their effect alone would change nothing', () => {
    for (const { place, name, change, means } of FACTS) {
      const row = rowsOf(place).find(
        (one) => one.name === name && (one.changeType ?? '') === change,
      )
      const wanted = FOLLOW_UPS_OF[means]
      if (wanted) expect(wanted, name).toContain(row?.followUp)
    }
  })

  it('leave to later ones what changes nothing', () => {
    const later = PLACES.flatMap(rowsOf).filter(isForOthers)
    expect(later.length).toBeGreaterThan(10)
    for (const { kind, effect } of later) expect(['none', 'signal'], kind).toContain(effect)
  })
})

const CASES = FACTS.filter(({ place }) => place !== 'kf').flatMap(({ place, routes, ...fact }) =>
  routes.map((route) => ({ ...fact, source: place as EventSource, route })),
)

describe('every name of the platform', () => {
  it.each(CASES)('is known: $name $change of $source as $route', (fact) => {
    const { source, route, change } = fact
    const name = fact.name.replace('*', 'invented')
    const record = readEvent({
      source,
      fields: {
        ...(route === 'Event' && { MsgType: 'event' }),
        [route]: name,
        ...(change !== '' && { ChangeType: change }),
      },
      timestamp: undefined,
      receivedAt: RECEIVED_AT,
    })
    const row = rowOf(record.kind)
    expect([row.name, row.changeType ?? '']).toEqual([fact.name, change])
  })

  it.each(
    FACTS.filter(({ routes }) => routes.includes('event_type')).filter(
      ({ place }) => place === 'kf',
    ),
  )('is known: $name of customer service', ({ name }) => {
    const fields = { msgtype: 'event', origin: '4', event: { event_type: name } }
    const record = readKfMessage({ fields, receivedAt: RECEIVED_AT })
    expect(record).toMatchObject({ kind: `kf.${name}`, name })
  })
})
