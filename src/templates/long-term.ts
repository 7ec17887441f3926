import type { Account } from '../accounts/account.ts'

/**
 * The accounts with what the platform lists as long-term templates (长期订阅) beside those that their
 * operators named. It is done where the accounts are loaded, so no push asks for it.
 */
export function withLongTermTemplates(
  accounts: readonly Account[],
  listed: ReadonlyMap<number, readonly string[]>,
): Account[] {
  return accounts.map((account) => {
    const known = listed.get(account.id)
    if (known === undefined) return account
    const { settings } = account
    const long_term_templates = [...new Set([...settings.long_term_templates, ...known])]
    return { ...account, settings: { ...settings, long_term_templates } }
  })
}
