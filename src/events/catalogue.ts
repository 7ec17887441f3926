import type { EventSource } from '../accounts/account.ts'
import { InvariantError } from '../foundation/errors.ts'
import type { Route, Row } from './catalogue-row.ts'
import { COMPONENT_EVENTS, COMPONENT_NOTICES, UNKNOWN_TO_COMPONENT } from './component-rows.ts'
import { SUITE_CHANGES, SUITE_EVENTS, SUITE_NOTICES, UNKNOWN_TO_SUITE } from './suite-rows.ts'
import {
  MINI_PROGRAM_EVENTS,
  MINI_PROGRAM_FAMILIES,
  MINI_PROGRAM_MESSAGES,
  OFFICIAL_ACCOUNT_EVENTS,
  OFFICIAL_ACCOUNT_FAMILIES,
  SHARED_EVENTS,
  SHARED_FAMILIES,
  UNKNOWN_EVENT,
  UNKNOWN_MESSAGE,
  WECHAT_MESSAGES,
} from './wechat-rows.ts'
import {
  KF_EVENTS,
  KF_MESSAGE,
  KF_STAFF_MESSAGE,
  UNKNOWN_KF_ITEM,
  UNKNOWN_WECOM_EVENT,
  UNKNOWN_WECOM_MESSAGE,
  WECOM_CHANGES,
  WECOM_EVENTS,
  WECOM_FAMILIES,
  WECOM_MESSAGES,
  WECOM_OTHER_CHANGES,
} from './wecom-rows.ts'

const ROWS = {
  official_account: [
    ...WECHAT_MESSAGES,
    ...OFFICIAL_ACCOUNT_EVENTS,
    ...SHARED_EVENTS,
    ...OFFICIAL_ACCOUNT_FAMILIES,
    ...SHARED_FAMILIES,
    UNKNOWN_EVENT,
    UNKNOWN_MESSAGE,
  ],
  mini_program: [
    ...WECHAT_MESSAGES,
    ...MINI_PROGRAM_MESSAGES,
    ...SHARED_EVENTS,
    ...MINI_PROGRAM_EVENTS,
    ...SHARED_FAMILIES,
    ...MINI_PROGRAM_FAMILIES,
    UNKNOWN_EVENT,
    UNKNOWN_MESSAGE,
  ],
  component: [...COMPONENT_NOTICES, ...COMPONENT_EVENTS, UNKNOWN_TO_COMPONENT],
  wecom: [
    ...WECOM_MESSAGES,
    ...WECOM_EVENTS,
    ...WECOM_CHANGES,
    ...WECOM_OTHER_CHANGES,
    ...WECOM_FAMILIES,
    UNKNOWN_WECOM_EVENT,
    UNKNOWN_WECOM_MESSAGE,
  ],
  wecom_suite: [...SUITE_NOTICES, ...SUITE_EVENTS, ...SUITE_CHANGES, UNKNOWN_TO_SUITE],
} as const satisfies Record<EventSource, readonly Row[]>

const KF_ROWS = [
  ...KF_EVENTS,
  KF_MESSAGE,
  KF_STAFF_MESSAGE,
  UNKNOWN_KF_ITEM,
] as const satisfies readonly Row[]

export type EventKind =
  (typeof ROWS)[EventSource][number]['kind'] | (typeof KF_ROWS)[number]['kind']

export interface CatalogueRow extends Row {
  readonly kind: EventKind
}

/**
 * Every row by where it is looked up, in the order of docs/events.md; a test compares the two both
 * ways. An Official Account and a Mini Program share the rows of what both have.
 */
export const CATALOGUE: Readonly<Record<EventSource, readonly CatalogueRow[]>> = ROWS

/** What `kf/sync_msg` answers: no push has these, so no source does. */
export const KF_CATALOGUE: readonly CatalogueRow[] = KF_ROWS

/** What one name means: by itself, and with each `ChangeType` that makes a difference. */
export interface Entry {
  readonly row: CatalogueRow
  readonly changes: ReadonlyMap<string, CatalogueRow> | null
}

type Names = ReadonlyMap<string, Entry>

/** The names of one source, ready to be looked up. */
interface Index {
  readonly MsgType: Names
  readonly Event: Names
  readonly InfoType: Names
  readonly families: readonly { readonly prefix: string; readonly entry: Entry }[]
  readonly unknownEvent: Entry
  readonly unknownMessage: Entry
}

const NO_NAMES: Names = new Map()

