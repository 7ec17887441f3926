import {
  ACCOUNT_KINDS,
  CALLBACK_MODES,
  TOKEN_KINDS,
  type AccountKind,
  type AccountSettings,
  type CallbackMode,
  type TokenKind,
} from './account.ts'
import { spokenFault, type Reading, type RuleCode, type SpokenFault } from './account-rules.ts'

/**
 * What an operator types about an account, read by rule. Nothing here knows where it was typed
 * beyond the names of the fields; nothing is trimmed, so that what is stored is what was meant.
 */

/** The texts of one `account add`, as typed; absent ones are undefined. */
export interface NewAccountInput extends SettingsInput {
  readonly name?: string | undefined
  readonly kind?: string | undefined
  readonly appId?: string | undefined
  readonly originalId?: string | undefined
  /** `safe` when absent: the mode that proves most. */
  readonly mode?: string | undefined
  readonly token?: string | undefined
  readonly aesKey?: string | undefined
  readonly secret?: string | undefined
}

export interface SettingsInput {
  readonly freshness?: string | undefined
  readonly tokenKind?: string | undefined
  readonly keepTemplatesOnUnfollow?: boolean | undefined
  readonly keepDataOnCancellation?: boolean | undefined
  readonly longTermTemplates?: readonly string[] | undefined
  /** In place of the default words; one empty text: no word stops anything. */
  readonly optOutKeywords?: readonly string[] | undefined
}

export interface RotationInput {
  readonly token?: string | undefined
  readonly aesKey?: string | undefined
  readonly secret?: string | undefined
  readonly dropPrevious?: boolean | undefined
}

/** An account that may be stored. */
export interface NewAccount {
  readonly name: string
  readonly kind: AccountKind
  readonly appId: string
  readonly originalId: string
  readonly mode: CallbackMode
  readonly token: string
  /** null only in plain mode. */
  readonly aesKey: string | null
  readonly secret: string
  /** What the operator chose; the rest stays at its default. */
  readonly settings: Partial<AccountSettings>
}

/** New secrets for an account; what is undefined stays as it is. */
export interface Rotation {
  readonly token: string | undefined
  readonly aesKey: string | undefined
  readonly secret: string | undefined
}

interface FormRule {
  readonly form: RegExp
  readonly code: RuleCode
}

interface ChoiceRule<Choice extends string> {
  readonly choices: readonly Choice[]
  readonly otherwise: (text: string) => [RuleCode, Record<string, string>]
}

