import type { Parts } from '../compose.ts'
import type { Caller } from '../messages/caller.ts'

/** The operator, who may use every account. */
export async function operatorOf(parts: Parts): Promise<Caller> {
  const accounts = await parts.accounts.list()
  return { id: null, name: 'cli', accounts: accounts.map(({ id, name }) => ({ id, name })) }
}
