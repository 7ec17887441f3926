import type { Knex } from 'knex'
import { z } from 'zod'
import { QUICK_QUERY_MS } from '../database/connection.ts'
import { withTransaction } from '../database/unit-of-work.ts'
import { TEMPLATE_CHANNELS, type TemplateChannel } from '../wechat/template-lists.ts'
import type { AliasStep, TemplateAlias } from './alias.ts'
import type { TemplateChange } from './drift.ts'
import { TEMPLATE_STATUSES, type Template } from './template.ts'

/** The templates and aliases of one account. */
export interface StoredTemplates {
  readonly accountId: number
  readonly templates: readonly Template[]
  readonly aliases: readonly TemplateAlias[]
}

const TEMPLATE_COLUMNS = `account_id, channel, template_id, title, content, example, type, choices,
  status, status_at, first_seen_at, last_seen_at, changed_at`
const ALIAS_COLUMNS = 'account_id, name, channel, steps, actor, updated_at'

/** What is known of all accounts, or of one; there are few templates, 25 to 50 an account. */
export async function loadTemplates(
  db: Knex,
  accountId: number | null = null,
): Promise<StoredTemplates[]> {
  const mine = '(?::integer is null or account_id = ?)'
  const given = [accountId, accountId]
  const templates: unknown = await db.raw(
    `select ${TEMPLATE_COLUMNS} from template where ${mine}
     order by account_id, channel, template_id`,
    given,
  )
  const aliases: unknown = await db.raw(
    `select ${ALIAS_COLUMNS} from template_alias where ${mine} order by account_id, name`,
    given,
  )
  const templatesOf = Map.groupBy(templateRows.parse(templates).rows, (row) => row.account_id)
  const aliasesOf = Map.groupBy(aliasRows.parse(aliases).rows, (row) => row.account_id)
  return [...new Set([...templatesOf.keys(), ...aliasesOf.keys()])].map((id) => ({
    accountId: id,
    templates: (templatesOf.get(id) ?? []).map(toTemplate),
    aliases: (aliasesOf.get(id) ?? []).map(toAlias),
  }))
}

/** The templates whose acceptance is a standing right, as the platform lists them, by account. */
export async function listLongTermTemplates(
  db: Knex,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const { rows } = await db
    .raw<{ rows: { account_id: number; template_ids: readonly string[] }[] }>(
      `select account_id, array_agg(template_id order by template_id) as template_ids
       from template where type = 'long_term' group by account_id`,
    )
    // pushes and sends wait for it where it loads the copy of the accounts
    .timeout(QUICK_QUERY_MS)
  return new Map(rows.map((row) => [row.account_id, row.template_ids]))
}

/**
 * Marks that an account's lists are being asked for.
 *
 * @param wish.restSeconds not within this time of the last question.
 * @returns whether they may be asked now.
 */
export async function beginSync(
  db: Knex,
  wish: { readonly accountId: number; readonly restSeconds: number },
): Promise<boolean> {
  const result = await db.raw<{ rows: unknown[] }>(
    `insert into template_sync as sync (account_id, began_at) values (?, clock_timestamp())
     on conflict (account_id) do update set began_at = excluded.began_at, ended_at = null
     where sync.began_at <= excluded.began_at - make_interval(secs => ?)
     returning 1`,
    [wish.accountId, wish.restSeconds],
  )
  return result.rows.length === 1
}

/** What is stored of an account while its row of syncs is held, and a way to change it. */
export interface SyncTransaction {
  readonly stored: StoredTemplates
  /** Channels whose list came back empty the last time although templates were known. */
  readonly doubted: readonly TemplateChannel[]
  readonly save: (changes: {
    readonly templates: readonly Template[]
    readonly doubted: readonly TemplateChannel[]
  }) => Promise<void>
}

/** Compares and stores under the account's row of syncs: two processes come one after the other. */
export async function inSync<Result>(
  db: Knex,
  accountId: number,
  work: (sync: SyncTransaction) => Promise<Result>,
): Promise<Result> {
  return withTransaction(db, async (trx) => {
    const held: unknown = await trx.raw(
      `insert into template_sync (account_id, began_at) values (?, clock_timestamp())
       on conflict (account_id) do update set ended_at = clock_timestamp()
       returning doubted`,
      [accountId],
    )
    const [stored] = await loadTemplates(trx, accountId)
    return work({
      stored: stored ?? { accountId, templates: [], aliases: [] },
      doubted: syncRows.parse(held).rows[0]?.doubted ?? [],
      save: async ({ templates, doubted }) => {
        for (const template of templates) await putTemplate(trx, accountId, template)
        await trx.raw(`update template_sync set doubted = ? where account_id = ?`, [
          [...doubted],
          accountId,
        ])
        if (templates.length > 0) await announce(trx)
      },
    })
  })
}

async function putTemplate(trx: Knex, accountId: number, template: Template): Promise<void> {
  await trx.raw(
    `insert into template (${TEMPLATE_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     on conflict (account_id, channel, template_id) do update set
       title = excluded.title, content = excluded.content, example = excluded.example,
       type = excluded.type, choices = excluded.choices, status = excluded.status,
       status_at = excluded.status_at, last_seen_at = excluded.last_seen_at,
       changed_at = excluded.changed_at`,
    [
      accountId,
      template.channel,
      template.templateId,
      template.title,
      template.content,
      template.example,
      template.type,
      JSON.stringify(template.choices),
      template.status,
      template.statusAt,
      template.firstSeenAt,
      template.lastSeenAt,
      template.changedAt,
    ],
  )
}