const KIND: ChoiceRule<AccountKind> = {
  choices: ACCOUNT_KINDS,
  otherwise: (kind) => ['unknown_kind', { kind }],
}
const MODE: ChoiceRule<CallbackMode> = {
  choices: CALLBACK_MODES,
  otherwise: (mode) => ['unknown_mode', { mode }],
}
const TOKEN_KIND: ChoiceRule<TokenKind> = {
  choices: TOKEN_KINDS,
  otherwise: (kind) => ['unknown_token_kind', { kind }],
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/
const ORIGINAL_ID = /^gh_[A-Za-z0-9_-]{1,61}$/
const CALLBACK_TOKEN = /^[A-Za-z0-9]{3,32}$/
/** 43 characters are 32 bytes of base64 without its `=` (callbacks.md §4). */
const AES_KEY = /^[A-Za-z0-9]{43}$/
/** The platform promises no length for its ids; these limits only keep out what cannot be one. */
const LONGEST_APP_ID = 64
const LONGEST_SECRET = 256
const LONGEST_FRESHNESS_SECONDS = 86_400

/** Reads a new account, or says everything that is wrong with it. */
export function readNewAccount(input: NewAccountInput): Reading<NewAccount> {
  const faults = new Faults()
  const mode = faults.oneOf('--mode', input.mode ?? 'safe', MODE)
  const account = {
    name: faults.matching('NAME', input.name, { form: NAME, code: 'bad_name' }),
    kind: faults.oneOf('--kind', input.kind, KIND),
    appId: faults.word('--app-id', input.appId, LONGEST_APP_ID),
    originalId: faults.matching('--original-id', input.originalId, {
      form: ORIGINAL_ID,
      code: 'bad_original_id',
    }),
    mode,
    token: faults.matching('--token', input.token, { form: CALLBACK_TOKEN, code: 'bad_token' }),
    aesKey: readNewAesKey(faults, input.aesKey, mode),
    secret: faults.word('--secret', input.secret, LONGEST_SECRET),
  }
  const settings = collectSettings(faults, input)
  return isComplete(account)
    ? faults.reading({ ...account, aesKey: account.aesKey ?? null, settings })
    : faults.refusal()
}

/** Reads new secrets, or says everything that is wrong with them. */
export function readRotation(input: RotationInput): Reading<Rotation> {
  const faults = new Faults()
  const given = [input.token, input.aesKey, input.secret].some((text) => text !== undefined)
  if (!given && input.dropPrevious !== true) faults.add('account rotate', 'nothing_to_rotate')
  return faults.reading({
    token: whenGiven(input.token, (text) =>
      faults.matching('--token', text, { form: CALLBACK_TOKEN, code: 'bad_token' }),
    ),
    aesKey: whenGiven(input.aesKey, (text) =>
      faults.matching('--aes-key', text, { form: AES_KEY, code: 'bad_aes_key' }),
    ),
    secret: whenGiven(input.secret, (text) => faults.word('--secret', text, LONGEST_SECRET)),
  })
}

/** Reads the settings an operator wants changed; what was not typed is absent. */
export function readSettings(input: SettingsInput): Reading<Partial<AccountSettings>> {
  const faults = new Faults()
  return faults.reading(collectSettings(faults, input))
}

/** Reads a callback mode by itself. */
export function readMode(text: string): Reading<CallbackMode> {
  const faults = new Faults()
  const mode = faults.oneOf('--mode', text, MODE)
  return mode === undefined ? faults.refusal() : faults.reading(mode)
}

function readNewAesKey(
  faults: Faults,
  text: string | undefined,
  mode: CallbackMode | undefined,
): string | undefined {
  if (text !== undefined)
    return faults.matching('--aes-key', text, { form: AES_KEY, code: 'bad_aes_key' })
  if (mode === 'safe' || mode === 'compatible') faults.add('--aes-key', 'aes_key_needed', { mode })
  return undefined
}

function collectSettings(faults: Faults, input: SettingsInput): Partial<AccountSettings> {
  const freshness = whenGiven(input.freshness, (text) => faults.seconds('--freshness', text))
  const tokenKind = whenGiven(input.tokenKind, (text) =>
    faults.oneOf('--token-kind', text, TOKEN_KIND),
  )
  const templates = input.longTermTemplates?.filter((text) => text !== '')
  const keywords = input.optOutKeywords?.filter((text) => text !== '')
  faults.each('--long-term-template', templates, {
    form: /^[\w-]{1,128}$/,
    code: 'bad_template_id',
  })
  faults.each('--opt-out-keyword', keywords, {
    form: /^\s*\S(.{0,62}\S)?\s*$/su,
    code: 'bad_keyword',
  })
  return {
    ...(freshness === undefined ? {} : { freshness_seconds: freshness }),
    ...(tokenKind === undefined ? {} : { token_kind: tokenKind }),
    ...(input.keepTemplatesOnUnfollow === undefined
      ? {}
      : { keep_templates_on_unfollow: input.keepTemplatesOnUnfollow }),
    ...(input.keepDataOnCancellation === undefined
      ? {}
      : { erase_on_cancellation: !input.keepDataOnCancellation }),
    ...(templates === undefined ? {} : { long_term_templates: unique(templates) }),
    ...(keywords === undefined
      ? {}
      : { opt_out_keywords: unique(keywords.map((word) => word.trim())) }),
  }
}

/** Collects faults while it reads texts; a text at fault reads as undefined. */
class Faults {
  readonly #faults: SpokenFault[] = []

  add(field: string, code: RuleCode, values: Record<string, string | number> = {}): undefined {
    this.#faults.push(spokenFault(field, code, values))
    return undefined
  }

  /** A text of a fixed form; the fault says how long it was, and names a pasted space as such. */
  matching(field: string, text: string | undefined, { form, code }: FormRule): string | undefined {
    if (!text) return this.add(field, 'missing')
    if (form.test(text)) return text
    const pasted = form.test(text.replace(/\s/g, ''))
    return this.add(field, pasted ? 'white_space' : code, { length: text.length })
  }

  /** A text without white space whose form the platform does not promise. */
  word(field: string, text: string | undefined, most: number): string | undefined {
    if (!text) return this.add(field, 'missing')
    if (/\s/.test(text)) return this.add(field, 'white_space')
    return text.length > most ? this.add(field, 'too_long', { most }) : text
  }

  oneOf<const Choice extends string>(
    field: string,
    text: string | undefined,
    { choices, otherwise }: ChoiceRule<Choice>,
  ): Choice | undefined {
    if (!text) return this.add(field, 'missing')
    return choices.find((choice) => choice === text) ?? this.add(field, ...otherwise(text))
  }

  seconds(field: string, text: string): number | undefined {
    const seconds = /^\d{1,6}$/.test(text) ? Number(text) : NaN
    return seconds <= LONGEST_FRESHNESS_SECONDS ? seconds : this.add(field, 'bad_freshness')
  }

  each(field: string, texts: readonly string[] | undefined, { form, code }: FormRule): void {
    if (texts?.some((text) => !form.test(text))) this.add(field, code)
  }

  reading<Value>(value: Value): Reading<Value> {
    return this.#faults.length === 0 ? { ok: true, value } : this.refusal()
  }

  refusal(): { ok: false; faults: readonly SpokenFault[] } {
    return { ok: false, faults: this.#faults }
  }
}

type Complete<Parts> = {
  [Key in keyof Parts]: Key extends 'aesKey' ? Parts[Key] : NonNullable<Parts[Key]>
}

/** Whether every part was read; only the AES key may be absent. */
function isComplete<Parts extends object>(parts: Parts): parts is Parts & Complete<Parts> {
  return Object.entries(parts).every(([name, part]) => name === 'aesKey' || part !== undefined)
}

function whenGiven<Value>(
  text: string | undefined,
  read: (text: string) => Value | undefined,
): Value | undefined {
  return text === undefined ? undefined : read(text)
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}
