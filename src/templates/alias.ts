import { z } from 'zod'
import type { Fault } from '../foundation/errors.ts'
import { TEMPLATE_CHANNELS, type TemplateChannel } from '../wechat/template-lists.ts'
import { fieldsOf, type Template, type TemplateData } from './template.ts'

/** Fallbacks behind the alias's own template: exact, general, system, and one to spare. */
const MOST_FALLBACKS = 5

/** What an alias is called: `order_shipped`. In a content it has an `@` in front. */
export const ALIAS_NAME = /^[a-z][a-z0-9_]{0,63}$/

/**
 * Where a field of a fallback gets its value: the name of a field of the alias's own template, or a
 * fixed text.
 */
export type FieldSource = string | { readonly value: string }

/** A template of an alias's list. */
export interface AliasStep {
  readonly templateId: string
  /**
   * By field of this template. Null: the fields of the same names, as far as this template has them.
   * The first step, the alias's own template, has none.
   */
  readonly map: Readonly<Record<string, FieldSource>> | null
}

/** A name for a template of an account, with the templates that take its place. */
export interface TemplateAlias {
  readonly name: string
  readonly channel: TemplateChannel
  /** The alias's own template first, then its fallbacks in the order in which they are tried. */
  readonly steps: readonly [AliasStep, ...AliasStep[]]
  /** Who set it last: an application's name, or an operator's. */
  readonly actor: string
  readonly updatedAt: Date
}

const templateId = z
  .string('must be a template id')
  .regex(
    /^[^\s@]\S{0,127}$/,
    'must be a template id: 1 to 128 characters without spaces, no @ in front',
  )

const fieldName = z.string().regex(/^\w{1,64}$/, 'must be the name of a field, such as thing1')

const source = z.union(
  [fieldName, z.strictObject({ value: z.string().min(1).max(200) })],
  'must be the name of a field of the first template, or {"value": "a fixed text"}',
)

/** The body of `PUT /v1/accounts/{account}/template-aliases/{alias}`. */
export const aliasBodySchema = z.strictObject(
  {
    channel: z.enum(TEMPLATE_CHANNELS, `must be one of ${TEMPLATE_CHANNELS.join(', ')}`),
    template_id: templateId,
    fallbacks: z
      .array(
        z.strictObject({
          template_id: templateId,
          map: z
            .record(fieldName, source)
            .optional()
            .describe('by field of this template: a field of the first template, or a fixed text'),
        }),
      )
      .max(MOST_FALLBACKS, `must be at most ${MOST_FALLBACKS}`)
      .default([]),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? 'is not a field of an alias; the fields are channel, template_id, fallbacks'
        : undefined,
  },
)

/** The steps of an alias, from the body that sets it. */
export function stepsOf(body: z.output<typeof aliasBodySchema>): TemplateAlias['steps'] {
  return [
    { templateId: body.template_id, map: null },
    ...body.fallbacks.map((one) => ({ templateId: one.template_id, map: one.map ?? null })),
  ]
}

/** The name behind the `@` of a template id; null for a template id of the platform. */
export function aliasNameOf(templateId: string): string | null {
  return templateId.startsWith('@') ? templateId.slice(1) : null
}

/**
 * The values for a step of an alias, from those for its first template. Values that are not there
 * are left out; whether something is missing then is for `dataFaults`.
 *
 * @param template the step's template where it is known: fields it lacks are left out.
 */
export function mapData(
  step: AliasStep,
  data: TemplateData,
  template: Pick<Template, 'content'> | undefined,
): TemplateData {
  if (step.map === null) return keepKnown(data, template)
  const entries = Object.entries(step.map).flatMap(([name, from]): [string, unknown][] => {
    if (typeof from !== 'string') return [[name, { value: from.value }]]
    return from in data ? [[name, data[from]]] : []
  })
  return Object.fromEntries(entries)
}

function keepKnown(data: TemplateData, template: Pick<Template, 'content'> | undefined) {
  const names = new Set(template && fieldsOf(template.content).map(({ name }) => name))
  if (names.size === 0) return data
  return Object.fromEntries(Object.entries(data).filter(([name]) => names.has(name)))
}

/**
 * What is wrong with an alias, as far as its templates are known: a template twice in its list, a map
 * that names fields which its templates do not have, or leaves one of a fallback's without a value.
 */
export function aliasFaults(
  steps: TemplateAlias['steps'],
  find: (templateId: string) => Pick<Template, 'content'> | undefined,
): readonly Fault[] {
  const first = find(steps[0].templateId)
  const own = new Set(first && fieldsOf(first.content).map(({ name }) => name))
  return steps.slice(1).flatMap((step, index) => {
    const at = `fallbacks.${index}`
    const isRepeated = steps.findIndex((one) => one.templateId === step.templateId) <= index
    return [
      ...(isRepeated
        ? [
            {
              field: `${at}.template_id`,
              rule: 'is in this alias already; name each template once',
            },
          ]
        : []),
      ...mapFaults(step, { at, own, template: find(step.templateId) }),
    ]
  })
}

function mapFaults(
  step: AliasStep,
  known: {
    readonly at: string
    /** The fields of the first template; none where it is unknown. */
    readonly own: ReadonlySet<string>
    readonly template: Pick<Template, 'content'> | undefined
  },
): readonly Fault[] {
  const { at, own, template } = known
  const theirs = template ? fieldsOf(template.content).map(({ name }) => name) : []
  const map = step.map ?? Object.fromEntries([...own].map((name) => [name, name]))
  const entries = Object.entries(step.map ?? {})
  return [
    ...entries
      .filter(([name]) => theirs.length > 0 && !theirs.includes(name))
      .map(([name]) => ({
        field: `${at}.map.${name}`,
        rule: `is not a field of this template; its fields are ${theirs.join(', ')}`,
      })),
    ...entries
      .filter(([, from]) => typeof from === 'string' && own.size > 0 && !own.has(from))
      .map(([name]) => ({
        field: `${at}.map.${name}`,
        rule: `the first template has no such field; it has ${[...own].join(', ')}`,
      })),
    ...theirs
      .filter((name) => own.size > 0 && !(name in map))
      .map((name) => ({
        field: `${at}.map.${name}`,
        rule: 'is a field of this template and gets no value; map one of the first template to it',
      })),
  ]
}
