import { InvalidInputError, type Fault } from '../foundation/errors.ts'
import type { TemplateChannel } from '../wechat/template-lists.ts'
import { TEMPLATE_CHANNELS } from '../wechat/template-lists.ts'
import { aliasNameOf, mapData, type TemplateAlias } from './alias.ts'
import { dataFaults, type Template, type TemplateData } from './template.ts'

/** What is known of an account's templates. */
export interface AccountTemplates {
  /** Whether templates that are not known are refused. */
  readonly strict: boolean
  findTemplate(channel: TemplateChannel, templateId: string): Template | undefined
  findAlias(name: string): TemplateAlias | undefined
  /** The names of the aliases there are. */
  readonly aliasNames: readonly string[]
}

/** Finds what is known of an account's templates, from memory (compose passes it in). */
export type FindTemplates = (accountId: number) => Promise<AccountTemplates>

/** What a message is sent with, and what an alias had to do with it. */
export interface ResolvedContent {
  readonly templateId: string | null
  readonly content: Readonly<Record<string, unknown>>
  /** Null where the content names a template of the platform, or none at all. */
  readonly alias: UsedAlias | null
}

/** An alias, and which of its templates was taken. */
export interface UsedAlias {
  readonly name: string
  /** 0: the alias's own template; n: its nth fallback. */
  readonly step: number
  /** Why it is not the first: what the first one that was passed over is; null when it is. */
  readonly reason: 'withdrawn' | 'banned' | null
  /** The values as they were asked for, where they have been mapped; null where they are the content's. */
  readonly askedData: TemplateData | null
}

/** Where the values of a message come from. */
export interface Asked {
  readonly channel: string
  readonly content: Readonly<Record<string, unknown>>
  readonly templateId: string | null
}

/**
 * The template and the values that a send really has: an alias becomes the first of its templates that
 * is not known to be gone, and the values are checked against what is known of the template.
 *
 * @param options.data `partial`: more values come later, so nothing is missing yet.
 * @throws InvalidInputError `invalid_request`, one fault per field.
 */
export function resolveTemplate(
  known: AccountTemplates,
  asked: Asked,
  options: { readonly data: 'complete' | 'partial' },
): ResolvedContent {
  const { templateId, content } = asked
  if (templateId === null) return { templateId, content, alias: null }
  const name = aliasNameOf(templateId)
  const channel = templateChannelOf(asked.channel)
  if (channel === undefined) {
    if (name === null) return { templateId, content, alias: null }
    const rule = `an alias works in ${TEMPLATE_CHANNELS.join(' and ')}; name a template id here`
    throw refused([{ field: 'content.template_id', rule }])
  }
  if (name !== null) return resolveAlias(known, { name, channel, content }, options)
  const faults = templateFaults(known, { channel, templateId, content }, options)
  if (faults.length > 0) throw refused(faults)
  return { templateId, content, alias: null }
}

function resolveAlias(
  known: AccountTemplates,
  asked: {
    readonly name: string
    readonly channel: TemplateChannel
    readonly content: Asked['content']
  },
  options: { readonly data: 'complete' | 'partial' },
): ResolvedContent {
  const { name, channel, content } = asked
  const alias = known.findAlias(name)
  if (!alias) throw refused([{ field: 'content.template_id', rule: noAlias(known) }])
  if (alias.channel !== channel) {
    const rule = `the alias is one of ${alias.channel}; use that channel, or another alias`
    throw refused([{ field: 'content.template_id', rule }])
  }
  const data = dataOf(content)
  // what applications send for an alias is a contract with its first template, also when that is gone
  const first = known.findTemplate(channel, alias.steps[0].templateId)
  const faults = first ? dataFaults(first, data, { at: 'content.data', ...lacks(options) }) : []
  if (faults.length > 0) throw refused(faults)

  const step = firstLiveStep(known, alias)
  const chosen = alias.steps[step]
  if (!chosen) throw refused([{ field: 'content.template_id', rule: ALL_GONE }])
  const template = known.findTemplate(channel, chosen.templateId)
  const mapped = step === 0 ? data : mapData(chosen, data, template)
  const misfits =
    template && step > 0
      ? dataFaults(template, mapped, { at: 'content.data', ...lacks(options) })
      : []
  if (misfits.length > 0) throw refused(misfits.map((fault) => ofFallback(fault, step)))
  return {
    templateId: chosen.templateId,
    content: {
      ...content,
      template_id: chosen.templateId,
      ...('data' in content && { data: mapped }),
    },
    alias: {
      name,
      step,
      reason: step === 0 ? null : goneStatus(first),
      askedData: step === 0 ? null : data,
    },
  }
}

