import { z } from 'zod'
import type { Content } from './channels.ts'

/** What became of one recipient of a call that was answered with errcode 0. */
export type RecipientOutcome = 'accepted' | 'invalid' | 'unlicensed'

const joined = z
  .string()
  .nullish()
  .transform((text) => (text ?? '').split('|').filter(Boolean))

const listed = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? [])

/** Of `message/send` the joined names, of `add_msg_template` the list. */
const answerSchema = z.object({
  invaliduser: joined,
  unlicenseduser: joined,
  fail_list: listed,
})

/**
 * What became of each recipient: WeCom answers errcode 0 also when it reaches only some of them.
 *
 * `invalid`: no such member or customer, or not ours to write to. `unlicensed`: the member has no
 * licence for the interface of a third-party application. Both mean that nothing was delivered, and
 * neither is a refusal by the person. Userids come back in lower case and are compared so; an
 * `invalidparty` is not looked at, because our calls name no departments.
 *
 * @param body the answer; fields of an unknown form count as absent.
 * @see https://developer.work.weixin.qq.com/document/path/90236
 * @see https://developer.work.weixin.qq.com/document/path/92135
 */
export function recipientOutcomes(
  body: Content,
  recipients: readonly string[],
): ReadonlyMap<string, RecipientOutcome> {
  const answer = answerSchema.safeParse(body).data
  const invalid = lowerCased([...(answer?.invaliduser ?? []), ...(answer?.fail_list ?? [])])
  const unlicensed = lowerCased(answer?.unlicenseduser ?? [])
  return new Map(
    recipients.map((recipient) => {
      const name = recipient.toLowerCase()
      if (unlicensed.has(name)) return [recipient, 'unlicensed']
      return [recipient, invalid.has(name) ? 'invalid' : 'accepted']
    }),
  )
}

function lowerCased(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()))
}
