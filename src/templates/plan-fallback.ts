import { mapData } from './alias.ts'
import { dataOf, templateChannelOf, type AccountTemplates } from './resolve-template.ts'
import { dataFaults, type TemplateData } from './template.ts'

/** A message whose template the platform has refused. */
export interface RefusedContent {
  readonly alias: string
  readonly channel: string
  readonly templateId: string
  readonly content: Readonly<Record<string, unknown>>
  /** The values as they were asked for; null where they are those of the content. */
  readonly askedData: TemplateData | null
  /** The templates that were refused before this one. */
  readonly tried: readonly string[]
}

/** What can be sent in its place. */
export interface FallbackCandidate {
  readonly step: number
  readonly templateId: string
  readonly content: Readonly<Record<string, unknown>>
}

/** Why nothing can: for the record of the message, and docs/templates.md. */
export type NoFallback = 'alias_gone' | 'none_left' | 'does_not_fit'

/**
 * The templates that may take the place of a refused one, in the order of the alias as it is now:
 * those that were not tried for this wish, are not known to be gone, and fit its values.
 */
export function planFallback(
  known: AccountTemplates,
  refused: RefusedContent,
): readonly [FallbackCandidate, ...FallbackCandidate[]] | NoFallback {
  const alias = known.findAlias(refused.alias)
  const channel = templateChannelOf(refused.channel)
  if (!alias || channel === undefined || alias.channel !== channel) return 'alias_gone'
  const tried = new Set([...refused.tried, refused.templateId])
  const data = refused.askedData ?? dataOf(refused.content)
  const left = alias.steps.flatMap((one, step) => {
    const template = known.findTemplate(channel, one.templateId)
    const isGone = template !== undefined && template.status !== 'live'
    return isGone || tried.has(one.templateId) ? [] : [{ one, step, template }]
  })
  const [first, ...others] = left.flatMap(({ one, step, template }) => {
    const mapped = step === 0 ? data : mapData(one, data, template)
    const fits = !template || dataFaults(template, mapped, { at: 'data' }).length === 0
    const content = { ...refused.content, template_id: one.templateId, data: mapped }
    return fits ? [{ step, templateId: one.templateId, content }] : []
  })
  if (first) return [first, ...others]
  return left.length === 0 ? 'none_left' : 'does_not_fit'
}
