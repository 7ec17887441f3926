import { createSnapshot } from '../accounts/snapshot.ts'
import type { Clock } from '../foundation/clock.ts'
import type { AccountTemplates } from './resolve-template.ts'
import type { StoredTemplates } from './template-store.ts'

/** The templates and aliases as every request asks for them, without a query each time. */
export interface TemplateRegistry {
  /** @throws UnavailableError `templates_unavailable` */
  of(account: { readonly id: number; readonly strict: boolean }): Promise<AccountTemplates>
  /** Something changed (NOTIFY account_changed): the next question loads again. */
  invalidate(): void
}

/** What a lost notification costs at most. */
const MAX_AGE_MS = 60_000

/** A copy of what is known of all accounts; every process holds one. */
export function createTemplateRegistry(parts: {
  readonly load: () => Promise<readonly StoredTemplates[]>
  readonly clock: Clock
}): TemplateRegistry {
  const snapshot = createSnapshot({
    load: async () => new Map((await parts.load()).map((one) => [one.accountId, indexOf(one)])),
    clock: parts.clock,
    maxAgeMs: MAX_AGE_MS,
    unavailable: {
      code: 'templates_unavailable',
      message:
        'the templates cannot be read from the database now; the same call may succeed later',
    },
  })
  return {
    async of({ id, strict }) {
      // an account without templates is the usual case, and no reason to look again
      const found = await snapshot.find((copy) => copy.get(id) ?? NOTHING)
      return { strict, ...(found ?? NOTHING) }
    },
    invalidate: () => snapshot.invalidate(),
  }
}

type Known = Omit<AccountTemplates, 'strict'>

const NOTHING: Known = {
  findTemplate: () => undefined,
  findAlias: () => undefined,
  aliasNames: [],
}

/** What is known of one account, for whoever asks by name. */
export function indexOf({ templates, aliases }: Omit<StoredTemplates, 'accountId'>): Known {
  const byId = new Map(templates.map((one) => [`${one.channel}:${one.templateId}`, one]))
  const byName = new Map(aliases.map((one) => [one.name, one]))
  return {
    findTemplate: (channel, templateId) => byId.get(`${channel}:${templateId}`),
    findAlias: (name) => byName.get(name),
    aliasNames: [...byName.keys()],
  }
}
