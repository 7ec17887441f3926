import type { AliasStep, TemplateAlias } from '../../src/templates/alias.ts'
import { indexOf } from '../../src/templates/registry.ts'
import type { AccountTemplates } from '../../src/templates/resolve-template.ts'
import type { Template } from '../../src/templates/template.ts'

const LONG_AGO = new Date('2026-01-01T00:00:00Z')

/** A live template message's template with these fields. */
export function aTemplate(
  templateId: string,
  fields: readonly string[],
  changes: Partial<Template> = {},
): Template {
  return {
    templateId,
    channel: 'template_message',
    title: `模板 ${templateId}`,
    content: fields.map((name) => `字段${name}：{{${name}.DATA}}`).join('\n'),
    example: '',
    type: null,
    choices: {},
    status: 'live',
    statusAt: LONG_AGO,
    firstSeenAt: LONG_AGO,
    lastSeenAt: LONG_AGO,
    changedAt: null,
    ...changes,
  }
}

export function anAlias(
  name: string,
  steps: readonly [AliasStep, ...AliasStep[]],
  changes: Partial<TemplateAlias> = {},
): TemplateAlias {
  return {
    ...{ name, steps, channel: 'template_message', actor: 'shop', updatedAt: LONG_AGO },
    ...changes,
  }
}

/** What is known of an account. */
export function known(
  templates: readonly Template[],
  aliases: readonly TemplateAlias[] = [],
  strict = false,
): AccountTemplates {
  return { strict, ...indexOf({ templates, aliases }) }
}

/** Values as the platform takes them. */
export function values(data: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, { value }]))
}
