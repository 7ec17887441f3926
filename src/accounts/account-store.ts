import type { Knex } from 'knex'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import {
  type AppError,
  ConflictError,
  InvalidInputError,
  InvariantError,
  NotFoundError,
} from '../foundation/errors.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import {
  DEFAULT_SETTINGS,
  type Account,
  type AccountKind,
  type AccountSettings,
  type BodyFormat,
  type CallbackMode,
} from './account.ts'
import {
  choiceFaults,
  rotationFaults,
  settingFaults,
  type NewAccount,
  type Rotation,
} from './account-input.ts'
import { KIND_RULES } from './account-kinds.ts'
import { refuseFaults, spokenFault } from './account-rules.ts'
import { checkSeals, resealAll, type SealReport } from './seal-store.ts'
import { createSecretStore, type SecretName } from './secret-store.ts'
import { openTickets, type Ticket } from './ticket-store.ts'
import { changeSettings, readStoredSettings, settingsToStore } from './account-settings.ts'
import { corpTokenFrom } from './corp-tokens.ts'

/** An account as an operator sees it: everything but the secrets themselves. */
export interface AccountOverview {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly appId: string
  readonly originalId: string | null
  readonly agentId: string | null
  readonly providerCorpId: string | null
  /** The name of the component or suite that it has authorised. */
  readonly parent: string | null
  readonly serves: Account['serves']
  readonly mode: CallbackMode
  readonly bodyFormat: BodyFormat
  readonly settings: AccountSettings
  /** The names of the secrets that are stored. */
  readonly secrets: readonly SecretName[]
  readonly createdAt: Date
  readonly updatedAt: Date
  /**
   * null while in service; a disabled account takes no pushes and makes no sends. What its parent
   * receives for it is recorded all the same.
   */
  readonly disabledAt: Date | null
}

/** What one rotation changed. */
export interface RotationResult {
  /** A new pair signs and encrypts pushes; the one before is still accepted. */
  readonly callbackKey: boolean
  /** The pair before did not open and is not accepted any more. */
  readonly previousLost: boolean
  readonly secret: boolean
  readonly providerSecret: boolean
}

/**
 * The WeChat accounts in the database. Every change runs in one transaction with the notification
 * (`account_changed`) that makes all processes load again. Secrets are sealed before they leave.
 */
export interface AccountStore {
  /**
   * @param also what else is to be committed with the account, or undone.
   * @throws ConflictError `account_name_taken`, `account_app_id_taken`
   */
  add(
    account: NewAccount,
    also?: (trx: Knex.Transaction, accountId: number) => Promise<void>,
  ): Promise<AccountOverview>
  /** Every account, disabled ones too, by name; nothing is opened. */
  list(): Promise<AccountOverview[]>
  /** @throws NotFoundError `unknown_account` */
  show(name: string): Promise<AccountOverview>
  /** The accounts in service with their callback keys opened; what the cache loads. */
  load(): Promise<Account[]>
  /** An account in service. */
  findByName(name: string): Promise<Account | undefined>
  findById(id: number): Promise<Account | undefined>
  /** An account, also one that is not in service. */
  findStored(id: number): Promise<Account | undefined>
  /** The account of a merchant or corp behind another, also one that is not in service. */
  findStoredTenant(parentId: number, appId: string): Promise<Account | undefined>
  /** Puts new secrets in place; the current callback pair becomes the previous one. */
  rotate(name: string, rotation: Rotation): Promise<RotationResult>
  /** Forgets the previous callback pair. Returns whether there was one. */
  dropPrevious(name: string): Promise<boolean>
  updateSettings(name: string, changes: Partial<AccountSettings>): Promise<AccountSettings>
  /**
   * @throws InvalidInputError when the kind has no such mode, or the mode encrypts and the account
   *   has no AES key.
   */
  setMode(name: string, mode: CallbackMode): Promise<void>
  /** @throws InvalidInputError when the kind has no such data format. */
  setBodyFormat(name: string, bodyFormat: BodyFormat): Promise<void>
  disable(name: string): Promise<void>
  enable(name: string): Promise<void>
  /** Any one secret; undefined when it is not stored. */
  openSecret(accountId: number, name: SecretName): Promise<string | undefined>
  /** Puts secrets in place that the platform gave us (refresh_token, permanent_code). */
  putSecrets(accountId: number, secrets: Partial<Record<SecretName, string>>): Promise<void>
  /** The newest ticket, then the one before it; the statement that records their pushes keeps them. */
  openTickets(accountId: number): Promise<Ticket[]>
  /** The AppSecret, for the token endpoint. @throws NotFoundError `unknown_account` */
  openAppSecret(accountId: number): Promise<string>
  /**
   * All that a token endpoint may want of an account; what it does not have is null.
   *
   * @throws NotFoundError `unknown_account`
   */
  openCredentials(accountId: number): Promise<AccountCredentials>
  /**
   * The provider behind a suite: its own corpid and ProviderSecret, as far as they are there.
   *
   * @throws NotFoundError `unknown_account`
   */
  openProviderCredentials(accountId: number): Promise<Pick<AccountCredentials, 'appId' | 'secret'>>
  /**
   * Puts an authorizer's next refresh token in the place of the one that was used; false, and
   * nothing is stored, when that one is not the current one any more.
   */
  replaceRefreshToken(
    accountId: number,
    change: { readonly used: string; readonly next: string },
  ): Promise<boolean>
  /**
   * Seals again what an older master key sealed: every secret and every access token.
   * @returns how many of each.
   */
  resealAll(): Promise<{ secrets: number; tokens: number }>
  /** Whether this process can open everything that is sealed; nothing is thrown for what it cannot. */
  checkSeals(): Promise<SealReport>
}

