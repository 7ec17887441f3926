import type { OptOutHolder } from './opt-outs.ts'

/** A conversation of one customer with one customer-service account. */
export interface KfSession extends OptOutHolder {
  readonly openKfid: string
  readonly externalUserid: string
  /** 0 new, 1 the assistant, 2 waiting, 3 with a member, 4 ended (`service_state`). */
  state: number
  lastMessageMs: number | undefined
  sentSince: number
  /** The customer refuses messages: what is sent fails later with `fail_type` 10. */
  rejects: boolean
}

/** One line of `kf/sync_msg`. */
export interface KfItem {
  readonly sequence: number
  readonly openKfid: string
  readonly atMs: number
  readonly fields: Readonly<Record<string, unknown>>
}

/** The customer service of one corp (sending.md §5.5). */
export interface KfDesk {
  /** Accounts that nobody may act for any more, since the administrator took them back. */
  readonly withdrawn: Set<string>
  readonly accounts: Set<string>
  readonly sessions: Map<string, KfSession>
  readonly items: KfItem[]
  /** Tokens of `kf_msg_or_event`, with the time they end. */
  readonly tokens: Map<string, number>
  /** Message ids that were used, by account. */
  readonly msgids: Set<string>
}

/** A desk without accounts. */
export function createKfDesk(): KfDesk {
  return {
    withdrawn: new Set(),
    accounts: new Set(),
    sessions: new Map(),
    items: [],
    tokens: new Map(),
    msgids: new Set(),
  }
}

/** The conversation of a pair; undefined when the customer never came. */
export function findSession(
  desk: KfDesk,
  openKfid: string,
  externalUserid: string,
): KfSession | undefined {
  return desk.sessions.get(JSON.stringify([openKfid, externalUserid]))
}

/** The conversation of a pair, from now on if there was none. */
export function meetSession(desk: KfDesk, openKfid: string, externalUserid: string): KfSession {
  const session = findSession(desk, openKfid, externalUserid) ?? {
    openKfid,
    externalUserid,
    state: 0,
    lastMessageMs: undefined,
    sentSince: 0,
    rejects: false,
    optOuts: undefined,
  }
  desk.sessions.set(JSON.stringify([openKfid, externalUserid]), session)
  return session
}

/** Adds a line at the end of the history. */
export function addItem(desk: KfDesk, item: Omit<KfItem, 'sequence'>): void {
  desk.items.push({ ...item, sequence: (desk.items.at(-1)?.sequence ?? 0) + 1 })
}
