import { z } from 'zod'

/**
 * What the contents of all channels are made of. Field names and rules are those of the platforms'
 * pages; a field they do not have is refused, because a typing error that is passed on silently costs
 * a wrong message.
 */

const PERSON = 'the recipient goes into `to`, not into `content`'
const BY_PERSON = 'consent is by person, so a message names its recipients in `to`'
const TOKEN = 'the gateway adds the access token; leave it out of `content`'

/** Fields that belong to the gateway, with where their value comes from. */
const OURS: Readonly<Record<string, string>> = {
  touser: PERSON,
  to_openid_list: PERSON,
  external_userid: PERSON,
  toparty: BY_PERSON,
  totag: BY_PERSON,
  tag_filter: BY_PERSON,
  chat_id_list: BY_PERSON,
  access_token: TOKEN,
  key: 'the gateway adds the key of the robot; leave it out of `content`',
  agentid: 'the gateway adds the agentid of the account; leave it out of `content`',
  client_msg_id: 'the gateway sets client_msg_id; use the Idempotency-Key header instead',
  msgid: 'the gateway sets msgid; use the Idempotency-Key header instead',
}

/** The same for the whole content of a message; inside, the platform uses these names otherwise. */
export function contentOf<Shape extends z.ZodRawShape>(shape: Shape) {
  return strictly(shape, OURS)
}

/** An object with these fields and no others; names the field that does not belong. */
export function exactly<Shape extends z.ZodRawShape>(shape: Shape) {
  return strictly(shape, {})
}

function strictly<Shape extends z.ZodRawShape>(
  shape: Shape,
  ours: Readonly<Record<string, string>>,
): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined
      const own = [...new Set(issue.keys.flatMap((key) => ours[key] ?? []))]
      const names = issue.keys.map((key) => `\`${key}\``).join(', ')
      return own.length > 0
        ? own.join('; ')
        : `the platform has no ${names} here; it has ${Object.keys(shape).join(', ')}`
    },
  })
}

/**
 * Text that survives the platform's JSON reader, which refuses `\uXXXX` escapes (40033, 47002): JSON
 * can write most control characters and half surrogate pairs in no other way.
 */
export const text = z.string().refine(isPlain, {
  error: 'control characters and broken surrogate pairs cannot be sent; remove them',
})

/** Backspace, tab, line feed, form feed and carriage return have short escapes and may stay. */
function isPlain(value: string): boolean {
  const hasControl = [...value].some((char) => char < ' ' && !'\b\t\n\f\r'.includes(char))
  return value.isWellFormed() && !hasControl
}

export const required = text.min(1)

/** At most so many bytes of UTF-8; WeCom cuts longer text off and says nothing. */
export function bytes(most: number) {
  return text.refine((value) => Buffer.byteLength(value) <= most, {
    error: `must be at most ${most} bytes of UTF-8`,
  })
}

/** The same, and not empty. */
export function requiredBytes(most: number) {
  return bytes(most).min(1)
}

/** At most so many characters, each counted once, however many bytes it has. */
export function characters(most: number) {
  return text.refine((value) => [...value].length <= most, {
    error: `must be at most ${most} characters`,
  })
}

/** The same, and not empty. */
export function requiredCharacters(most: number) {
  return characters(most).min(1)
}

/** Private template ids have 43 characters today; a wrong length is the platform's 40036. */
export const templateId = text.regex(
  /^\S{1,128}$/,
  'a template id is 1 to 128 characters without spaces',
)

/** The platform's free-form object: its keys are the template's. */
export const data = z.record(required, exactly({ value: text }))

/** `color` is accepted for old callers; the platform has ignored it since 2023-05. */
export const colouredData = z.record(required, exactly({ value: text, color: text.optional() }))

export const miniprogram = exactly({ appid: required, pagepath: text.optional() })

export const media = exactly({ media_id: required })

/** How a subscription message of a Mini Program opens. */
export const subscriptionView = {
  miniprogram_state: z.enum(['developer', 'trial', 'formal']).optional(),
  lang: z.enum(['zh_CN', 'en_US', 'zh_HK', 'zh_TW']).optional(),
}

/** A switch that WeCom writes as a number. */
export const flag = z.literal([0, 1])

/**
 * A part of a message whose inside the platform changes more often than we do: any JSON object, as
 * long as its texts survive.
 */
export const freeObject = z.record(z.string(), z.unknown()).refine(hasPlainTexts, {
  error: 'control characters and broken surrogate pairs cannot be sent; remove them',
})

function hasPlainTexts(value: unknown): boolean {
  if (typeof value === 'string') return isPlain(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, part]) => isPlain(key) && hasPlainTexts(part))
}

/** The error of a union by `msgtype`: the types that there are. */
export function oneOfTypes(
  messages: readonly { readonly shape: { readonly msgtype: { readonly value: string } } }[],
): string {
  const names = new Set(messages.map((one) => one.shape.msgtype.value))
  return `msgtype is one of ${[...names].join(', ')}`
}
