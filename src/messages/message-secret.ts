import { sha256 } from '../foundation/ids.ts'
import type { Content } from '../wechat/channels.ts'
import type { SendRequest } from './send-request.ts'

/** Seals a text for one place; it opens nowhere else. */
export type Seal = (text: string, place: string) => string

/** Where the credential of a message rests, sealed, while the message is under way. */
export function placeOfMessageSecret(messageId: string): string {
  return `message/${messageId}`
}

/**
 * The credential that a message brings with it, taken out of what is stored in clear: a welcome code
 * can be used once by whoever has it, and the key of a group robot for as long as the robot lives.
 */
export function takeSecret(request: Pick<SendRequest, 'channel' | 'content' | 'robotKey'>): {
  readonly content: Content
  readonly secret: string | null
} {
  const { channel, content } = request
  if (channel === 'wecom_robot_message') return { content, secret: request.robotKey ?? null }
  if (channel !== 'wecom_welcome_message') return { content, secret: null }
  const { welcome_code: code, ...rest } = content
  return { content: rest, secret: typeof code === 'string' ? code : null }
}

/**
 * By what a group robot is known when its key is not: the key's SHA-256, the same in every message and
 * on every account; null for every other channel.
 */
export function robotOf({ robotKey }: Pick<SendRequest, 'robotKey'>): Buffer | null {
  return robotKey === undefined ? null : sha256(robotKey)
}
