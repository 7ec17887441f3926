import {
  externalContactScope,
  isScopeName,
  kfScope,
  MEMBER,
  oneTimeScope,
  templateScope,
} from '../consent/consent.ts'
import { assertNever, InvalidInputError } from '../foundation/errors.ts'
import type { SendRequest } from './send-request.ts'

/**
 * The consent that a message relies on, by name. Null where the channel alone says it (template,
 * subscription and customer-service messages), and for a group robot, which writes to no person.
 *
 * A customer is asked for together with one employee, because each of these relations ends alone: a
 * group message names the employee in `content.sender`, a welcome message in `sender`.
 *
 * @throws InvalidInputError `invalid_request` when the request does not name what it relies on.
 */
export function consentScopeOf(
  request: Pick<SendRequest, 'channel' | 'content' | 'sender'>,
): string | null {
  const { channel, content } = request
  switch (channel) {
    case 'template_message':
    case 'subscription_message':
    case 'customer_service_message':
    case 'wecom_robot_message':
      return null
    case 'one_time_subscription':
      return oneTimeScope(named('content.scene', content.scene))
    case 'device_message':
      return templateScope(named('content.template_id', content.template_id))
    case 'wecom_app_message':
      return MEMBER
    case 'wecom_welcome_message':
      return externalContactScope(named('sender', request.sender))
    case 'wecom_group_message':
      return externalContactScope(named('content.sender', content.sender))
    case 'wecom_kf_message':
      return kfScope(named('content.open_kfid', content.open_kfid))
    default:
      return assertNever(channel)
  }
}

function named(field: string, value: unknown): string {
  if (typeof value === 'string' && isScopeName(value)) return value
  const rule = 'is needed: it names the consent that the message relies on; at most 128 characters'
  throw new InvalidInputError('invalid_request', [{ field, rule }])
}