const INDEXES: Readonly<Record<EventSource, Index>> = {
  official_account: {
    MsgType: byName(WECHAT_MESSAGES),
    Event: byName([...OFFICIAL_ACCOUNT_EVENTS, ...SHARED_EVENTS]),
    InfoType: NO_NAMES,
    families: byPrefix([...OFFICIAL_ACCOUNT_FAMILIES, ...SHARED_FAMILIES]),
    unknownEvent: alone(UNKNOWN_EVENT),
    unknownMessage: alone(UNKNOWN_MESSAGE),
  },
  mini_program: {
    MsgType: byName([...WECHAT_MESSAGES, ...MINI_PROGRAM_MESSAGES]),
    Event: byName([...SHARED_EVENTS, ...MINI_PROGRAM_EVENTS]),
    InfoType: NO_NAMES,
    families: byPrefix([...SHARED_FAMILIES, ...MINI_PROGRAM_FAMILIES]),
    unknownEvent: alone(UNKNOWN_EVENT),
    unknownMessage: alone(UNKNOWN_MESSAGE),
  },
  component: {
    MsgType: NO_NAMES,
    Event: byName(COMPONENT_EVENTS),
    InfoType: byName(COMPONENT_NOTICES),
    families: [],
    unknownEvent: alone(UNKNOWN_TO_COMPONENT),
    unknownMessage: alone(UNKNOWN_TO_COMPONENT),
  },
  wecom: {
    MsgType: byName(WECOM_MESSAGES),
    Event: byName([...WECOM_EVENTS, ...WECOM_CHANGES, ...WECOM_OTHER_CHANGES]),
    InfoType: NO_NAMES,
    families: byPrefix(WECOM_FAMILIES),
    unknownEvent: alone(UNKNOWN_WECOM_EVENT),
    unknownMessage: alone(UNKNOWN_WECOM_MESSAGE),
  },
  wecom_suite: {
    MsgType: NO_NAMES,
    Event: byName(SUITE_EVENTS),
    InfoType: byName([...SUITE_NOTICES, ...SUITE_CHANGES]),
    families: [],
    unknownEvent: alone(UNKNOWN_TO_SUITE),
    unknownMessage: alone(UNKNOWN_TO_SUITE),
  },
}

const BY_KIND: ReadonlyMap<string, CatalogueRow> = new Map(
  [...Object.values(CATALOGUE).flat(), ...KF_CATALOGUE].map((row) => [row.kind, row]),
)
const KF_BY_NAME = byName(KF_EVENTS)

/** A row that no `ChangeType` divides. */
function alone(row: CatalogueRow): Entry {
  return { row, changes: null }
}

function byName(rows: readonly CatalogueRow[]): Names {
  const names = new Map<string, Entry>()
  for (const [name, same] of Map.groupBy(rows, (row) => row.name.toLowerCase())) {
    // The row of every other ChangeType; where the platform's list is complete there is none.
    const other = same.find((row) => row.changeType === undefined || row.changeType === '*')
    if (!other) throw new InvariantError(`no catalogue row for a new ChangeType of ${name}`)
    const changes = new Map(same.map((row) => [row.changeType?.toLowerCase() ?? '', row]))
    names.set(name, { row: other, changes: same.length > 1 ? changes : null })
  }
  return names
}

function byPrefix(rows: readonly CatalogueRow[]): Index['families'] {
  return rows.map((row) => ({ prefix: row.name.slice(0, -1), entry: alone(row) }))
}

/**
 * What a name means, ignoring case within its source: one source never gives two meanings to
 * spellings that differ in case only, and its own documents vary (`event`, `Event`).
 *
 * @param route the element that holds the name.
 * @param name its text without outer spaces; '' when absent.
 * @returns an entry for every input; what is not listed is the source's unknown event or message.
 */
export function findEntry(source: EventSource, route: Route, name: string): Entry {
  const index = INDEXES[source]
  const key = name.toLowerCase()
  switch (route) {
    case 'MsgType':
      return index.MsgType.get(key) ?? index.unknownMessage
    case 'InfoType':
    case 'event_type':
      return index.InfoType.get(key) ?? index.unknownEvent
    case 'Event':
      return index.Event.get(key) ?? findFamily(index, key) ?? index.unknownEvent
  }
}

function findFamily(index: Index, key: string): Entry | undefined {
  return index.families.find(({ prefix }) => key.startsWith(prefix))?.entry
}

/** The row of a name with its `ChangeType` (without outer spaces; '' when absent). */
export function findRow(entry: Entry, changeType: string): CatalogueRow {
  return entry.changes?.get(changeType.toLowerCase()) ?? entry.row
}

/** The row of an item of customer service, by its `event_type` or, for a message, its `origin`. */
export function findKfRow(route: 'event_type' | 'origin', name: string): CatalogueRow {
  if (route === 'event_type') return KF_BY_NAME.get(name.toLowerCase())?.row ?? UNKNOWN_KF_ITEM
  return name === '3' ? KF_MESSAGE : name === '5' ? KF_STAFF_MESSAGE : UNKNOWN_KF_ITEM
}

/** Whether a text is the kind of some event. */
export function isEventKind(text: string): boolean {
  return BY_KIND.has(text)
}

/** The row of a kind. */
export function rowOf(kind: EventKind): CatalogueRow {
  const row = BY_KIND.get(kind)
  if (!row) throw new InvariantError(`no catalogue row for ${kind}`)
  return row
}
