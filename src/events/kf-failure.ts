/**
 * What `fail_type` of `msg_send_fail` means, in a stable word. Type 12 stands in no document of the
 * platform; it is what clients have seen.
 *
 * @see https://developer.work.weixin.qq.com/document/path/94670
 */
const KF_FAILURES: ReadonlyMap<string, string> = new Map([
  ['0', 'unknown'],
  ['1', 'account_deleted'],
  ['2', 'app_closed'],
  ['4', 'over_48_hours'],
  ['5', 'session_closed'],
  ['6', 'over_five_messages'],
  ['7', 'no_channels_account'],
  ['8', 'corp_unverified'],
  ['9', 'no_channels_account_and_corp_unverified'],
  ['10', 'customer'],
  ['11', 'no_member_logged_in'],
  ['12', 'type_forbidden'],
])

/** Why a message of customer service did not arrive; `unknown` for a type that we do not know. */
export function kfFailure(type: string): string {
  return KF_FAILURES.get(type) ?? 'unknown'
}
