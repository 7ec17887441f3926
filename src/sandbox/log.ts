import type { CallRecord, MessageRecord, PushRecord, SandboxRecord } from './record.ts'

/** Which entries of the record are wanted; what is absent does not matter. */
export interface LogFilter {
  readonly kind?: 'call' | 'push' | undefined
  readonly appId?: string | undefined
  readonly openid?: string | undefined
  /** The API's path. */
  readonly path?: string | undefined
  /** The push's event. */
  readonly event?: string | undefined
  /** Only entries with a greater id. */
  readonly after?: number | undefined
  readonly limit?: number | undefined
}

export interface LogPage {
  /** In the order they began. */
  readonly entries: readonly (CallRecord | PushRecord)[]
  /** Give it as `after` for the next page; null when there is none. */
  readonly next_after: number | null
}

const DEFAULT_PAGE = 10_000

/** API calls and pushes, oldest first. */
export function readLog(record: SandboxRecord, filter: LogFilter = {}): LogPage {
  const { kind, appId, openid, path, event, after = 0, limit = DEFAULT_PAGE } = filter
  const calls = kind === 'push' || event !== undefined ? [] : record.calls.list()
  const pushes = kind === 'call' || path !== undefined ? [] : record.pushes.list()
  const found = [
    ...calls.filter((call) => path === undefined || call.path === path),
    ...pushes.filter((push) => event === undefined || push.event === event),
  ].filter(
    (entry) =>
      entry.id > after &&
      (appId === undefined || entry.app_id === appId) &&
      (openid === undefined || entry.openid === openid),
  )
  const entries = found.toSorted((a, b) => a.id - b.id).slice(0, limit)
  const more = entries.length < found.length
  return { entries, next_after: more ? (entries.at(-1)?.id ?? null) : null }
}

/** What people really received from an account, oldest first. */
export function readMessages(
  record: SandboxRecord,
  filter: { readonly appId: string; readonly openid?: string | undefined },
): MessageRecord[] {
  return record.messages
    .list()
    .filter(
      (message) =>
        message.app_id === filter.appId &&
        (filter.openid === undefined || message.openid === filter.openid),
    )
}
