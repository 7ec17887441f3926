import type { FindSender } from '../messages/account-fit.ts'
import { accountOf } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import { aliasBodySchema, type TemplateAlias } from '../templates/alias.ts'
import { FIELD_TYPES } from '../templates/field-types.ts'
import { aliasesUsing } from '../templates/drift.ts'
import { aliasNotFound, type TemplateDesk } from '../templates/template-desk.ts'
import type { StoredTemplates } from '../templates/template-store.ts'
import { fieldsOf, type Template } from '../templates/template.ts'
import { param, type Answer, type Call, type Route } from './route.ts'

export interface TemplateRouteDeps {
  readonly templates: Pick<TemplateDesk, 'show' | 'putAlias' | 'removeAlias'>
  readonly findSender: FindSender
}

const ALIASES = '/v1/accounts/{account}/template-aliases'
const ALIAS = `${ALIASES}/{alias}`

/** The templates of an account, and the names that applications give them. */
export function templateRoutes(deps: TemplateRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: '/v1/accounts/{account}/templates',
      operationId: 'listTemplates',
      summary: "The account's templates as the platform last listed them",
      answer: { status: 200, schema: 'TemplateList' },
      problems: [404, 503],
      handle: async (call) => {
        const { id, name } = accountIn(call)
        return { status: 200, body: templatesBody(name, await deps.templates.show(id)) }
      },
    },
    {
      method: 'get',
      path: ALIASES,
      operationId: 'listTemplateAliases',
      summary: 'The names that stand for templates, with their fallbacks',
      answer: { status: 200, schema: 'TemplateAliasList' },
      problems: [404, 503],
      handle: async (call) => {
        const { id, name } = accountIn(call)
        const { aliases } = await deps.templates.show(id)
        return { status: 200, body: { account: name, aliases: aliases.map(aliasBody) } }
      },
    },
    {
      method: 'get',
      path: ALIAS,
      operationId: 'getTemplateAlias',
      summary: 'One of these names',
      answer: { status: 200, schema: 'TemplateAlias' },
      problems: [404, 503],
      handle: (call) => getAlias(deps, call),
    },
    {
      method: 'put',
      path: ALIAS,
      operationId: 'putTemplateAlias',
      summary: 'Set a name for a template and its fallbacks, in the place of what it was',
      body: 'TemplateAliasRequest',
      answer: { status: 200, schema: 'TemplateAlias' },
      problems: [400, 404, 413, 415, 503],
      handle: (call) => putAlias(deps, call),
    },
    {
      method: 'delete',
      path: ALIAS,
      operationId: 'deleteTemplateAlias',
      summary: 'Take a name away; messages that were accepted under it are sent',
      answer: { status: 200, schema: 'TemplateAlias' },
      problems: [404, 503],
      handle: async (call) => {
        const removed = await deps.templates.removeAlias(accountIn(call).id, param(call, 'alias'))
        return { status: 200, body: aliasBody(removed) }
      },
    },
  ]
}

async function getAlias(deps: TemplateRouteDeps, call: Call): Promise<Answer> {
  const { aliases } = await deps.templates.show(accountIn(call).id)
  const alias = aliases.find(({ name }) => name === param(call, 'alias'))
  if (!alias) throw aliasNotFound()
  return { status: 200, body: aliasBody(alias) }
}

async function putAlias(deps: TemplateRouteDeps, call: Call): Promise<Answer> {
  const { id } = accountIn(call)
  const alias = await deps.templates.putAlias(
    { id, facts: await deps.findSender(id) },
    {
      name: param(call, 'alias'),
      body: readInput(aliasBodySchema, call.body, 'invalid_request'),
      actor: call.application.name,
    },
  )
  return { status: 200, body: aliasBody(alias) }
}

function accountIn(call: Call) {
  return accountOf(call.application, param(call, 'account'))
}

/** The templates as they are answered, here and by `wcg templates list --json`. */
export function templatesBody(account: string, { templates, aliases }: StoredTemplates) {
  return {
    account,
    templates: templates.map((one) => templateBody(one, aliasesUsing(aliases, one))),
  }
}

function templateBody(template: Template, aliases: readonly string[]) {
  return {
    template_id: template.templateId,
    channel: template.channel,
    title: template.title,
    content: template.content,
    example: template.example,
    type: template.type,
    fields: fieldsOf(template.content).map(({ name, type, label }) => ({
      name,
      type,
      label,
      rule: type === null ? null : FIELD_TYPES[type].rule,
      choices: template.choices[name] ?? [],
    })),
    status: template.status,
    status_at: template.statusAt.toISOString(),
    first_seen_at: template.firstSeenAt.toISOString(),
    last_seen_at: template.lastSeenAt.toISOString(),
    changed_at: template.changedAt?.toISOString() ?? null,
    aliases,
  }
}

/** An alias as it is answered, here and by `wcg templates alias --json`. */
export function aliasBody({ name, channel, steps, actor, updatedAt }: TemplateAlias) {
  const [own, ...fallbacks] = steps
  return {
    alias: name,
    channel,
    template_id: own.templateId,
    fallbacks: fallbacks.map(({ templateId, map }) => ({ template_id: templateId, map })),
    actor,
    updated_at: updatedAt.toISOString(),
  }
}
