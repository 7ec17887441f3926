import type { Knex } from 'knex'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import type { AccountApi } from '../wechat/account-api.ts'
import type { TokenAccount } from '../wechat/refresh-token.ts'
import {
  readTemplateList,
  templateChannelsOf,
  type TemplateChannel,
  type TemplateList,
} from '../wechat/template-lists.ts'
import { aliasesUsing, compareLists, type TemplateChange } from './drift.ts'
import { countWaiting, inSync, loadTemplates, markBanned } from './template-store.ts'
import type { Template } from './template.ts'

export interface TemplateSyncDeps {
  readonly db: Knex
  readonly api: AccountApi
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'templateDrifts'>
}

/** What became of one list. */
export interface SyncedList {
  readonly channel: TemplateChannel
  /** `doubted`: it came back empty although templates were known; the next sync believes it. */
  readonly outcome: 'compared' | 'doubted' | 'refused'
  readonly listed: number
  /** Of `refused`. */
  readonly errcode: number | null
}

export interface SyncReport {
  readonly lists: readonly SyncedList[]
  readonly changes: readonly TemplateChange[]
}

/**
 * Compares what is known of an account's templates with the platform's lists. Safe to run twice, also
 * at once. An account without such channels has no lists.
 *
 * @throws UnavailableError when the platform does not answer now; nothing has changed then.
 */
export async function syncTemplates(
  deps: TemplateSyncDeps,
  account: TokenAccount,
): Promise<SyncReport> {
  const answers: Answered[] = []
  for (const channel of templateChannelsOf(account)) {
    answers.push({ channel, list: await readTemplateList(deps.api, account, channel) })
  }
  const now = deps.clock.now()
  const report = await inSync(deps.db, account.id, async ({ stored, doubted, save }) => {
    const compared = answers.map((answer) =>
      compareAnswer(answer, { stored: stored.templates, doubted, now }),
    )
    const isDoubted = ({ list }: Compared) => list.outcome === 'doubted'
    await save({
      templates: compared.flatMap(({ templates }) => templates),
      doubted: compared.filter(isDoubted).map(({ list }) => list.channel),
    })
    return {
      lists: compared.map(({ list }) => list),
      changes: compared.flatMap(({ changes }) => changes),
    }
  })
  tell(deps, account, report)
  await tellDrift(deps, account, report.changes)
  return report
}

interface Answered {
  readonly channel: TemplateChannel
  readonly list: TemplateList
}

interface Compared {
  readonly list: SyncedList
  readonly templates: readonly Template[]
  readonly changes: readonly TemplateChange[]
}

function compareAnswer(
  { channel, list }: Answered,
  known: {
    readonly stored: readonly Template[]
    readonly doubted: readonly TemplateChannel[]
    readonly now: Date
  },
): Compared {
  const nothing = { templates: [], changes: [] }
  if (list.kind === 'refused') {
    const { errcode } = list
    return { list: { channel, outcome: 'refused', listed: 0, errcode }, ...nothing }
  }
  const { templates: listed } = list
  const mine = known.stored.filter((one) => one.channel === channel)
  const isEmptied = listed.length === 0 && mine.some(({ status }) => status !== 'withdrawn')
  // all at once gone is more often a fault of an answer than true, and would refuse every send
  if (isEmptied && !known.doubted.includes(channel)) {
    return { list: { channel, outcome: 'doubted', listed: 0, errcode: null }, ...nothing }
  }
  return {
    list: { channel, outcome: 'compared', listed: listed.length, errcode: null },
    ...compareLists(mine, { channel, listed }, known.now),
  }
}

function tell({ log }: TemplateSyncDeps, account: TokenAccount, report: SyncReport): void {
  for (const { channel, outcome, listed, errcode } of report.lists) {
    const told = { account: account.name, channel, outcome, listed, errcode }
    if (outcome === 'doubted') log.warn(told, 'templates.list_doubted')
    else log.info(told, 'templates.synced')
  }
}

/** A template that is known and live, and that the platform has called banned. */
interface Banned {
  readonly account: TokenAccount
  readonly channel: TemplateChannel
  readonly templateId: string
}

/** Marks a banned template, and tells who uses it; nothing happens for one that is not known. */
export async function noteBanned(
  deps: Omit<TemplateSyncDeps, 'api'>,
  { account, channel, templateId }: Banned,
): Promise<void> {
  const isNew = await markBanned(deps.db, { accountId: account.id, channel, templateId })
  if (isNew) await tellDrift(deps, account, [{ channel, templateId, change: 'banned' }])
}

/** Tells of changes to templates that an alias names or that messages wait for. */
async function tellDrift(
  { db, log, metrics }: Omit<TemplateSyncDeps, 'api'>,
  account: TokenAccount,
  changes: readonly TemplateChange[],
): Promise<void> {
  const drifts = changes.filter(({ change }) => change !== 'appeared' && change !== 'returned')
  if (drifts.length === 0) return
  const [known] = await loadTemplates(db, account.id)
  const waitingFor = await countWaiting(db, account.id, drifts)
  for (const { channel, templateId, change } of drifts) {
    const aliases = aliasesUsing(known?.aliases ?? [], { channel, templateId })
    const waiting = waitingFor.get(templateId) ?? 0
    if (aliases.length === 0 && waiting === 0) continue
    metrics.templateDrifts.inc({ account: account.name, change })
    log.warn(
      { account: account.name, channel, template_id: templateId, change, aliases, waiting },
      'templates.drifted',
    )
  }
}
