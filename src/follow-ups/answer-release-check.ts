import type { Knex } from 'knex'
import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import { placeOfJobSecret } from '../consent/push-effects.ts'
import { addJob } from '../database/job-queue.ts'
import type { Log } from '../foundation/log.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import type { AccountApi } from '../wechat/account-api.ts'
import { queryAuth } from '../wechat/component-api.ts'
import type { PlatformClient } from '../wechat/platform-client.ts'

/** What answering the release check works with. */
export interface ReleaseCheckParts {
  readonly box: SecretBox
  readonly log: Log
  readonly api: AccountApi
  readonly call: PlatformClient['call']
  readonly findAccount: (id: number) => Promise<Account | undefined>
}

const schema = z.object({ account_id: z.int(), code: z.string(), openid: z.string() })

/** Puts the second half of the release check's code message aside, sealed, to be done by a job. */
export async function queueReleaseCheck(
  { db, box }: { readonly db: Knex; readonly box: SecretBox },
  check: { readonly componentId: number; readonly code: string; readonly openid: string },
): Promise<void> {
  const { componentId } = check
  await addJob(db, {
    task: 'answer_release_check',
    payload: {
      account_id: componentId,
      code: box.seal(check.code, placeOfJobSecret(componentId, 'code')),
      openid: box.seal(check.openid, placeOfJobSecret(componentId, 'openid')),
    },
    maxAttempts: 5,
  })
}

/**
 * Exchanges the code of the platform's release check and sends the text it waits for, to its own
 * checking account. No consent is asked for: there is no person.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function answerReleaseCheck(
  parts: ReleaseCheckParts,
  payload: unknown,
): Promise<void> {
  const { account_id, ...sealed } = schema.parse(payload)
  const component = await parts.findAccount(account_id)
  if (component?.kind !== 'component') return
  const code = parts.box.open(sealed.code, placeOfJobSecret(account_id, 'code'))
  const openid = parts.box.open(sealed.openid, placeOfJobSecret(account_id, 'openid'))
  const exchanged = await queryAuth(parts.api, component, code)
  if (typeof exchanged === 'string') {
    return parts.log.warn({ account: component.name, reason: exchanged }, 'release_check.no_token')
  }
  const outcome = await parts.call({
    method: 'POST',
    path: '/cgi-bin/message/custom/send',
    accessToken: exchanged.accessToken,
    body: { touser: openid, msgtype: 'text', text: { content: `${code}_from_api` } },
  })
  const errcode = outcome.kind === 'answer' ? outcome.errcode : outcome.kind
  parts.log.info({ account: component.name, errcode }, 'release_check.answered')
}
