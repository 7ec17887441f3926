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
