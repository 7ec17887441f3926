import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import { textOf } from '../events/document.ts'
import type { EventRecord } from '../events/read-event.ts'
import { readIdentifier } from '../events/read-values.ts'
import { secretsOf } from '../events/secrets.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'

/** A code to welcome a new customer with, as its event brought it. */
export interface WelcomeCode {
  /** The external_userid of the customer. */
  readonly to: string
  /** The userid of the employee. */
  readonly sender: string
  readonly code: string
  /** When the event happened, by the platform's clock; the code's 20 seconds count from there. */
  readonly at: Date
}

const sealedSchema = z.object({ to: z.string(), sender: z.string(), code: z.string() })

/** Where a code rests, sealed together with the people it is for. */
function placeOfWelcomeCode(accountId: number): string {
  return `welcome_code/${accountId}`
}

/**
 * The code that an application may use, sealed; null where the event brings none for it. The code of an
 * opened customer-service session is for an API that no channel of ours calls.
 */
export function sealWelcomeCode(
  { fields, ...event }: EventRecord,
  { id }: Account,
  seal: (text: string, place: string) => { readonly sealed: string },
): string | null {
  const [secret] = secretsOf({ fields, ...event })
  const sender = readIdentifier(textOf(fields, 'UserID'))
  const to = readIdentifier(textOf(fields, 'ExternalUserID'))
  if (!secret || sender === null || to === null) return null
  const code = secret.value.trim()
  return seal(JSON.stringify({ to, sender, code }), placeOfWelcomeCode(id)).sealed
}

/** @throws AppError `unknown_master_key`, `broken_seal` */
export function openWelcomeCode(
  box: SecretBox,
  accountId: number,
  sealed: string,
): Omit<WelcomeCode, 'at'> {
  return sealedSchema.parse(JSON.parse(box.open(sealed, placeOfWelcomeCode(accountId))))
}