/**
 * What becomes of the values of one line of a list: mapped as those of its head were, and checked
 * together with them.
 *
 * @param head.content as it was asked for; `templateId`: the template that the broadcast really has.
 * @returns a function that throws InvalidInputError `invalid_request`.
 */
export function lineResolver(
  known: AccountTemplates,
  head: Asked & { readonly resolvedId: string | null },
): (data: TemplateData | null) => TemplateData | null {
  const channel = templateChannelOf(head.channel)
  if (channel === undefined || head.templateId === null || head.resolvedId === null) {
    return (data) => data
  }
  const alias = known.findAlias(aliasNameOf(head.templateId) ?? '')
  const step = alias?.steps.findIndex(({ templateId }) => templateId === head.resolvedId) ?? 0
  const chosen = alias?.steps[step]
  const template = known.findTemplate(channel, head.resolvedId)
  const first = alias && known.findTemplate(channel, alias.steps[0].templateId)
  const map = (data: TemplateData) => (chosen && step > 0 ? mapData(chosen, data, template) : data)
  const given = new Set(Object.keys(map(dataOf(head.content))))
  return (data) => {
    const mapped = map(data ?? {})
    const faults = [
      ...(first && step > 0
        ? dataFaults(first, data ?? {}, { at: 'data', alsoGiven: 'anything' })
        : []),
      ...(template ? dataFaults(template, mapped, { at: 'data', alsoGiven: given }) : []),
    ]
    if (faults.length > 0) throw refused(faults)
    return data === null ? null : mapped
  }
}

const ALL_GONE =
  'every template of this alias was withdrawn or banned; an operator gives it another one with `wcg templates alias`'

function noAlias({ aliasNames }: AccountTemplates): string {
  return aliasNames.length === 0
    ? 'the account has no such alias, and no other; `wcg templates alias` sets one'
    : `the account has no such alias; it has ${aliasNames.map((one) => `@${one}`).join(', ')}`
}

function ofFallback({ field, rule }: Fault, step: number): Fault {
  return { field, rule: `${rule} (of fallback ${step}, which stands in for the alias's template)` }
}

/** The first template of an alias that is not known to be gone; one behind the last when all are. */
function firstLiveStep(known: AccountTemplates, { channel, steps }: TemplateAlias): number {
  const live = steps.findIndex(({ templateId }) => {
    const template = known.findTemplate(channel, templateId)
    return template ? template.status === 'live' : true
  })
  return live === -1 ? steps.length : live
}

function goneStatus(template: Template | undefined): 'withdrawn' | 'banned' {
  return template?.status === 'banned' ? 'banned' : 'withdrawn'
}

function templateFaults(
  known: AccountTemplates,
  asked: {
    readonly channel: TemplateChannel
    readonly templateId: string
    readonly content: Asked['content']
  },
  options: { readonly data: 'complete' | 'partial' },
): readonly Fault[] {
  const template = known.findTemplate(asked.channel, asked.templateId)
  if (!template) return known.strict ? [{ field: 'content.template_id', rule: NOT_KNOWN }] : []
  if (template.status !== 'live') {
    return [{ field: 'content.template_id', rule: GONE_RULES[template.status] }]
  }
  return dataFaults(template, dataOf(asked.content), { at: 'content.data', ...lacks(options) })
}

const NOT_KNOWN =
  "is not among the account's templates, and the account takes no others (templates_strict); `wcg templates sync` reads the platform's list"

const GONE_RULES = {
  withdrawn: "was withdrawn: the platform's list of templates has it no longer; use another one",
  banned: 'was banned by the platform (43116); use another one',
} as const

/** The channel, where it has templates that the platform lists. */
export function templateChannelOf(channel: string): TemplateChannel | undefined {
  return TEMPLATE_CHANNELS.find((one) => one === channel)
}

/** The values in a content; the channel's schema has seen to their form. */
export function dataOf(content: Asked['content']): TemplateData {
  const { data } = content
  return typeof data === 'object' && data !== null ? (data as TemplateData) : {}
}

function lacks({ data }: { readonly data: 'complete' | 'partial' }) {
  return data === 'partial' ? ({ alsoGiven: 'anything' } as const) : {}
}

function refused(faults: readonly Fault[]): InvalidInputError {
  return new InvalidInputError('invalid_request', faults)
}
