import { InvalidInputError } from '../foundation/errors.ts'

/** The place in a list after the entry with this id, opaque to callers: base64url of the id. */
export function encodeCursor(lastId: string): string {
  return Buffer.from(lastId).toString('base64url')
}

/**
 * The id inside a cursor of ours.
 *
 * @param isOurs whether a text has the form of the ids of this list.
 * @throws InvalidInputError `invalid_query` for anything that we did not hand out.
 */
export function decodeCursor(cursor: string, isOurs: (id: string) => boolean): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8')
  if (isOurs(id) && encodeCursor(id) === cursor) return id
  throw new InvalidInputError('invalid_query', [
    {
      field: 'cursor',
      rule: 'must be the next_cursor of an earlier answer of this list, unchanged',
    },
  ])
}

/**
 * One page out of one entry more than asked for: the extra entry only says that there is more.
 *
 * @param entries at most `limit + 1`, in the order of the list.
 */
export function pageOf<Entry extends { readonly id: string }>(
  entries: readonly Entry[],
  limit: number,
): { readonly page: readonly Entry[]; readonly nextCursor: string | null } {
  const page = entries.slice(0, limit)
  const last = page.at(-1)
  const more = entries.length > limit && last !== undefined
  return { page, nextCursor: more ? encodeCursor(last.id) : null }
}
