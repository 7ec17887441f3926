import type { Fault } from '../foundation/errors.ts'
import type { ListedTemplate, TemplateChannel } from '../wechat/template-lists.ts'
import { fieldTypeOf, valueFault, type FieldTypeName } from './field-types.ts'

/**
 * `withdrawn`: the platform's list has it no longer. `banned`: the platform answered so (43116); it
 * may still be listed.
 */
export const TEMPLATE_STATUSES = ['live', 'withdrawn', 'banned'] as const
export type TemplateStatus = (typeof TEMPLATE_STATUSES)[number]

/** A template of an account, as far as we know it. */
export interface Template extends ListedTemplate {
  readonly channel: TemplateChannel
  readonly status: TemplateStatus
  /** Since when it has had this status, as we noticed. */
  readonly statusAt: Date
  readonly firstSeenAt: Date
  readonly lastSeenAt: Date
  /** When its title, content or choices were last seen to have changed; null: never. */
  readonly changedAt: Date | null
}

/** One field of a template. */
export interface TemplateField {
  /** `thing1` */
  readonly name: string
  readonly type: FieldTypeName | null
  /** What stands in front of it in the content; empty where nothing does. */
  readonly label: string
}

const PLACEHOLDER = /([^\n{}：:]*)[：:]?[ \t]*\{\{\s*(\w+)\.DATA\s*\}\}/g

/** The fields of a template in the order of its content, each once. */
export function fieldsOf(content: string): readonly TemplateField[] {
  const fields = new Map<string, TemplateField>()
  for (const [, label = '', name = ''] of content.matchAll(PLACEHOLDER)) {
    if (!fields.has(name)) fields.set(name, { name, type: fieldTypeOf(name), label: label.trim() })
  }
  return [...fields.values()]
}

/** The platform's form of a message's values. */
export type TemplateData = Readonly<Record<string, unknown>>

/**
 * What is wrong with the values for a template, one fault per field, named from `at`
 * (`content.data.thing1.value`). A template whose content names no field takes anything.
 *
 * @param options.alsoGiven the names that come from elsewhere: nothing is missing that is among them;
 *   `anything`: nothing is missing at all.
 */
export function dataFaults(
  template: Pick<ListedTemplate, 'content' | 'choices'>,
  data: TemplateData,
  options: { readonly at: string; readonly alsoGiven?: ReadonlySet<string> | 'anything' },
): readonly Fault[] {
  const fields = fieldsOf(template.content)
  if (fields.length === 0) return []
  const names = new Set(fields.map(({ name }) => name))
  const { at, alsoGiven } = options
  const unknown = Object.keys(data).filter((name) => !names.has(name))
  const missing =
    alsoGiven === 'anything'
      ? []
      : fields.filter(({ name }) => !(name in data) && !alsoGiven?.has(name))
  return [
    ...unknown.map((name) => ({
      field: `${at}.${name}`,
      rule: `is not a field of the template; its fields are ${[...names].join(', ')}`,
    })),
    ...missing.map(({ name, label }) => ({
      field: `${at}.${name}`,
      rule: `is missing; the template needs it${label === '' ? '' : ` (${label})`}`,
    })),
    ...fields.flatMap(({ name }) => valueFaults(template, data, { at, name })),
  ]
}

function valueFaults(
  template: Pick<ListedTemplate, 'choices'>,
  data: TemplateData,
  { at, name }: { readonly at: string; readonly name: string },
): readonly Fault[] {
  const value = valueIn(data[name])
  const rule = value === undefined ? null : valueFault(name, value, template.choices[name])
  return rule === null ? [] : [{ field: `${at}.${name}.value`, rule }]
}

/** The text of `{"value": "…"}`; the channel's schema has seen to its form. */
function valueIn(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null || !('value' in item)) return undefined
  return typeof item.value === 'string' ? item.value : undefined
}