/**
 * Marks a template that the platform said is banned.
 *
 * @returns whether it was known and live until now.
 */
export async function markBanned(
  db: Knex,
  banned: {
    readonly accountId: number
    readonly channel: TemplateChannel
    readonly templateId: string
  },
): Promise<boolean> {
  return withTransaction(db, async (trx) => {
    const { accountId, channel, templateId } = banned
    const result = await trx.raw<{ rowCount: number }>(
      `update template set status = 'banned', status_at = clock_timestamp()
       where account_id = ? and channel = ? and template_id = ? and status = 'live'`,
      [accountId, channel, templateId],
    )
    if (result.rowCount > 0) await announce(trx)
    return result.rowCount > 0
  })
}

/**
 * How many messages wait for each of these templates. Served by message_channel_idx: what waits of the
 * account is the queue.
 */
export async function countWaiting(
  db: Knex,
  accountId: number,
  changes: readonly Pick<TemplateChange, 'channel' | 'templateId'>[],
): Promise<ReadonlyMap<string, number>> {
  const result: unknown = await db.raw(
    `select template_id, count(*)::integer as waiting from message
     where status in ('scheduled', 'queued') and account_id = ? and template_id = any (?::text[])
     group by template_id`,
    [accountId, changes.map(({ templateId }) => templateId)],
  )
  return new Map(waitingRows.parse(result).rows.map((row) => [row.template_id, row.waiting]))
}

/** Sets an alias, in the place of what it was; every process is told. */
export async function putAlias(
  db: Knex,
  accountId: number,
  alias: Omit<TemplateAlias, 'updatedAt'>,
): Promise<TemplateAlias> {
  return withTransaction(db, async (trx) => {
    const result: unknown = await trx.raw(
      `insert into template_alias (account_id, name, channel, steps, actor) values (?, ?, ?, ?, ?)
       on conflict (account_id, name) do update set
         channel = excluded.channel, steps = excluded.steps, actor = excluded.actor,
         updated_at = excluded.updated_at
       returning ${ALIAS_COLUMNS}`,
      [accountId, alias.name, alias.channel, JSON.stringify(alias.steps), alias.actor],
    )
    await announce(trx)
    const [row] = aliasRows.parse(result).rows
    if (!row) throw new Error('an alias that was set is there')
    return toAlias(row)
  })
}

/** Takes an alias away. @returns what it was; undefined when there was none. */
export async function removeAlias(
  db: Knex,
  accountId: number,
  name: string,
): Promise<TemplateAlias | undefined> {
  return withTransaction(db, async (trx) => {
    const result: unknown = await trx.raw(
      `delete from template_alias where account_id = ? and name = ? returning ${ALIAS_COLUMNS}`,
      [accountId, name],
    )
    const [row] = aliasRows.parse(result).rows
    if (row) await announce(trx)
    return row && toAlias(row)
  })
}

/** The notification of a changed account: whoever keeps copies of accounts keeps these too. */
async function announce(trx: Knex): Promise<void> {
  await trx.raw(`select pg_notify('account_changed', '')`)
}

const channel = z.enum(TEMPLATE_CHANNELS)

const templateRows = z.object({
  rows: z.array(
    z.object({
      account_id: z.int(),
      channel,
      template_id: z.string(),
      title: z.string(),
      content: z.string(),
      example: z.string(),
      type: z.enum(['one_time', 'long_term']).nullable(),
      choices: z.record(z.string(), z.array(z.string())),
      status: z.enum(TEMPLATE_STATUSES),
      status_at: z.date(),
      first_seen_at: z.date(),
      last_seen_at: z.date(),
      changed_at: z.date().nullable(),
    }),
  ),
})

const fieldSource = z.union([z.string(), z.object({ value: z.string() })])

const step = z.object({
  templateId: z.string(),
  map: z.record(z.string(), fieldSource).nullable(),
}) satisfies z.ZodType<AliasStep>

const aliasRows = z.object({
  rows: z.array(
    z.object({
      account_id: z.int(),
      name: z.string(),
      channel,
      steps: z.tuple([step], step),
      actor: z.string(),
      updated_at: z.date(),
    }),
  ),
})

const syncRows = z.object({ rows: z.array(z.object({ doubted: z.array(channel) })) })

const waitingRows = z.object({
  rows: z.array(z.object({ template_id: z.string(), waiting: z.int() })),
})

function toTemplate(row: z.output<typeof templateRows>['rows'][number]): Template {
  return {
    channel: row.channel,
    templateId: row.template_id,
    title: row.title,
    content: row.content,
    example: row.example,
    type: row.type,
    choices: row.choices,
    status: row.status,
    statusAt: row.status_at,
    firstSeenAt: row.first_seen_at,
    lastSeenAt: row.last_seen_at,
    changedAt: row.changed_at,
  }
}

function toAlias(row: z.output<typeof aliasRows>['rows'][number]): TemplateAlias {
  return {
    name: row.name,
    channel: row.channel,
    steps: row.steps,
    actor: row.actor,
    updatedAt: row.updated_at,
  }
}
