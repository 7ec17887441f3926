import type { ListedTemplate, TemplateChannel } from '../wechat/template-lists.ts'
import { aliasFaults, type TemplateAlias } from './alias.ts'
import type { Template } from './template.ts'

/** What became of a template since it was last looked at. */
export interface TemplateChange {
  readonly channel: TemplateChannel
  readonly templateId: string
  readonly change: 'appeared' | 'changed' | 'withdrawn' | 'banned' | 'returned'
}

/** What a list says in comparison with what is stored. */
export interface Comparison {
  /** Every template that has to be written, as it is now. */
  readonly templates: readonly Template[]
  readonly changes: readonly TemplateChange[]
}

/**
 * A ban that is younger stays although the list still has the template: the platform may list what it
 * has banned. After that we try again, and the next 43116 bans it again.
 */
const BAN_HOLDS_MS = 3_600_000

/** Compares the platform's list of one channel with what is known of that channel. */
export function compareLists(
  stored: readonly Template[],
  list: { readonly channel: TemplateChannel; readonly listed: readonly ListedTemplate[] },
  now: Date,
): Comparison {
  const { channel, listed } = list
  const known = new Map(stored.map((one) => [one.templateId, one]))
  const names = new Set(listed.map(({ templateId }) => templateId))
  const seen = listed.map((one) =>
    seenNow(known.get(one.templateId), { ...factsOf(one), channel }, now),
  )
  const gone = stored.filter((one) => !names.has(one.templateId) && one.status !== 'withdrawn')
  return {
    templates: [
      ...seen.map(({ template }) => template),
      ...gone.map((one) => ({ ...one, status: 'withdrawn' as const, statusAt: now })),
    ],
    changes: [
      ...seen.flatMap(({ template: { templateId }, change }) =>
        change === null ? [] : [{ channel, templateId, change }],
      ),
      ...gone.map(({ templateId }) => ({ channel, templateId, change: 'withdrawn' as const })),
    ],
  }
}

function seenNow(
  before: Template | undefined,
  listed: ListedTemplate & { readonly channel: TemplateChannel },
  now: Date,
): { readonly template: Template; readonly change: TemplateChange['change'] | null } {
  if (!before) {
    const since = { status: 'live', statusAt: now, firstSeenAt: now, lastSeenAt: now } as const
    return { template: { ...listed, ...since, changedAt: null }, change: 'appeared' }
  }
  const isChanged = !isSame(before, listed)
  const staysBanned =
    before.status === 'banned' && now.getTime() - before.statusAt.getTime() < BAN_HOLDS_MS
  const returns = before.status !== 'live' && !staysBanned
  return {
    template: {
      ...before,
      ...listed,
      lastSeenAt: now,
      ...(isChanged && { changedAt: now }),
      ...(returns && { status: 'live' as const, statusAt: now }),
    },
    change: isChanged ? 'changed' : returns ? 'returned' : null,
  }
}

function factsOf({ templateId, title, content, example, type, choices }: ListedTemplate) {
  return { templateId, title, content, example, type, choices }
}

/** The example may change as often as it likes, and the database orders choices in its own way. */
function isSame(before: ListedTemplate, listed: ListedTemplate): boolean {
  const essence = ({ title, content, type, choices }: ListedTemplate) =>
    JSON.stringify([title, content, type, Object.entries(choices).toSorted()])
  return essence(before) === essence(listed)
}

/** The aliases whose list names a template. */
export function aliasesUsing(
  aliases: readonly TemplateAlias[],
  { channel, templateId }: Pick<TemplateChange, 'channel' | 'templateId'>,
): readonly string[] {
  return aliases
    .filter((one) => one.channel === channel)
    .filter(({ steps }) => steps.some((step) => step.templateId === templateId))
    .map(({ name }) => name)
}

/** What an operator has to look at. */
export interface Finding {
  readonly kind: 'gone' | 'not_known' | 'changed' | 'map' | 'waiting'
  readonly alias: string | null
  readonly templateId: string
  /** Of `gone`: the status; of `map`: the fields; of `waiting`: how many messages. */
  readonly detail: string
}

/** How long a changed template is worth a remark: somebody has looked by then, or nobody sends it. */
const CHANGE_IS_NEWS_MS = 7 * 86_400_000

/**
 * What is wrong with an account's aliases at this moment: templates that are gone, that changed
 * lately, that are not in the list, and maps that do not fit them.
 *
 * @param waiting messages that wait for a template which is gone, by its id.
 */
export function findingsOf(
  account: { readonly templates: readonly Template[]; readonly aliases: readonly TemplateAlias[] },
  waiting: ReadonlyMap<string, number>,
  now: Date,
): readonly Finding[] {
  const find = (channel: TemplateChannel, templateId: string) =>
    account.templates.find((one) => one.channel === channel && one.templateId === templateId)
  return [
    ...account.aliases.flatMap((alias) => [
      ...alias.steps.flatMap(({ templateId }) => {
        const template = find(alias.channel, templateId)
        const isListed = account.templates.some(({ channel }) => channel === alias.channel)
        return stepFindings(template, { alias: alias.name, templateId, isListed, now })
      }),
      ...mapFindings(alias, (templateId) => find(alias.channel, templateId)),
    ]),
    ...[...waiting].map(([templateId, count]) => ({
      ...{ kind: 'waiting' as const, alias: null, templateId, detail: String(count) },
    })),
  ]
}

function stepFindings(
  template: Template | undefined,
  step: {
    readonly alias: string
    readonly templateId: string
    /** Whether anything is known of the channel: without it nothing can be missing. */
    readonly isListed: boolean
    readonly now: Date
  },
): readonly Finding[] {
  const { alias, templateId, isListed, now } = step
  if (!template) return isListed ? [{ kind: 'not_known', alias, templateId, detail: '' }] : []
  if (template.status !== 'live') {
    return [{ kind: 'gone', alias, templateId, detail: template.status }]
  }
  const age = now.getTime() - (template.changedAt?.getTime() ?? -Infinity)
  return age < CHANGE_IS_NEWS_MS
    ? [{ kind: 'changed', alias, templateId, detail: template.changedAt?.toISOString() ?? '' }]
    : []
}

function mapFindings(
  { name, steps }: TemplateAlias,
  find: (templateId: string) => Template | undefined,
): readonly Finding[] {
  return aliasFaults(steps, find).map(({ field }) => {
    const step = steps[Number(/^fallbacks\.(\d+)/.exec(field)?.[1] ?? 0) + 1]
    const detail = field.replace(/^fallbacks\.\d+\.(map\.)?/, '')
    return { kind: 'map', alias: name, templateId: step?.templateId ?? '', detail }
  })
}