/** An account's id at the platform and its secrets, opened. */
export interface AccountCredentials {
  readonly appId: string
  /** AppSecret, component_appsecret, corpsecret or suite_secret. */
  readonly secret: string | null
  /** The newest, and the one before. */
  readonly ticket: string | null
  readonly previousTicket: string | null
  readonly refreshToken: string | null
  readonly permanentCode: string | null
  readonly parentId: number | null
}

interface AccountRow {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly app_id: string
  readonly original_id: string | null
  readonly agent_id: string | null
  readonly provider_corp_id: string | null
  readonly parent_id: number | null
  readonly serves: Account['serves']
  readonly mode: CallbackMode
  readonly body_format: BodyFormat
  readonly settings: unknown
  readonly created_at: Date
  readonly updated_at: Date
  readonly disabled_at: Date | null
}

const COLUMNS = [
  'id',
  'name',
  'kind',
  'app_id',
  'original_id',
  'agent_id',
  'provider_corp_id',
  'parent_id',
  'serves',
  'mode',
  'body_format',
  'settings',
  'created_at',
  'updated_at',
  'disabled_at',
] as const

/**
 * @param parts `onUnreadable` hears of an account that cannot be loaded (its secrets were sealed
 *   under another master key, say). It is left out, and the other accounts serve on.
 */
export function createAccountStore(parts: {
  readonly db: Knex
  readonly box: SecretBox
  readonly onUnreadable?: (name: string, error: unknown) => void
}): AccountStore {
  const { db, onUnreadable } = parts
  const secrets = createSecretStore(parts.box)

  async function open(rows: readonly AccountRow[]): Promise<Account[]> {
    const sealed = await secrets.list(
      db,
      rows.map((row) => row.id),
    )
    const suites = await suitesOf(db, rows)
    return rows.flatMap((row) => {
      try {
        const account = toAccount(row, secrets.openCallbackKeys(row.id, sealed.get(row.id) ?? []))
        return [asItsSuiteSays(account, suites.get(account.parentId))]
      } catch (error) {
        if (!onUnreadable) throw error
        onUnreadable(row.name, error)
        return []
      }
    })
  }

  async function findOne(
    where: Partial<Pick<AccountRow, 'id' | 'name' | 'parent_id' | 'app_id'>>,
    which: 'in_service' | 'any' = 'in_service',
  ): Promise<Account | undefined> {
    const query = db<AccountRow>('account')
      .select(...COLUMNS)
      .where(where)
      .timeout(QUICK_QUERY_MS)
    const rows = await (which === 'any' ? query : query.whereNull('disabled_at'))
    const [account] = await open(rows)
    return account
  }

  async function overviews(rows: readonly AccountRow[]): Promise<AccountOverview[]> {
    const stored = await secrets.list(
      db,
      rows.map((row) => row.id),
    )
    const parents = await namesOf(
      db,
      rows.flatMap((row) => row.parent_id ?? []),
    )
    return rows.map((row) =>
      toOverview(row, {
        secrets: stored.get(row.id)?.map((secret) => secret.name) ?? [],
        parent: parents.get(row.parent_id) ?? null,
      }),
    )
  }

  async function openAppSecret(accountId: number): Promise<string> {
    const secret = await secrets.open(db, accountId, 'app_secret')
    if (secret === undefined) throw noSuchId(accountId)
    return secret
  }

  return {
    async add(account, also) {
      const row = await withTransaction(db, async (trx) => {
        const inserted = await insertAccount(trx, account)
        await secrets.put(trx, inserted.id, secretsOf(account))
        await also?.(trx, inserted.id)
        await announce(trx, account.name)
        return inserted
      })
      const [overview] = await overviews([row])
      if (!overview) throw new InvariantError('an account that was added has no overview')
      return overview
    },

    async list() {
      return overviews(
        await db<AccountRow>('account')
          .select(...COLUMNS)
          .orderBy('name'),
      )
    },

    async show(name) {
      const [overview] = await overviews(
        await db<AccountRow>('account')
          .select(...COLUMNS)
          .where({ name }),
      )
      if (!overview) throw unknownAccount(name)
      return overview
    },

    async load() {
      const rows = await db<AccountRow>('account')
        .select(...COLUMNS)
        .whereNull('disabled_at')
        .orderBy('id')
        .timeout(QUICK_QUERY_MS)
      return open(rows)
    },

    findByName: (name) => findOne({ name }),
    findById: (id) => findOne({ id }),
    findStored: (id) => findOne({ id }, 'any'),
    findStoredTenant: (parentId, appId) => findOne({ parent_id: parentId, app_id: appId }, 'any'),

    ...accountChanges(db, secrets),
    openAppSecret,
    openSecret: (accountId, name) => secrets.open(db, accountId, name),
    openTickets: (accountId) => openTickets(db, parts.box, accountId),

    putSecrets: (accountId, given) =>
      withTransaction(db, (trx) => secrets.put(trx, accountId, given)),

    ...credentialsOf(db, secrets),

    checkSeals: () => checkSeals(db, parts.box),
    resealAll: () => withTransaction(db, (trx) => resealAll(trx, parts.box)),
  }
}

