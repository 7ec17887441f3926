import { readDatabaseTime } from '../accounts/account-state-store.ts'
import type { AccountOverview } from '../accounts/account-store.ts'
import type { Gateway } from '../compose.ts'
import type { Config } from '../config.ts'
import { measureJobs } from '../database/job-queue.ts'
import { pending } from '../database/migrate.ts'
import { accountWarnings } from './account-options.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command, CommandContext } from './command.ts'
import { countParked } from '../consent/parked-store.ts'
import { countPushesAside } from '../events/aside-store.ts'
import { explainError } from './explain-error.ts'
import { readSendingState, sendingWarnings } from './sending-state.ts'
import { textTable } from './text-table.ts'
import { findTicketWarnings } from './ticket-warnings.ts'
import { deathWarnings, recentDeaths } from './token-deaths.ts'
import type { Say } from './words.ts'

interface Check {
  /** The same in every language, for a monitor. What stands in `CHECKS` where it is absent. */
  readonly check?: string
  readonly name: string
  readonly status: 'ok' | 'warning' | 'failed'
  readonly message: string
}

/** Farther apart, and leases of 10 s or the platform's ten-minute window begin to suffer. */
const CLOCK_TOLERANCE_SECONDS = 2

/** There are a handful; more than this nobody would read. */
const MOST_ENDPOINTS = 1_000

export const doctor: Command = {
  name: 'doctor',
  summary: {
    en: 'Check the settings, the database, the master key and the accounts.',
    zh: '检查设置、数据库、主密钥和帐号。',
  },

  async run(context) {
    const { say, output } = context
    const checks = await examine(context)
    const ok = checks.every((check) => check.status !== 'failed')
    const word = { ok: say('ok'), warning: say('warning'), failed: say('failure') }
    output.answer(
      { ok, checks },
      textTable(checks.map((check) => [word[check.status], check.name, check.message])),
    )
    return ok ? 0 : 1
  },
}

type Checker = (gateway: Gateway, config: Config, say: Say) => Promise<Check[]>

/** In their order; the names are for `--json`. */
const CHECKS: readonly (readonly [check: string, Checker])[] = [
  ['database', checkDatabase],
  ['migrations', checkMigrations],
  ['master_key', checkSeals],
  ['account', checkAccounts],
  ['templates', checkTemplates],
  ['jobs', checkJobs],
  ['endpoints', checkEndpoints],
  ['pushes_aside', checkPushesAside],
  ['parked_pushes', checkParked],
]

/** Each check in turn; one that fails ends those that build on it. */
async function examine(context: CommandContext): Promise<Check[]> {
  const { say, language } = context
  const checks: Check[] = []
  let current: 'settings' | 'database' = 'settings'
  const currentName = () => say(`check_${current}`)
  try {
    const config = context.readConfig()
    const { environment } = config
    const message = say('settings_ok', { environment })
    checks.push({ check: current, name: currentName(), status: 'ok', message })
    current = 'database'
    await context.withGateway(
      async (gateway) => {
        for (const [id, check] of CHECKS) {
          const found = await check(gateway, config, say)
          checks.push(...found.map((one) => ({ check: id, ...one })))
          if (found.some(({ status }) => status === 'failed')) return
        }
      },
      { migrations: 'ignore' },
    )
    checks.push(...checkPublicUrl(config, say).map((one) => ({ check: 'public_url', ...one })))
  } catch (error) {
    const { message, faults } = explainError(error, language)
    const rules = faults.map(({ field, rule }) => `${field}: ${rule}`)
    const failed = { check: current, name: currentName(), status: 'failed' } as const
    checks.push({ ...failed, message: rules.join('; ') || message })
  }
  return checks
}

async function checkDatabase({ parts }: Gateway, config: Config, say: Say): Promise<Check[]> {
  const before = Date.now()
  const theirs = (await readDatabaseTime(parts.db)).getTime()
  const after = Date.now()
  // Anywhere between question and answer agrees.
  const apartMs = Math.max(0, before - theirs, theirs - after)
  const seconds = Math.round(apartMs / 100) / 10
  const directory = config.dataDirectory
  return [
    {
      name: say('check_database'),
      status: 'ok',
      message: config.database.url ? say('database_ok') : say('database_embedded', { directory }),
    },
    {
      check: 'clock',
      name: say('check_clock'),
      ...(seconds > CLOCK_TOLERANCE_SECONDS
        ? ({ status: 'warning', message: say('clock_apart', { seconds }) } as const)
        : ({ status: 'ok', message: say('clock_ok') } as const)),
    },
  ]
}

