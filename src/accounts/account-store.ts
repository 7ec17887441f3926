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
  type CallbackMode,
} from './account.ts'
import type { NewAccount, Rotation } from './account-input.ts'
import { spokenFault } from './account-rules.ts'
import { checkSeals, resealAll, type SealReport } from './seal-store.ts'
import { createSecretStore, type SecretName } from './secret-store.ts'
import { readStoredSettings, settingsToStore } from './account-settings.ts'

/** An account as an operator sees it: everything but the secrets themselves. */
export interface AccountOverview {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly appId: string
  readonly originalId: string
  readonly mode: CallbackMode
  readonly settings: AccountSettings
  /** The names of the secrets that are stored. */
  readonly secrets: readonly SecretName[]
  readonly createdAt: Date
  readonly updatedAt: Date
  /** null while in service; a disabled account takes no pushes and makes no sends. */
  readonly disabledAt: Date | null
}

/** What one rotation changed. */
export interface RotationResult {
  /** A new pair signs and encrypts pushes; the one before is still accepted. */
  readonly callbackKey: boolean
  readonly secret: boolean
}

/**
 * The WeChat accounts in the database. Every change runs in one transaction with the notification
 * (`account_changed`) that makes all processes load again. Secrets are sealed before they leave.
 */
export interface AccountStore {
  /** @throws ConflictError `account_name_taken`, `account_app_id_taken` */
  add(account: NewAccount): Promise<AccountOverview>
  /** Every account, disabled ones too, by name; nothing is opened. */
  list(): Promise<AccountOverview[]>
  /** @throws NotFoundError `unknown_account` */
  show(name: string): Promise<AccountOverview>
  /** The accounts in service with their callback keys opened; what the cache loads. */
  load(): Promise<Account[]>
  /** An account in service. */
  findByName(name: string): Promise<Account | undefined>
  findById(id: number): Promise<Account | undefined>
  /** Puts new secrets in place; the current callback pair becomes the previous one. */
  rotate(name: string, rotation: Rotation): Promise<RotationResult>
  /** Forgets the previous callback pair. Returns whether there was one. */
  dropPrevious(name: string): Promise<boolean>
  updateSettings(name: string, changes: Partial<AccountSettings>): Promise<AccountSettings>
  /** @throws InvalidInputError when the mode encrypts and the account has no AES key. */
  setMode(name: string, mode: CallbackMode): Promise<void>
  disable(name: string): Promise<void>
  enable(name: string): Promise<void>
  /** The AppSecret, for the token endpoint. @throws NotFoundError `unknown_account` */
  openAppSecret(accountId: number): Promise<string>
  /** App id and AppSecret together, as the token endpoint asks for them. */
  openCredentials(accountId: number): Promise<{ appId: string; appSecret: string }>
  /**
   * Seals again what an older master key sealed: every secret and every access token.
   * @returns how many of each.
   */
  resealAll(): Promise<{ secrets: number; tokens: number }>
  /** Whether this process can open everything that is sealed; nothing is thrown for what it cannot. */
  checkSeals(): Promise<SealReport>
}

