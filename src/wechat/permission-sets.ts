import type { Account } from '../accounts/account.ts'
import { ConfigError } from '../foundation/errors.ts'
import type { ChannelName } from './channels.ts'

type Served = NonNullable<Account['serves']>
type SetsByChannel = Readonly<Partial<Record<ChannelName, readonly number[]>>>

/** https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage */
const CUSTOM_SEND = [1, 6, 19, 100, 101]

/**
 * The sets of permissions (权限集) of which a component needs any one to use a channel for a merchant,
 * as the page of each API names them (第三方调用). Read 2026-11-21.
 *
 * @see https://developers.weixin.qq.com/doc/service/api/notify/subscribe/api_templatesubscribe
 * @see https://developers.weixin.qq.com/miniprogram/dev/server/API/hardware-device/api_sendhardwaredevicemessage
 */
const PERMISSION_SETS: Readonly<Record<Served, SetsByChannel>> = {
  official_account: {
    template_message: [7, 100, 101],
    subscription_message: [89],
    customer_service_message: CUSTOM_SEND,
    one_time_subscription: [7],
  },
  mini_program: {
    // The API's page names none; 18 and 89 are those of the APIs for its templates. What is not certain
    // stops nothing, unless the operator says so.
    subscription_message: [],
    customer_service_message: CUSTOM_SEND,
    device_message: [118],
  },
}

const PERMITTED_CHANNELS: readonly string[] = [
  ...new Set(Object.values(PERMISSION_SETS).flatMap((sets) => Object.keys(sets))),
]

/**
 * Refuses settings about channels that need no permission set.
 *
 * @throws ConfigError which names them, and those that may be named.
 */
export function checkPermissionSets(others: PermissionSets): PermissionSets {
  const strange = Object.keys(others).filter((channel) => !PERMITTED_CHANNELS.includes(channel))
  if (strange.length === 0) return others
  const [named, known] = [strange.join(', '), PERMITTED_CHANNELS.join(', ')]
  const fault = {
    field: 'WCG_PERMISSION_SETS',
    rule: `names ${named}; the channels with permission sets are ${known}`,
    ruleZh: `写了 ${named}；需要权限集的渠道为 ${known}`,
  }
  throw new ConfigError([fault])
}

/** Other sets for channels than those of the table, by channel; none at all: it needs no set. */
export type PermissionSets = Readonly<Record<string, readonly number[]>>

/** A channel that a merchant's sets do not carry, and those of which any one would. */
export interface LackingPermission {
  readonly channel: string
  readonly sets: readonly number[]
}

/**
 * The channels that a merchant's sets do not carry.
 *
 * @param given ids of the sets that the merchant has given us.
 * @param others what the operator says in place of the table.
 */
export function lackingPermissions(
  serves: Served,
  given: readonly number[],
  others: PermissionSets = {},
): LackingPermission[] {
  return Object.entries(PERMISSION_SETS[serves]).flatMap(([channel, usual]) => {
    const sets = others[channel] ?? usual
    return sets.length === 0 || sets.some((id) => given.includes(id)) ? [] : [{ channel, sets }]
  })
}
