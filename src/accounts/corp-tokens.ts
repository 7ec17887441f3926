import type { AccountSettings, CorpTokenChoice } from './account.ts'

/** The ids of templates of agency-developed apps (代开发应用模板) begin so; others are third-party apps. */
const AGENCY_PREFIX = 'dk'

/**
 * The endpoint that a corp's token comes from. An agency-developed app has the token of the corp's own
 * app, with the permanent code as its secret; that of a third-party app is asked for in the suite's name.
 *
 * @see https://developer.work.weixin.qq.com/document/path/97164 and /90605
 */
export function corpTokenFrom(suite: {
  /** The suite id. */
  readonly appId: string
  readonly settings: Pick<AccountSettings, 'corp_token_from'>
}): Exclude<CorpTokenChoice, 'auto'> {
  const { corp_token_from: chosen } = suite.settings
  if (chosen !== 'auto') return chosen
  return suite.appId.startsWith(AGENCY_PREFIX) ? 'gettoken' : 'get_corp_token'
}