/** The part of the store that the token endpoints' needs are read from. */
function credentialsOf(
  db: Knex,
  secrets: ReturnType<typeof createSecretStore>,
): Pick<AccountStore, 'openCredentials' | 'openProviderCredentials' | 'replaceRefreshToken'> {
  return {
    async openCredentials(accountId) {
      const row = await db<AccountRow>('account')
        .where({ id: accountId })
        .first('app_id', 'parent_id')
      if (!row) throw noSuchId(accountId)
      const stored = (await secrets.list(db, [accountId])).get(accountId) ?? []
      const opened = (name: SecretName) => secrets.openFrom(accountId, stored, name) ?? null
      return {
        appId: row.app_id,
        parentId: row.parent_id,
        secret: opened('app_secret'),
        ticket: opened('ticket'),
        previousTicket: opened('previous_ticket'),
        refreshToken: opened('refresh_token'),
        permanentCode: opened('permanent_code'),
      }
    },

    async openProviderCredentials(accountId) {
      const row = await db<AccountRow>('account').where({ id: accountId }).first('provider_corp_id')
      if (!row) throw noSuchId(accountId)
      const stored = (await secrets.list(db, [accountId])).get(accountId) ?? []
      const secret = secrets.openFrom(accountId, stored, 'provider_secret') ?? null
      // with nothing to name itself by it has nothing to ask with
      return { appId: row.provider_corp_id ?? '', secret: row.provider_corp_id ? secret : null }
    },

    replaceRefreshToken: (accountId, { used, next }) =>
      withTransaction(db, async (trx) => {
        await trx<AccountRow>('account').where({ id: accountId }).forNoKeyUpdate().first('id')
        if ((await secrets.open(trx, accountId, 'refresh_token')) !== used) return false
        await secrets.put(trx, accountId, { refresh_token: next })
        return true
      }),
  }
}

type AccountChanges = Pick<
  AccountStore,
  'rotate' | 'dropPrevious' | 'updateSettings' | 'setMode' | 'setBodyFormat' | 'disable' | 'enable'
>

