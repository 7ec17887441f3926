import type { Gateway } from '../compose.ts'
import type { QuotaAccount } from '../wechat/quotas.ts'
import { inBoth, SpokenError } from './explain-error.ts'

/**
 * An account that is in service, as the platform is asked for it.
 *
 * @throws AppError `unknown_account`, SpokenError `account_disabled`
 */
export async function accountInService(
  { accounts }: Gateway['parts'],
  name: string,
): Promise<QuotaAccount> {
  // Says which accounts there are when there is none of this name.
  await accounts.show(name)
  const account = await accounts.findByName(name)
  if (account) return account
  throw new SpokenError(
    'account_disabled',
    inBoth((say) => say('account_is_disabled', { name })),
  )
}
