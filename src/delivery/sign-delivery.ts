import { createHmac } from 'node:crypto'

/*
 * Standard Webhooks: how a receiver knows that it was us.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */

const PREFIX = 'whsec_'

/** A signing secret in the form that every Standard Webhooks library takes. */
export function writeSecret(bytes: Buffer): string {
  return `${PREFIX}${bytes.toString('base64')}`
}

/**
 * The headers that a delivery is known by.
 *
 * @param delivery.id stays the same however often it is tried: receivers tell repeats by it.
 * @param secrets the current one, and during a rotation the one before.
 */
export function signatureHeaders(
  delivery: { readonly id: string; readonly body: string; readonly now: Date },
  secrets: readonly string[],
): Record<string, string> {
  const { id, body, now } = delivery
  const timestamp = String(Math.floor(now.getTime() / 1000))
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
  })
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  }
}