/** The half of the store that changes an account that exists. */
function accountChanges(db: Knex, secrets: ReturnType<typeof createSecretStore>): AccountChanges {
  /** Runs a change of one account: its row locked first, every process told at the end. */
  function change<Result>(
    name: string,
    work: (trx: Knex.Transaction, row: AccountRow) => Promise<Result>,
  ): Promise<Result> {
    return withTransaction(db, async (trx) => {
      const row = await trx<AccountRow>('account')
        .select(...COLUMNS)
        .where({ name })
        .forUpdate()
        .first()
      if (!row) throw unknownAccount(name)
      const result = await work(trx, row)
      await trx('account').where({ id: row.id }).update({ updated_at: trx.fn.now() })
      await announce(trx, name)
      return result
    })
  }

  return {
    rotate: (name, rotation) =>
      change(name, async (trx, row) => {
        refuseFaults(rotationFaults(row.kind, rotation))
        const { token, aesKey, secret, providerSecret } = rotation
        const isPairGiven = token !== undefined || aesKey !== undefined
        const pair = isPairGiven
          ? await secrets.rotateCallbackKey(trx, row.id, { token, aesKey })
          : 'unchanged'
        if (secret !== undefined) {
          await secrets.put(trx, row.id, { app_secret: secret })
          await resetTokenBreaker(trx, 'access_token', row.id)
        }
        if (providerSecret !== undefined) {
          await secrets.put(trx, row.id, { provider_secret: providerSecret })
          await resetTokenBreaker(trx, 'provider_token', row.id)
        }
        return {
          callbackKey: pair !== 'unchanged',
          previousLost: pair === 'replaced',
          secret: secret !== undefined,
          providerSecret: providerSecret !== undefined,
        }
      }),

    dropPrevious: (name) => change(name, (trx, row) => secrets.dropPrevious(trx, row.id)),

    updateSettings: (name, changes) =>
      change(name, async (trx, row) => {
        refuseFaults(settingFaults(row.kind, changes))
        const settings = changeSettings(readStoredSettings(row.settings), changes)
        await trx('account')
          .where({ id: row.id })
          .update({ settings: JSON.stringify(settingsToStore(settings)) })
        return settings
      }),

    setMode: (name, mode) =>
      change(name, async (trx, row) => {
        refuseFaults(choiceFaults(row.kind, { mode }))
        if (KIND_RULES[row.kind].callbackPair === 'parent') return
        const stored = (await secrets.list(trx, [row.id])).get(row.id) ?? []
        if (mode !== 'plain' && !stored.some((secret) => secret.name === 'callback_aes_key')) {
          throw new InvalidInputError('bad_account', [
            spokenFault('--aes-key', 'aes_key_needed', { mode }),
          ])
        }
        await trx('account').where({ id: row.id }).update({ mode })
      }),

    setBodyFormat: (name, bodyFormat) =>
      change(name, async (trx, row) => {
        refuseFaults(choiceFaults(row.kind, { bodyFormat }))
        await trx('account').where({ id: row.id }).update({ body_format: bodyFormat })
      }),

    disable: (name) =>
      change(name, async (trx, row) => {
        await trx('account')
          .where({ id: row.id })
          .whereNull('disabled_at')
          .update({ disabled_at: trx.fn.now() })
      }),

    enable: (name) =>
      change(name, async (trx, row) => {
        await trx('account').where({ id: row.id }).update({ disabled_at: null })
      }),
  }
}

/** Decided by the unique constraints, not by looking first: two operators may type at once. */
async function insertAccount(trx: Knex.Transaction, account: NewAccount): Promise<AccountRow> {
  const settings = settingsToStore(changeSettings(DEFAULT_SETTINGS, account.settings))
  const [row] = await trx<AccountRow>('account')
    .insert({
      name: account.name,
      kind: account.kind,
      app_id: account.appId,
      original_id: account.originalId ?? null,
      agent_id: account.agentId ?? null,
      provider_corp_id: account.providerCorpId ?? null,
      parent_id: account.parentId ?? null,
      serves: account.serves ?? null,
      mode: account.mode,
      body_format: account.bodyFormat ?? 'xml',
      settings: JSON.stringify(settings),
    })
    .onConflict()
    .ignore()
    .returning('*')
  return row ?? Promise.reject(await conflictOf(trx, account))
}

async function conflictOf(trx: Knex.Transaction, account: NewAccount): Promise<AppError> {
  const { kind, appId, parentId = null, agentId = null } = account
  const { idOption } = KIND_RULES[kind]
  const holder = await trx<AccountRow>('account')
    .select('name')
    .where({
      ...{ kind, app_id: appId, parent_id: parentId },
      ...(kind === 'wecom_app' && { agent_id: agentId }),
    })
    .first()
  const taken = await trx<AccountRow>('account').where({ name: account.name }).first('name')
  if (taken) {
    return new ConflictError(
      'account_name_taken',
      `NAME: there is an account ${account.name} already; choose another name, or change that one with wcg account set or rotate`,
      { details: { field: 'NAME', name: account.name } },
    )
  }
  return new ConflictError(
    'account_app_id_taken',
    `${idOption}: account ${holder?.name ?? ''} has this ${ID_NAMES[idOption]} already; one platform account is served under one name`,
    { details: { field: idOption, name: holder?.name ?? '' } },
  )
}

