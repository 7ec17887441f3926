import type { TokenAccount } from './refresh-token.ts'

/*
 * The provider (服务商) behind a suite has a token of its own, for what concerns no suite in particular:
 * registration links, licences, its own members.
 * https://developer.work.weixin.qq.com/document/path/91200
 */

/**
 * The provider behind a suite, as the keeper of its token knows an account; in logs and metrics it is
 * `<suite>/provider`. Null for every other kind of account.
 */
export function providerOf(account: TokenAccount): TokenAccount | null {
  if (account.kind !== 'wecom_suite') return null
  const { id, name, kind, settings } = account
  return { id, name: `${name}/provider`, kind, settings, holder: 'provider' }
}
