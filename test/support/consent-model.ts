/**
 * The consent rules once more, as naively as they can be written: sort, fold, no SQL. The tests hold
 * the database's projection against it.
 */
export interface ModelRow {
  readonly scope: string
  readonly change: 'granted' | 'revoked' | 'suppressed' | 'reserved' | 'returned'
  /** Whole seconds. */
  readonly at: number
  readonly credits: number | null
  /** Whether the person's own act is the evidence. */
  readonly byPerson: boolean
}

export interface ModelState {
  readonly state: string
  readonly at: number
  readonly credits: number | null
  readonly refused: boolean
}

const SEVERITY = { granted: 0, suppressed: 1, revoked: 2 }

function isState(change: ModelRow['change']): change is keyof typeof SEVERITY {
  return change in SEVERITY
}

function latest(rows: readonly ModelRow[]): ModelRow | undefined {
  let best: ModelRow | undefined
  for (const row of rows) {
    if (!isState(row.change)) continue
    if (
      !best ||
      row.at > best.at ||
      (row.at === best.at && SEVERITY[row.change] > SEVERITY[best.change as keyof typeof SEVERITY])
    ) {
      best = row
    }
  }
  return best
}

/** What holds for one scope when these rows, and no others, have been written. */
export function modelOf(rows: readonly ModelRow[], scope: string): ModelState | undefined {
  const own = rows.filter((row) => row.scope === scope)
  if (!own.some((row) => isState(row.change))) return undefined
  if (scope === 'everything') return everything(rows, own)
  if (scope.startsWith('template:') && scope !== 'template:*') return template(rows, own)
  const last = latest(own)
  return last && { state: last.change, at: last.at, credits: null, refused: false }
}

function everything(rows: readonly ModelRow[], own: readonly ModelRow[]): ModelState | undefined {
  const stop = latest(own)
  if (!stop) return undefined
  const acts = rows.filter(
    (row) =>
      (row.scope === 'follow' || row.scope.startsWith('template:')) &&
      row.change === 'granted' &&
      row.byPerson &&
      row.credits !== 0 &&
      row.at > stop.at,
  )
  const lifted = stop.change !== 'granted' && acts.length > 0
  return {
    state: lifted ? 'granted' : stop.change,
    at: lifted ? Math.max(...acts.map((row) => row.at)) : stop.at,
    credits: null,
    refused: false,
  }
}

function template(rows: readonly ModelRow[], own: readonly ModelRow[]): ModelState | undefined {
  const both = [...own, ...rows.filter((row) => row.scope === 'template:*')]
  const last = latest(both)
  if (!last) return undefined
  const ended = Math.max(
    -Infinity,
    ...both.filter((row) => row.change === 'revoked').map((row) => row.at),
  )
  const counted = own.filter((row) => row.at > ended)
  const standing = counted.some((row) => row.change === 'granted' && row.credits === null)
  const balance = counted.reduce((sum, row) => sum + worth(row), 0)
  const words = own.filter((row) => row.change === 'granted' || row.change === 'revoked')
  return {
    state: last.change,
    at: last.at,
    credits: last.change === 'granted' && !standing ? Math.max(0, balance) : null,
    refused: latest(words)?.change === 'revoked',
  }
}

function worth(row: ModelRow): number {
  if (row.change === 'granted') return row.credits ?? 0
  if (row.change === 'reserved') return -1
  return row.change === 'returned' ? 1 : 0
}