/** What a person calls the id, and in a corp with many applications the two that tell them apart. */
const ID_NAMES = {
  '--app-id': 'app id',
  '--corp-id': 'corp id (and agent id)',
  '--suite-id': 'suite id',
} as const

function secretsOf(account: NewAccount): Partial<Record<SecretName, string>> {
  const { secret, token, aesKey, moreSecrets } = account
  return {
    ...(secret !== null && { app_secret: secret }),
    ...(token !== null && { callback_token: token }),
    ...(aesKey !== null && { callback_aes_key: aesKey }),
    ...moreSecrets,
  }
}

type SuiteRow = Pick<AccountRow, 'id' | 'app_id' | 'settings'>

/** The suites behind corps, also those out of service; most gateways have none. */
async function suitesOf(
  db: Knex,
  rows: readonly AccountRow[],
): Promise<ReadonlyMap<number | null, SuiteRow>> {
  const ids = rows.flatMap((row) => (row.kind === 'wecom_authorizer' ? (row.parent_id ?? []) : []))
  if (ids.length === 0) return new Map()
  const suites = await db<AccountRow>('account')
    .select('id', 'app_id', 'settings')
    .whereIn('id', [...new Set(ids)])
    .timeout(QUICK_QUERY_MS)
  return new Map(suites.map((suite) => [suite.id, suite]))
}

/** Where a corp's token comes from is decided for its suite, and corps are made without an operator. */
function asItsSuiteSays(account: Account, suite: SuiteRow | undefined): Account {
  if (!suite) return account
  const settings = readStoredSettings(suite.settings)
  const corp_token_from = corpTokenFrom({ appId: suite.app_id, settings })
  return { ...account, settings: { ...account.settings, corp_token_from } }
}

async function namesOf(db: Knex, ids: readonly number[]): Promise<Map<number | null, string>> {
  if (ids.length === 0) return new Map()
  const rows = await db<AccountRow>('account').select('id', 'name').whereIn('id', ids)
  return new Map(rows.map((row) => [row.id, row.name]))
}

/** A new secret makes old refusals and the old token worthless; the next use asks afresh. */
async function resetTokenBreaker(
  trx: Knex.Transaction,
  table: 'access_token' | 'provider_token',
  accountId: number,
): Promise<void> {
  await trx.raw(
    `update ${table}
     set breaker_until = null,
       breaker_errcode = null,
       breaker_reason = null,
       failures = 0,
       rejected_version = version
     where account_id = ?`,
    [accountId],
  )
}

async function announce(trx: Knex.Transaction, name: string): Promise<void> {
  await trx.raw(`select pg_notify('account_changed', ?)`, [name])
}

function unknownAccount(name: string): NotFoundError {
  return new NotFoundError(
    'unknown_account',
    `there is no account ${JSON.stringify(name)}; wcg account list shows them`,
    { details: { name } },
  )
}

function noSuchId(accountId: number): NotFoundError {
  return new NotFoundError('unknown_account', `no account has the id ${accountId}`, {
    details: { name: accountId },
  })
}

/** @throws InvariantError when the account should have a callback pair and has none. */
function toAccount(
  row: AccountRow,
  keys: Pick<Account, 'callbackKey' | 'previousCallbackKey'>,
): Account {
  if (!keys.callbackKey && KIND_RULES[row.kind].callbackPair === 'own') {
    throw new InvariantError(`account ${row.id} has no callback token`)
  }
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    appId: row.app_id,
    originalId: row.original_id,
    agentId: row.agent_id,
    providerCorpId: row.provider_corp_id,
    parentId: row.parent_id,
    serves: row.serves,
    mode: row.mode,
    bodyFormat: row.body_format,
    ...keys,
    settings: readStoredSettings(row.settings),
  }
}

function toOverview(
  row: AccountRow,
  beside: { readonly secrets: readonly SecretName[]; readonly parent: string | null },
): AccountOverview {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    appId: row.app_id,
    originalId: row.original_id,
    agentId: row.agent_id,
    providerCorpId: row.provider_corp_id,
    parent: beside.parent,
    serves: row.serves,
    mode: row.mode,
    bodyFormat: row.body_format,
    settings: readStoredSettings(row.settings),
    secrets: beside.secrets,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    disabledAt: row.disabled_at,
  }
}
