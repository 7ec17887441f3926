import type { Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { meaningOf, overrideFault, type CodeOverride, type LiveOverride } from './code-override.ts'
import type { CodeMeaning } from './error-codes.ts'
import type { ServedAccount } from './served-account.ts'

/** The codes as each account has them, from a copy of the operators' overrides. */
export interface AccountCodes {
  /**
   * The meaning of a code for an account. Answers at once, from the last copy; one that has grown
   * old is read anew beside it.
   */
  lookUp(account: ServedAccount & { readonly id: number }, code: number): CodeMeaning
  /** Reads the overrides; for the start of a process, before anything is looked up. */
  load(): Promise<void>
  /** An override changed: the copy is read anew at once. */
  invalidate(): void
  /** Waits for a reading under way; for an orderly stop. */
  settle(): Promise<void>
}

/** What a lost notification costs at most. */
const MAX_AGE_MS = 5_000

/**
 * A copy of all overrides. An answer of the platform must be classified whatever the database does,
 * so a copy that cannot be read anew serves on; before the first reading the table alone holds.
 */
export function createAccountCodes(parts: {
  readonly read: () => Promise<readonly LiveOverride[]>
  readonly clock: Clock
  readonly log: Log
}): AccountCodes {
  const { clock, log } = parts
  const told = new Set<string>()
  let copy: ReadonlyMap<string, CodeOverride> = new Map()
  let askedMs = -Infinity
  let reading: Promise<void> | null = null
  let isStale = false

  function load(): Promise<void> {
    reading ??= readOnce().finally(() => {
      reading = null
      if (isStale) void load()
    })
    return reading
  }

  async function readOnce(): Promise<void> {
    isStale = false
    askedMs = clock.monotonicMs()
    try {
      const found = await parts.read()
      found.forEach(tellIfIgnored)
      copy = new Map(found.map((one) => [keyOf(one.accountId, one.code), one]))
    } catch (error) {
      log.warn({ error: describeError(error) }, 'codes.overrides_unreadable')
    }
  }

  /** A decision that was possible once; whoever made it is to know that it changes nothing. */
  function tellIfIgnored({ account, space, code, class: name, actor, createdAt }: LiveOverride) {
    const fault = overrideFault(space, code, name)
    const key = `${account}:${code}:${createdAt.getTime()}`
    if (fault === null || told.has(key)) return
    told.add(key)
    log.warn(
      { account, errcode: code, class: name, actor, reason: fault },
      'codes.override_ignored',
    )
  }

  return {
    lookUp(account, code) {
      if (clock.monotonicMs() - askedMs > MAX_AGE_MS) void load()
      return meaningOf(account, code, copy.get(keyOf(account.id, code)))
    },
    load,
    invalidate() {
      isStale = reading !== null
      void load()
    },
    async settle() {
      while (reading) await reading
    },
  }
}

function keyOf(accountId: number, code: number): string {
  return `${accountId}:${code}`
}