async function checkMigrations({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const name = say('check_migrations')
  const { length: count } = await pending(parts.db)
  return count > 0
    ? [{ name, status: 'failed', message: say('migrations_pending', { count }) }]
    : [{ name, status: 'ok', message: say('up_to_date') }]
}

async function checkSeals({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const name = say('check_master_key')
  const { inService, disabled } = await unreadableAccounts(parts.accounts)
  const { all, besideAccounts } = await parts.seals.count()
  const { total, underOldKeys } = all
  const { lost } = besideAccounts
  const failures = [
    ...(inService.length > 0 ? [say('secrets_unreadable', { names: inService.join(', ') })] : []),
    ...(lost ? [say('seals_lost', { count: lost.count, place: lost.place, key: lost.keyId })] : []),
  ]
  const warnings = [
    ...(disabled.length > 0
      ? [say('secrets_unreadable_disabled', { names: disabled.join(', ') })]
      : []),
    ...(underOldKeys > 0 ? [say('seals_old', { count: underOldKeys })] : []),
  ]
  if (failures.length + warnings.length === 0) {
    return [{ name, status: 'ok', message: say('seals_ok', { count: total }) }]
  }
  const [failed, warning] = ['failed', 'warning'] as const
  return [
    ...failures.map((message) => ({ name, status: failed, message })),
    ...warnings.map((message) => ({ name, status: warning, message })),
  ]
}

/** The names of the accounts whose secrets the master keys of this process do not open. */
export async function unreadableAccounts(
  accounts: Gateway['parts']['accounts'],
): Promise<{ readonly inService: readonly string[]; readonly disabled: readonly string[] }> {
  const { unreadableAccountIds } = await accounts.checkSeals()
  if (unreadableAccountIds.length === 0) return { inService: [], disabled: [] }
  const all = await accounts.list()
  const unreadable = all.filter(({ id }) => unreadableAccountIds.includes(id))
  const namesWhere = (disabled: boolean) =>
    unreadable.flatMap(({ name, disabledAt }) => ((disabledAt !== null) === disabled ? [name] : []))
  return { inService: namesWhere(false), disabled: namesWhere(true) }
}

async function checkAccounts({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const accounts = await parts.accounts.list()
  if (accounts.length === 0) {
    return [{ name: say('check_accounts'), status: 'warning', message: say('no_accounts') }]
  }
  const checks: Check[] = []
  const sending = await readSendingState(parts)
  for (const account of accounts) {
    const deaths = await recentDeaths(parts, account)
    const warnings = [
      ...(await findTicketWarnings(parts, account, say)),
      ...deathWarnings(account.name, deaths, say),
      ...sendingWarnings(account, sending, say),
    ]
    checks.push(...accountChecks(account, warnings, say))
  }
  return checks
}

function accountChecks(account: AccountOverview, more: readonly string[], say: Say): Check[] {
  const name = say('check_account', { name: account.name })
  const warnings = [...accountWarnings(account, say), ...more]
  if (warnings.length === 0) {
    return [{ name, status: 'ok', message: say('account_ok', { mode: account.mode }) }]
  }
  return warnings.map((message) => ({ name, status: 'warning', message }))
}

/** Only accounts that use aliases, or have messages waiting for a template that is gone. */
async function checkTemplates({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const checks: Check[] = []
  for (const { id, name: account } of await parts.accounts.list()) {
    const name = say('check_templates', { name: account })
    const { aliases } = await parts.templates.show(id)
    const findings = await parts.templates.findings(id)
    const [ok, warning] = ['ok', 'warning'] as const
    if (findings.length === 0 && aliases.length > 0) {
      checks.push({ name, status: ok, message: say('templates_ok', { count: aliases.length }) })
    }
    for (const { kind, alias, templateId: template, detail } of findings) {
      const message = say(`finding_${kind}`, { alias: alias ?? '', template, detail })
      checks.push({ name, status: warning, message })
    }
  }
  return checks
}

/** Jobs that nobody tries any more. */
async function checkPushesAside({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const name = say('check_pushes_aside')
  const { count, newestReason } = await countPushesAside(parts.db)
  if (count === 0) return [{ name, status: 'ok', message: say('no_pushes_aside') }]
  const reason = newestReason ?? ''
  return [{ name, status: 'warning', message: say('pushes_aside', { count, reason }) }]
}

/** Exchanges take seconds, and every try of the first ten minutes has failed by then. */
const PARKED_LONG_MS = 10 * 60_000

/** Pushes of merchants and corps that have no account; where none waits long it says nothing. */
async function checkParked({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const longAgo = Date.now() - PARKED_LONG_MS
  return (await countParked(parts.db)).flatMap(({ account, waiting, oldestAt, dropped }) => {
    const messages: string[] = []
    if (oldestAt !== null && oldestAt.getTime() < longAgo) {
      messages.push(say('parked_wait', { waiting, since: oldestAt.toISOString() }))
    }
    if (dropped > 0) messages.push(say('parked_dropped', { dropped }))
    const name = say('check_parked', { name: account })
    return messages.map((message) => ({ name, status: 'warning', message }))
  })
}

async function checkJobs({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const name = say('check_jobs')
  const { waiting, dead } = await measureJobs(parts.db)
  if (dead.length === 0) return [{ name, status: 'ok', message: say('jobs_ok', { waiting }) }]
  return dead.map((given) => ({ name, status: 'warning', message: say('jobs_dead', given) }))
}

/** Endpoints that rest, or are on the way to it; a gateway without endpoints says nothing of them. */
async function checkEndpoints({ parts }: Gateway, _: Config, say: Say): Promise<Check[]> {
  const name = say('check_endpoints')
  const found = await parts.endpoints.list(await operatorOf(parts), { limit: MOST_ENDPOINTS })
  const live = found.filter(({ disabledAt }) => disabledAt === null)
  const told = live.flatMap(({ id, application, pausedAt, pausedReason, failingSince }) => {
    const since = (pausedAt ?? failingSince)?.toISOString()
    if (since === undefined) return []
    if (pausedReason === null) return say('endpoint_fails', { id, application, since })
    return say('endpoint_rests', { id, application, since, reason: pausedReason })
  })
  if (told.length > 0) return told.map((message) => ({ name, status: 'warning', message }))
  if (live.length === 0) return []
  return [{ name, status: 'ok', message: say('endpoints_ok', { count: live.length }) }]
}

function checkPublicUrl(config: Config, say: Say): Check[] {
  const name = say('check_public_url')
  const url = config.http.publicBaseUrl
  if (url === null) return [{ name, status: 'warning', message: say('public_url_missing') }]
  return new URL(url).port === ''
    ? [{ name, status: 'ok', message: url }]
    : [{ name, status: 'warning', message: say('public_url_port', { url }) }]
}
