import {
  ACCOUNT_KINDS,
  BODY_FORMATS,
  CALLBACK_MODES,
  CORP_TOKEN_CHOICES,
  TOKEN_KINDS,
  type Account,
  type AccountKind,
  type AccountSettings,
  type BodyFormat,
  type CallbackMode,
  type CorpTokenChoice,
  type TokenKind,
} from './account.ts'
import { KIND_RULES, type IdentityField, type IdOption, type KindRule } from './account-kinds.ts'
import {
  KINDS_TO_ADD,
  spokenFault,
  type Reading,
  type RuleCode,
  type SpokenFault,
} from './account-rules.ts'
import type { SecretName } from './secret-store.ts'

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
  readonly corpId?: string | undefined
  readonly agentId?: string | undefined
  readonly suiteId?: string | undefined
  readonly providerCorpId?: string | undefined
  readonly providerSecret?: string | undefined
  /** `xml` when absent. */
  readonly dataFormat?: string | undefined
  /** `safe` when absent: the mode that proves most. */
  readonly mode?: string | undefined
  readonly token?: string | undefined
  readonly aesKey?: string | undefined
  readonly secret?: string | undefined
}

export interface SettingsInput {
  readonly freshness?: string | undefined
  readonly tokenKind?: string | undefined
  readonly corpTokenFrom?: string | undefined
  readonly keepTemplatesOnUnfollow?: boolean | undefined
  readonly keepDataOnCancellation?: boolean | undefined
  readonly eraseOnUnfollow?: boolean | undefined
  readonly longTermTemplates?: readonly string[] | undefined
  /** In place of the default words; one empty text: no word stops anything. */
  readonly optOutKeywords?: readonly string[] | undefined
  readonly emptyReceiveId?: boolean | undefined
  readonly quotaMargin?: string | undefined
  /** JSON; empty: nobody is welcomed. */
  readonly welcomeMessage?: string | undefined
  /** Empty: nobody is asked about. */
  readonly archiveAccount?: string | undefined
  readonly sendsPerSecond?: string | undefined
  /** `channel=number` each. */
  readonly channelSendsPerSecond?: readonly string[] | undefined
  /** `HH:MM-HH:MM`, or `off`. */
  readonly quietHours?: string | undefined
  readonly marketingPerPersonPerDay?: string | undefined
  /** `channel=number` each. */
  readonly recipientPerMinute?: readonly string[] | undefined
  readonly replyDeadline?: string | undefined
  readonly templatesStrict?: boolean | undefined
}

export interface RotationInput {
  readonly token?: string | undefined
  readonly aesKey?: string | undefined
  readonly secret?: string | undefined
  readonly providerSecret?: string | undefined
  readonly dropPrevious?: boolean | undefined
}

/** An account that may be stored; an id that is absent is null. */
export interface NewAccount extends Partial<
  Pick<Account, 'originalId' | 'agentId' | 'providerCorpId' | 'parentId' | 'serves' | 'bodyFormat'>
> {
  readonly name: string
  readonly kind: AccountKind
  readonly appId: string
  readonly mode: CallbackMode
  /** null only where pushes come under the parent's pair. */
  readonly token: string | null
  /** null also in plain mode. */
  readonly aesKey: string | null
  /** null only where the platform gave the gateway another secret. */
  readonly secret: string | null
  readonly moreSecrets?: Partial<
    Record<Extract<SecretName, 'provider_secret' | 'refresh_token' | 'permanent_code'>, string>
  >
  /** What the operator chose; the rest stays at its default. */
  readonly settings: Partial<AccountSettings>
}

/** New secrets for an account; what is undefined stays as it is. */
export interface Rotation {
  readonly token: string | undefined
  readonly aesKey: string | undefined
  readonly secret: string | undefined
  readonly providerSecret?: string | undefined
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
  choices: KINDS_TO_ADD,
  otherwise: (kind) => ['unknown_kind', { kind }],
}
const MODE: ChoiceRule<CallbackMode> = {
  choices: CALLBACK_MODES,
  otherwise: (mode) => ['unknown_mode', { mode }],
}
const FORMAT: ChoiceRule<BodyFormat> = {
  choices: BODY_FORMATS,
  otherwise: (format) => ['unknown_format', { format }],
}
const TOKEN_KIND: ChoiceRule<TokenKind> = {
  choices: TOKEN_KINDS,
  otherwise: (kind) => ['unknown_token_kind', { kind }],
}

