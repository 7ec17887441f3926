import type { Account } from '../accounts/account.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import type { Content } from '../wechat/channels.ts'
import { openJobSecret, type FollowUpPayload } from './follow-up-payload.ts'

/** What welcoming works with. */
export interface WelcomeParts {
  readonly box: SecretBox
  readonly findAccount: (id: number) => Promise<Account | undefined>
  /** Accepts the message; one event never makes two. Messages do it (compose passes it in). */
  readonly welcome: (welcome: {
    readonly account: { readonly id: number; readonly name: string }
    readonly eventId: string
    readonly to: string
    readonly sender: string
    readonly code: string
    readonly content: Content
    readonly at: Date
  }) => Promise<void>
}

/** Sends what the account welcomes new customers with; see `pushEffects` for when this is a job. */
export async function welcomeContact(parts: WelcomeParts, payload: FollowUpPayload): Promise<void> {
  const { event_id: eventId, effective_at: at } = payload
  const account = await parts.findAccount(payload.account_id)
  const content = account?.settings.welcome_message
  const [code, sender, to] = ['WelcomeCode', 'UserID', 'ExternalUserID'].map((name) => {
    return openJobSecret(parts.box, payload, name)
  })
  if (!account || !content || !eventId || !at || !code || !sender || !to) return
  await parts.welcome({ account, eventId, to, sender, code, content, at })
}
