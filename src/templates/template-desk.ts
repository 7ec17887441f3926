import type { Knex } from 'knex'
import type { z } from 'zod'
import { InvalidInputError, NotFoundError } from '../foundation/errors.ts'
import type { Clock } from '../foundation/clock.ts'
import type { TokenAccount } from '../wechat/refresh-token.ts'
import { templateChannelsOf } from '../wechat/template-lists.ts'
import {
  aliasFaults,
  ALIAS_NAME,
  stepsOf,
  type aliasBodySchema,
  type TemplateAlias,
} from './alias.ts'
import { findingsOf, type Finding } from './drift.ts'
import { indexOf } from './registry.ts'
import type { SyncReport } from './sync-templates.ts'
import {
  beginSync,
  countWaiting,
  loadTemplates,
  putAlias,
  removeAlias,
  type StoredTemplates,
} from './template-store.ts'

/** What applications and operators ask for about an account's templates. */
export interface TemplateDesk {
  show(accountId: number): Promise<StoredTemplates>
  /** @throws InvalidInputError `invalid_request` */
  putAlias(account: AliasAccount, alias: NewAlias): Promise<TemplateAlias>
  /** @returns what it was. @throws NotFoundError `template_alias_not_found` */
  removeAlias(accountId: number, name: string): Promise<TemplateAlias>
  /** Compares with the platform now. @throws UnavailableError */
  sync(account: TokenAccount): Promise<SyncReport>
  findings(accountId: number): Promise<readonly Finding[]>
}

/** The account of an alias; undefined facts: it is disabled, and nothing is said about its kind. */
interface AliasAccount {
  readonly id: number
  readonly facts: Parameters<typeof templateChannelsOf>[0] | undefined
}

interface NewAlias {
  readonly name: string
  readonly body: z.output<typeof aliasBodySchema>
  readonly actor: string
}

/** Reads and changes what is stored; this process knows of its own changes at once. */
export function createTemplateDesk(parts: {
  readonly db: Knex
  readonly clock: Clock
  readonly sync: (account: TokenAccount) => Promise<SyncReport>
  readonly onChanged: () => void
}): TemplateDesk {
  const { db, clock } = parts

  async function show(accountId: number): Promise<StoredTemplates> {
    const [stored] = await loadTemplates(db, accountId)
    return stored ?? { accountId, templates: [], aliases: [] }
  }

  return {
    show,

    async putAlias(account, { name, body, actor }) {
      refuseOtherChannel(account, body.channel)
      const known = indexOf(await show(account.id))
      const steps = stepsOf(body)
      const faults = [
        ...(ALIAS_NAME.test(name) ? [] : [{ field: 'alias', rule: NAME_RULE }]),
        ...aliasFaults(steps, (templateId) => known.findTemplate(body.channel, templateId)),
      ]
      if (faults.length > 0) throw new InvalidInputError('invalid_request', faults)
      const alias = await putAlias(db, account.id, { name, channel: body.channel, steps, actor })
      parts.onChanged()
      return alias
    },

    async removeAlias(accountId, name) {
      const removed = await removeAlias(db, accountId, name)
      if (!removed) throw aliasNotFound()
      parts.onChanged()
      return removed
    },

    async sync(account) {
      await beginSync(db, { accountId: account.id, restSeconds: 0 })
      const report = await parts.sync(account)
      parts.onChanged()
      return report
    },

    async findings(accountId) {
      const stored = await show(accountId)
      const gone = stored.templates.filter(({ status }) => status !== 'live')
      const waiting = gone.length === 0 ? new Map() : await countWaiting(db, accountId, gone)
      return findingsOf(stored, waiting as ReadonlyMap<string, number>, clock.now())
    },
  }
}

const NAME_RULE =
  'must begin with a small letter and hold at most 64 small letters, digits and underscores'

/** There is no alias of this name for the account. */
export function aliasNotFound(): NotFoundError {
  return new NotFoundError(
    'template_alias_not_found',
    'the account has no such alias; GET …/template-aliases lists those it has',
  )
}

function refuseOtherChannel({ facts }: AliasAccount, channel: TemplateAlias['channel']): void {
  if (!facts || templateChannelsOf(facts).includes(channel)) return
  const has = templateChannelsOf(facts).join(', ') || 'none with templates'
  const rule = `this account is of kind ${facts.kind}; its channels with templates: ${has}`
  throw new InvalidInputError('invalid_request', [{ field: 'channel', rule }])
}
