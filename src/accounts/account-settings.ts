import { z } from 'zod'
import {
  CORP_TOKEN_CHOICES,
  DEFAULT_SETTINGS,
  TOKEN_KINDS,
  type AccountSettings,
} from './account.ts'

const STORED = z
  .object({
    freshness_seconds: z.int().min(0),
    token_kind: z.enum(TOKEN_KINDS),
    corp_token_from: z.enum(CORP_TOKEN_CHOICES),
    keep_templates_on_unfollow: z.boolean(),
    long_term_templates: z.array(z.string()),
    opt_out_keywords: z.array(z.string()),
    erase_on_cancellation: z.boolean(),
    erase_on_unfollow: z.boolean(),
    empty_receive_id: z.boolean(),
    quota_margin_percent: z.int().min(0).max(50),
    welcome_message: z.record(z.string(), z.unknown()).nullable(),
    archive_account: z.string().nullable(),
    sends_per_second: z.int().min(0),
    sends_per_second_by_channel: z.record(z.string(), z.int().min(1)),
    quiet_hours: z
      .string()
      .regex(/^\d\d:\d\d-\d\d:\d\d$/)
      .nullable(),
    marketing_per_person_per_day: z.int().min(0),
    recipient_per_minute: z.record(z.string(), z.int().min(1)),
    reply_deadline_ms: z.int().min(100).max(3_500),
    templates_strict: z.boolean(),
  })
  .partial()

/**
 * The settings of an account from its column: the stored keys over the defaults. Keys of another
 * version of the gateway are ignored; a value of the wrong form throws, because a guess about
 * consent would be worse.
 */
export function readStoredSettings(stored: unknown): AccountSettings {
  const { success, data } = STORED.safeParse(stored)
  if (!success) throw new TypeError('the stored settings of an account have an unknown form')
  return { ...DEFAULT_SETTINGS, ...withoutUndefined(data) }
}

/** Settings by channel, of which a change names some; 0 takes one away. */
const BY_CHANNEL = ['sends_per_second_by_channel', 'recipient_per_minute'] as const

/** The settings after a change: what it does not name stays as it is. */
export function changeSettings(
  settings: AccountSettings,
  changes: Partial<AccountSettings>,
): AccountSettings {
  const merged = BY_CHANNEL.map((name) => {
    const both = Object.entries({ ...settings[name], ...changes[name] })
    return [name, Object.fromEntries(both.filter(([, value]) => value > 0))] as const
  })
  return { ...settings, ...changes, ...Object.fromEntries(merged) }
}

/** The part of the settings worth storing: what differs from the defaults. */
export function settingsToStore(settings: AccountSettings): Partial<AccountSettings> {
  return Object.fromEntries(
    Object.entries(settings).filter(([key, value]) => !isSame(value, defaults.get(key))),
  )
}

const defaults = new Map<string, unknown>(Object.entries(DEFAULT_SETTINGS))

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}

function withoutUndefined(data: z.infer<typeof STORED>): Partial<AccountSettings> {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined))
}
