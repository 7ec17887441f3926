import { InvalidInputError } from '../foundation/errors.ts'

/**
 * The header `Idempotency-Key`; null when there is none.
 *
 * @throws InvalidInputError `invalid_request`
 */
export function readIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null
  if (/^[\x21-\x7e]{1,255}$/.test(header)) return header
  throw new InvalidInputError('invalid_request', [
    {
      field: 'Idempotency-Key',
      rule: 'must be 1 to 255 printable ASCII characters without spaces, such as a UUID',
    },
  ])
}