interface AccountRow {
  readonly id: number
  readonly name: string
  readonly kind: AccountKind
  readonly app_id: string
  readonly original_id: string
  readonly mode: CallbackMode
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
  'mode',
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
    return rows.flatMap((row) => {
      try {
        return [toAccount(row, secrets.openCallbackKeys(row.id, sealed.get(row.id) ?? []))]
      } catch (error) {
        if (!onUnreadable) throw error
        onUnreadable(row.name, error)
        return []
      }
    })
  }

  async function findOne(where: { name: string } | { id: number }): Promise<Account | undefined> {
    const rows = await db<AccountRow>('account')
      .select(...COLUMNS)
      .where(where)
      .whereNull('disabled_at')
    const [account] = await open(rows)
    return account
  }

  async function overviews(rows: readonly AccountRow[]): Promise<AccountOverview[]> {
    const stored = await secrets.list(
      db,
      rows.map((row) => row.id),
    )
    return rows.map((row) =>
      toOverview(row, stored.get(row.id)?.map((secret) => secret.name) ?? []),
    )
  }

  async function openAppSecret(accountId: number): Promise<string> {
    const secret = await secrets.open(db, accountId, 'app_secret')
    if (secret === undefined) throw noSuchId(accountId)
    return secret
  }

  return {
    async add(account) {
      const row = await withTransaction(db, async (trx) => {
        const inserted = await insertAccount(trx, account)
        await secrets.put(trx, inserted.id, {
          app_secret: account.secret,
          callback_token: account.token,
          ...(account.aesKey === null ? {} : { callback_aes_key: account.aesKey }),
        })
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

    ...accountChanges(db, secrets),
    openAppSecret,

    async openCredentials(accountId) {
      const appSecret = await openAppSecret(accountId)
      const row = await db<AccountRow>('account').where({ id: accountId }).first('app_id')
      if (!row) throw noSuchId(accountId)
      return { appId: row.app_id, appSecret }
    },

    checkSeals: () => checkSeals(db, parts.box),
    resealAll: () => withTransaction(db, (trx) => resealAll(trx, parts.box)),
  }
}

type AccountChanges = Pick<
  AccountStore,
  'rotate' | 'dropPrevious' | 'updateSettings' | 'setMode' | 'disable' | 'enable'
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
        const callbackKey = await secrets.rotateCallbackKey(trx, row.id, rotation)
        if (rotation.secret !== undefined) {
          await secrets.put(trx, row.id, { app_secret: rotation.secret })
          await resetTokenBreaker(trx, row.id)
        }
        return { callbackKey, secret: rotation.secret !== undefined }
      }),

    dropPrevious: (name) => change(name, (trx, row) => secrets.dropPrevious(trx, row.id)),

    updateSettings: (name, changes) =>
      change(name, async (trx, row) => {
        const settings = { ...readStoredSettings(row.settings), ...changes }
        await trx('account')
          .where({ id: row.id })
          .update({ settings: JSON.stringify(settingsToStore(settings)) })
        return settings
      }),

    setMode: (name, mode) =>
      change(name, async (trx, row) => {
        const stored = (await secrets.list(trx, [row.id])).get(row.id) ?? []
        if (mode !== 'plain' && !stored.some((secret) => secret.name === 'callback_aes_key')) {
          throw new InvalidInputError('bad_account', [
            spokenFault('--aes-key', 'aes_key_needed', { mode }),
          ])
        }
        await trx('account').where({ id: row.id }).update({ mode })
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
  const settings = settingsToStore({ ...DEFAULT_SETTINGS, ...account.settings })
  const [row] = await trx<AccountRow>('account')
    .insert({
      name: account.name,
      kind: account.kind,
      app_id: account.appId,
      original_id: account.originalId,
      mode: account.mode,
      settings: JSON.stringify(settings),
    })
    .onConflict()
    .ignore()
    .returning('*')
  return row ?? Promise.reject(await conflictOf(trx, account))
}

async function conflictOf(trx: Knex.Transaction, account: NewAccount): Promise<AppError> {
  const holder = await trx<AccountRow>('account')
    .select('name')
    .where({ kind: account.kind, app_id: account.appId })
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
    `--app-id: account ${holder?.name ?? ''} has this app id already; one platform account is served under one name`,
    { details: { field: '--app-id', name: holder?.name ?? '' } },
  )
}

/** A new AppSecret makes old refusals and the old token worthless; the next use asks afresh. */
async function resetTokenBreaker(trx: Knex.Transaction, accountId: number): Promise<void> {
  await trx.raw(
    `update access_token
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

function toAccount(
  row: AccountRow,
  keys: Pick<Account, 'callbackKey' | 'previousCallbackKey'>,
): Account {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    appId: row.app_id,
    originalId: row.original_id,
    mode: row.mode,
    ...keys,
    settings: readStoredSettings(row.settings),
  }
}

function toOverview(row: AccountRow, secrets: readonly SecretName[]): AccountOverview {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    appId: row.app_id,
    originalId: row.original_id,
    mode: row.mode,
    settings: readStoredSettings(row.settings),
    secrets,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    disabledAt: row.disabled_at,
  }
}
