import type { Clock } from '../foundation/clock.ts'
import type { Account } from './account.ts'
import { createSnapshot } from './snapshot.ts'

/** The accounts as every push and send asks for them: by name or id, without a query each time. */
export interface AccountCache {
  /** What `find` would say, where it need not wait for that; undefined says nothing. */
  known(name: string): Account | undefined
  /** @throws UnavailableError `accounts_unavailable` */
  find(name: string): Promise<Account | undefined>
  /** @throws UnavailableError `accounts_unavailable` */
  findById(id: number): Promise<Account | undefined>
  /**
   * Who has authorised a component or suite, by what the platform calls it.
   *
   * @throws UnavailableError `accounts_unavailable`
   */
  findTenant(parentId: number, appId: string): Promise<Account | undefined>
  /** An account changed (NOTIFY account_changed): the next question loads again. */
  invalidate(): void
}

/**
 * A copy of all accounts in service, at most `maxAgeMs` old while the database answers, and up to
 * ten minutes old while it does not. Every process holds one; a lost notification costs `maxAgeMs`.
 */
export function createAccountCache(parts: {
  readonly load: () => Promise<readonly Account[]>
  readonly clock: Clock
  /** Default 5000. */
  readonly maxAgeMs?: number
}): AccountCache {
  const snapshot = createSnapshot({
    load: async () => indexAccounts(await parts.load()),
    clock: parts.clock,
    maxAgeMs: parts.maxAgeMs ?? 5_000,
    unavailable: {
      code: 'accounts_unavailable',
      message: 'the accounts cannot be read from the database now; the same call may succeed later',
    },
  })
  return {
    known: (name) => snapshot.fresh()?.byName.get(name),
    find: (name) => snapshot.find(({ byName }) => byName.get(name)),
    findById: (id) => snapshot.find(({ byId }) => byId.get(id)),
    findTenant: (parentId, appId) =>
      snapshot.find(({ byParent }) => byParent.get(parentId)?.get(appId)),
    invalidate: () => snapshot.invalidate(),
  }
}

function indexAccounts(accounts: readonly Account[]) {
  return {
    byName: new Map(accounts.map((account) => [account.name, account])),
    byId: new Map(accounts.map((account) => [account.id, account])),
    byParent: indexByParent(accounts),
  }
}

function indexByParent(accounts: readonly Account[]): Map<number | null, Map<string, Account>> {
  const families = [...Map.groupBy(accounts, (account) => account.parentId)]
  return new Map(
    families.map(([parentId, family]) => {
      return [parentId, new Map(family.map((account) => [account.appId, account]))]
    }),
  )
}
