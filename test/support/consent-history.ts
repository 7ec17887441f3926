import type { Knex } from 'knex'
import type { AccountSettings } from '../../src/accounts/account.ts'
import { findConsents } from '../../src/consent/consent-store.ts'
import type { ConsentChange } from '../../src/consent/consent.ts'
import { modelOf, type ModelRow, type ModelState } from './consent-model.ts'
import { changesOf } from './push-documents.ts'

/** Consents by scope; seconds count from the same moment on both sides. */
export type Held = Readonly<Record<string, ModelState | undefined>>

/** What the rules and the model make of all documents together, in whatever order they came. */
export function expectedOf(
  documents: readonly string[],
  from: { readonly second: number; readonly settings?: Partial<AccountSettings> },
): Held {
  const changes = documents.flatMap((document) => changesOf(document, from.settings))
  const rows = changes.map((change) => toModelRow(change, from.second))
  const scopes = new Set(rows.map(({ scope }) => scope))
  return Object.fromEntries([...scopes].map((scope) => [scope, modelOf(rows, scope)]))
}

/** What the database holds about a person. */
export async function heldBy(
  db: Knex,
  person: { readonly accountId: number; readonly openid: string },
  second: number,
): Promise<Held> {
  const held = await findConsents(db, person.accountId, person.openid)
  return Object.fromEntries(
    held.map(({ scope, state, effectiveAt, credits, refused }) => [
      scope,
      {
        state,
        at: effectiveAt.getTime() / 1000 - second,
        // what is left of a conversation is the sends' business, not the history's
        credits: scope.startsWith('template:') ? credits : null,
        refused,
      },
    ]),
  )
}

function toModelRow(
  { scope, change, effectiveAt, credits }: ConsentChange,
  second: number,
): ModelRow {
  const at = effectiveAt.getTime() / 1000 - second
  const counted = scope.startsWith('template:') && change === 'granted' ? credits : null
  return { scope, change, at, credits: counted, byPerson: true }
}