const CORP_TOKEN: ChoiceRule<CorpTokenChoice> = {
  choices: CORP_TOKEN_CHOICES,
  otherwise: (kind) => ['unknown_corp_token', { kind }],
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/
const ORIGINAL_ID = /^gh_[A-Za-z0-9_-]{1,61}$/
/**
 * The Token rule of WeChat is commonly stated, not documented; that of WeCom is
 * (developer.work.weixin.qq.com/document/path/90930).
 */
const CALLBACK_TOKEN: Record<KindRule['tokenForm'], FormRule> = {
  wechat: { form: /^[A-Za-z0-9]{3,32}$/, code: 'bad_token' },
  wecom: { form: /^[A-Za-z0-9]{1,32}$/, code: 'bad_wecom_token' },
}
const AGENT_ID = /^\d{1,10}$/
/** 43 characters are 32 bytes of base64 without its `=` (callbacks.md §4). */
const AES_KEY = /^[A-Za-z0-9]{43}$/
/** The platform promises no length for its ids; these limits only keep out what cannot be one. */
const LONGEST_APP_ID = 64
const LONGEST_TOKEN = 32
const LONGEST_SECRET = 256
const LONGEST_FRESHNESS_SECONDS = 86_400
/** An application needs time to answer, and the platform's five seconds must hold all the rest. */
const SHORTEST_DEADLINE_MS = 100
const LONGEST_DEADLINE_MS = 3_500
/** Half a quota left over is no margin but another quota. */
const WIDEST_MARGIN_PERCENT = 50
/** More than one database carries: beyond it a pace would limit nothing. */
const QUICKEST_PER_SECOND = 10_000
const MOST_PER_PERSON = 1_000
const QUIET_HOURS = /^(([01]\d|2[0-3]):[0-5]\d)-(([01]\d|2[0-3]):[0-5]\d)$/

const IDENTITY_OPTIONS: Readonly<Record<IdentityField, string>> = {
  originalId: '--original-id',
  agentId: '--agent-id',
  providerCorpId: '--provider-corp-id',
}

const ID_INPUTS: Readonly<Record<IdOption, 'appId' | 'corpId' | 'suiteId'>> = {
  '--app-id': 'appId',
  '--corp-id': 'corpId',
  '--suite-id': 'suiteId',
}

/** Reads a new account, or says everything that is wrong with it. */
export function readNewAccount(input: NewAccountInput): Reading<NewAccount> {
  const faults = new Faults()
  const mode = faults.oneOf('--mode', input.mode ?? 'safe', MODE)
  const kind = readKind(faults, input.kind)
  // The rules of some kind, so that the other faults are named at once too.
  const rule = KIND_RULES[kind ?? 'official_account']
  const account = {
    name: faults.matching('NAME', input.name, { form: NAME, code: 'bad_name' }),
    kind,
    appId: faults.word(rule.idOption, input[ID_INPUTS[rule.idOption]], LONGEST_APP_ID),
    originalId: readIdentity(faults, rule, { field: 'originalId', text: input.originalId }),
    agentId: readIdentity(faults, rule, { field: 'agentId', text: input.agentId }),
    providerCorpId: readIdentity(faults, rule, {
      field: 'providerCorpId',
      text: input.providerCorpId,
    }),
    mode,
    bodyFormat: faults.oneOf('--data-format', input.dataFormat ?? 'xml', FORMAT),
    token: faults.matching('--token', input.token, CALLBACK_TOKEN[rule.tokenForm]),
    aesKey: readNewAesKey(faults, input.aesKey, mode),
    secret: faults.word('--secret', input.secret, LONGEST_SECRET),
  }
  const providerSecret = whenGiven(input.providerSecret, (text) =>
    faults.word('--provider-secret', text, LONGEST_SECRET),
  )
  const settings = collectSettings(faults, input)
  if (kind) for (const fault of kindFaults(kind, input)) faults.take(fault)
  return isComplete(account)
    ? faults.reading({
        ...account,
        aesKey: account.aesKey ?? null,
        moreSecrets: providerSecret === undefined ? {} : { provider_secret: providerSecret },
        settings,
      })
    : faults.refusal()
}

/** Reads new secrets, or says what is wrong with them; what depends on the kind: `rotationFaults`. */
export function readRotation(input: RotationInput): Reading<Rotation> {
  const faults = new Faults()
  const { token, aesKey, secret, providerSecret } = input
  const given = [token, aesKey, secret, providerSecret].some((text) => text !== undefined)
  if (!given && input.dropPrevious !== true) faults.add('account rotate', 'nothing_to_rotate')
  return faults.reading({
    token: whenGiven(token, (text) => faults.word('--token', text, LONGEST_TOKEN)),
    aesKey: whenGiven(aesKey, (text) =>
      faults.matching('--aes-key', text, { form: AES_KEY, code: 'bad_aes_key' }),
    ),
    secret: whenGiven(secret, (text) => faults.word('--secret', text, LONGEST_SECRET)),
    providerSecret: whenGiven(providerSecret, (text) =>
      faults.word('--provider-secret', text, LONGEST_SECRET),
    ),
  })
}

/** What of a rotation the kind of the account forbids; none is the normal case. */
export function rotationFaults(kind: AccountKind, rotation: Rotation): readonly SpokenFault[] {
  const faults = new Faults()
  const { callbackPair, tokenForm } = KIND_RULES[kind]
  const { token, aesKey, secret, providerSecret } = rotation
  if (callbackPair === 'parent') {
    if (token !== undefined) faults.add('--token', 'rotate_parent', { kind })
    if (aesKey !== undefined) faults.add('--aes-key', 'rotate_parent', { kind })
    if (secret !== undefined) faults.add('--secret', 'not_for_kind', { kind })
  } else if (token !== undefined) faults.matching('--token', token, CALLBACK_TOKEN[tokenForm])
  if (providerSecret !== undefined && !hasProviderSecret(kind)) {
    faults.add('--provider-secret', 'not_for_kind', { kind })
  }
  return faults.refusal().faults
}

/** Whether the mode or the data format can be chosen so for this kind. */
export function choiceFaults(
  kind: AccountKind,
  { mode, bodyFormat }: { readonly mode?: string; readonly bodyFormat?: string },
): readonly SpokenFault[] {
  const { modes, bodyFormats } = KIND_RULES[kind]
  const faults = new Faults()
  if (mode !== undefined && !modes.some((one) => one === mode)) {
    faults.add('--mode', 'mode_not_for_kind', { kind, modes: modes.join(', ') })
  }
  if (bodyFormat !== undefined && !bodyFormats.some((one) => one === bodyFormat)) {
    faults.add('--data-format', 'format_not_for_kind', { kind, formats: bodyFormats.join(', ') })
  }
  return faults.refusal().faults
}

/** Whether the settings can be chosen so for this kind. */
export function settingFaults(
  kind: AccountKind,
  settings: Partial<AccountSettings>,
): readonly SpokenFault[] {
  const misfits = [
    settings.empty_receive_id && kind !== 'wecom_suite' && '--empty-receive-id',
    settings.welcome_message && !WELCOMING.includes(kind) && '--welcome-message',
    settings.archive_account && kind !== 'wecom_app' && '--archive-account',
    (settings.corp_token_from ?? 'auto') !== 'auto' &&
      kind !== 'wecom_suite' &&
      '--corp-token-from',
  ]
  return misfits.flatMap((option) => {
    return option ? [spokenFault(option, 'not_for_kind', { kind })] : []
  })
}

/** The kinds that have customers of their own to welcome (客户联系). */
const WELCOMING: readonly AccountKind[] = ['wecom_app', 'wecom_authorizer']

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

/** Reads a data format by itself. */
export function readBodyFormat(text: string): Reading<BodyFormat> {
  const faults = new Faults()
  const format = faults.oneOf('--data-format', text, FORMAT)
  return format === undefined ? faults.refusal() : faults.reading(format)
}

/** A kind that an operator may add. */
function readKind(faults: Faults, text: string | undefined): AccountKind | undefined {
  const kind = ACCOUNT_KINDS.find((one) => one === text)
  if (kind === undefined || KINDS_TO_ADD.includes(kind)) return faults.oneOf('--kind', text, KIND)
  const parent = kind === 'authorizer' ? 'component' : 'wecom_suite'
  return faults.add('--kind', 'made_by_gateway', { kind, parent })
}

/** An id that the kind needs, or null; one that it does not have is left to `kindFaults`. */
function readIdentity(
  faults: Faults,
  { required }: KindRule,
  { field, text }: { readonly field: IdentityField; readonly text: string | undefined },
): string | null | undefined {
  if (!required.includes(field)) return null
  const option = IDENTITY_OPTIONS[field]
  switch (field) {
    case 'originalId':
      return faults.matching(option, text, { form: ORIGINAL_ID, code: 'bad_original_id' })
    case 'agentId':
      return faults.matching(option, text, { form: AGENT_ID, code: 'bad_agent_id' })
    case 'providerCorpId':
      return faults.word(option, text, LONGEST_APP_ID)
  }
}

/** What was typed and does not belong to the kind: stored nowhere, it would be silently lost. */
function kindFaults(kind: AccountKind, input: NewAccountInput): readonly SpokenFault[] {
  const rule = KIND_RULES[kind]
  const typed: readonly (readonly [string, string | undefined, boolean])[] = [
    ...Object.entries(ID_INPUTS).map(([option, name]) => {
      return [option, input[name], option === rule.idOption] as const
    }),
    ...Object.entries(IDENTITY_OPTIONS).map(([name, option]) => {
      const field = name as IdentityField
      return [option, input[field], rule.required.includes(field)] as const
    }),
    ['--provider-secret', input.providerSecret, hasProviderSecret(kind)],
  ]
  return [
    ...typed
      .filter(([, text, belongs]) => text !== undefined && !belongs)
      .map(([option]) => spokenFault(option, 'not_for_kind', { kind })),
    ...choiceFaults(kind, {
      ...(isChoice(CALLBACK_MODES, input.mode) && { mode: input.mode }),
      ...(isChoice(BODY_FORMATS, input.dataFormat) && { bodyFormat: input.dataFormat }),
    }),
    ...settingFaults(kind, {
      empty_receive_id: input.emptyReceiveId === true,
      welcome_message: input.welcomeMessage ? {} : null,
      archive_account: input.archiveAccount || null,
      ...(isChoice(CORP_TOKEN_CHOICES, input.corpTokenFrom) && {
        corp_token_from: input.corpTokenFrom,
      }),
    }),
  ]
}

/** Only a provider of suites has one, for what it does in its own name. */
function hasProviderSecret(kind: AccountKind): boolean {
  return KIND_RULES[kind].required.includes('providerCorpId')
}

/** A text that is none of the choices has its own fault already. */
function isChoice<const Choice extends string>(
  choices: readonly Choice[],
  text: string | undefined,
): text is Choice {
  return choices.some((choice) => choice === text)
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
  const corpToken = whenGiven(input.corpTokenFrom, (text) =>
    faults.oneOf('--corp-token-from', text, CORP_TOKEN),
  )
  const margin = whenGiven(input.quotaMargin, (text) => faults.percent('--quota-margin', text))
  const welcome = whenGiven(input.welcomeMessage, (text) => readWelcome(faults, text))
  const archive = whenGiven(input.archiveAccount, (text) => readArchive(faults, text))
  const pace = whenGiven(input.sendsPerSecond, (text) => faults.pace('--sends-per-second', text))
  const quiet = whenGiven(input.quietHours, (text) => readQuietHours(faults, text))
  const cap = whenGiven(input.marketingPerPersonPerDay, (text) =>
    faults.count('--marketing-per-person-per-day', text, MOST_PER_PERSON),
  )
  const paces = readByChannel(input.channelSendsPerSecond, (number) =>
    faults.pace('--sends-per-second', number),
  )
  const perMinute = readByChannel(input.recipientPerMinute, (number) =>
    faults.count('--recipient-per-minute', number, MOST_PER_PERSON),
  )
  const deadline = whenGiven(input.replyDeadline, (text) =>
    faults.deadline('--reply-deadline', text),
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
    ...(corpToken === undefined ? {} : { corp_token_from: corpToken }),
    ...(input.keepTemplatesOnUnfollow === undefined
      ? {}
      : { keep_templates_on_unfollow: input.keepTemplatesOnUnfollow }),
    ...(input.keepDataOnCancellation === undefined
      ? {}
      : { erase_on_cancellation: !input.keepDataOnCancellation }),
    ...(input.eraseOnUnfollow === undefined ? {} : { erase_on_unfollow: input.eraseOnUnfollow }),
    ...(input.emptyReceiveId === undefined ? {} : { empty_receive_id: input.emptyReceiveId }),
    ...(margin === undefined ? {} : { quota_margin_percent: margin }),
    ...(welcome === undefined ? {} : { welcome_message: welcome }),
    ...(archive === undefined ? {} : { archive_account: archive }),
    ...(pace === undefined ? {} : { sends_per_second: pace }),
    ...(paces === undefined ? {} : { sends_per_second_by_channel: paces }),
    ...(quiet === undefined ? {} : { quiet_hours: quiet }),
    ...(cap === undefined ? {} : { marketing_per_person_per_day: cap }),
    ...(perMinute === undefined ? {} : { recipient_per_minute: perMinute }),
    ...(deadline === undefined ? {} : { reply_deadline_ms: deadline }),
    ...(input.templatesStrict === undefined ? {} : { templates_strict: input.templatesStrict }),
    ...(templates === undefined ? {} : { long_term_templates: unique(templates) }),
    ...(keywords === undefined
      ? {}
      : { opt_out_keywords: unique(keywords.map((word) => word.trim())) }),
  }
}

/** An object of JSON; an empty text takes the setting away. What is in it the channel's rules judge. */
function readWelcome(faults: Faults, text: string): AccountSettings['welcome_message'] | undefined {
  if (text === '') return null
  try {
    const read: unknown = JSON.parse(text)
    if (isObject(read)) return read
  } catch {
    // said below
  }
  return faults.add('--welcome-message', 'bad_welcome_message')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Two times of day that differ: equal ones could mean always or never. */
function readQuietHours(faults: Faults, text: string): string | null | undefined {
  if (text === 'off') return null
  const [, begins, , ends] = QUIET_HOURS.exec(text) ?? []
  if (begins === undefined) return faults.add('--quiet-hours', 'bad_quiet_hours')
  return begins === ends ? faults.add('--quiet-hours', 'endless_quiet_hours') : text
}

/** A number for each channel, typed as `channel=number`. */
function readByChannel(
  texts: readonly string[] | undefined,
  readNumber: (text: string) => number | undefined,
): Record<string, number> | undefined {
  if (texts === undefined) return undefined
  return Object.fromEntries(
    texts.flatMap((text) => {
      const [channel = '', number = ''] = text.split('=', 2)
      const read = readNumber(number)
      return read === undefined ? [] : [[channel, read]]
    }),
  )
}

/** An empty text takes the setting away. */
function readArchive(faults: Faults, text: string): string | null | undefined {
  return text === ''
    ? null
    : faults.matching('--archive-account', text, { form: NAME, code: 'bad_name' })
}

/** Collects faults while it reads texts; a text at fault reads as undefined. */
class Faults {
  readonly #faults: SpokenFault[] = []

  add(field: string, code: RuleCode, values: Record<string, string | number> = {}): undefined {
    return this.take(spokenFault(field, code, values))
  }

  take(fault: SpokenFault): undefined {
    this.#faults.push(fault)
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

  percent(field: string, text: string): number | undefined {
    const percent = /^\d{1,2}$/.test(text) ? Number(text) : NaN
    return percent <= WIDEST_MARGIN_PERCENT ? percent : this.add(field, 'bad_margin')
  }

  pace(field: string, text: string): number | undefined {
    const perSecond = /^\d{1,5}$/.test(text) ? Number(text) : NaN
    return perSecond <= QUICKEST_PER_SECOND ? perSecond : this.add(field, 'bad_pace')
  }

  /** A number of messages to one person. */
  count(field: string, text: string, most: number): number | undefined {
    const count = /^\d{1,4}$/.test(text) ? Number(text) : NaN
    return count <= most ? count : this.add(field, 'bad_count', { most })
  }

  deadline(field: string, text: string): number | undefined {
    const ms = /^\d{1,5}$/.test(text) ? Number(text) : NaN
    return ms >= SHORTEST_DEADLINE_MS && ms <= LONGEST_DEADLINE_MS
      ? ms
      : this.add(field, 'bad_reply_deadline')
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
