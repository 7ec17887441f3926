import { z } from 'zod'
import { placeOfJobSecret } from '../consent/push-effects.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'

/**
 * What a job carries that a push caused; see `pushEffects`. Jobs that the gateway adds by itself have
 * less, and their code beside the rest.
 */
const payloadSchema = z.object({
  account_id: z.int(),
  /** The merchant's appid or the corp's corpid, where the event names one. */
  tenant: z.string().nullish(),
  event_id: z
    .union([z.string(), z.number()])
    .transform(String)
    .nullish()
    .transform((id) => id ?? null),
  /** When the event took effect, by the platform's clock. */
  effective_at: z.coerce.date().nullish(),
  open_kfid: z.string().nullish(),
  /** Of an exchange that a redirect of the browser asks for: the sealed code. */
  code: z.string().nullish(),
  /** Sealed, by the platform's name of the element. */
  secrets: z.record(z.string(), z.string()).default({}),
  /** The second look after an erasure. */
  sweep: z.boolean().default(false),
  /** How often people's consents have been carried over already. */
  round: z.int().min(0).default(0),
})

export type FollowUpPayload = z.output<typeof payloadSchema>

/** @throws when a job was stored in another form; no version of this program does. */
export function readPayload(payload: unknown): FollowUpPayload {
  return payloadSchema.parse(payload)
}

/** The names under which a code to be exchanged comes, here and there. */
const CODES = ['AuthorizationCode', 'auth_code', 'AuthCode'] as const

/** The code of an exchange, opened; null when the job carries none. */
export function openCode(box: SecretBox, payload: FollowUpPayload): string | null {
  if (payload.code) return box.open(payload.code, placeOfJobSecret(payload.account_id, 'code'))
  const name = CODES.find((one) => payload.secrets[one] !== undefined)
  return name === undefined ? null : openJobSecret(box, payload, name)
}

/** One of the credentials of the event, opened; null when it had none. */
export function openJobSecret(
  box: SecretBox,
  { account_id, secrets }: FollowUpPayload,
  name: string,
): string | null {
  const sealed = secrets[name]
  return sealed === undefined ? null : box.open(sealed, placeOfJobSecret(account_id, name))
}
