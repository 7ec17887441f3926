import type { Knex } from 'knex'
import type { Account } from '../accounts/account.ts'
import { placeOfJobSecret } from '../consent/push-effects.ts'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import { AppError, InvalidInputError } from '../foundation/errors.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import type { AccountApi } from '../wechat/account-api.ts'
import { createPreAuthCode } from '../wechat/component-api.ts'
import { getSuitePreAuthCode } from '../wechat/suite-api.ts'

/** As long as the platform's own codes for the page live, the longer of the two. */
const VALID_MS = 30 * 60_000

/**
 * The platform's page on which a merchant authorises a component, or a corp installs a suite. It can
 * be used for half an hour (20 minutes for a suite), by whoever has it.
 *
 * @param page.gatewayUrl under which the platform and browsers reach us: `https://wx.example.com`.
 * @throws InvalidInputError for an account of another kind; UnavailableError as of AccountApi.
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/Authorization_Process_Technical_Description.html
 * @see https://developer.work.weixin.qq.com/document/path/90597
 */
export async function makeAuthorizationPage(
  parts: { readonly api: AccountApi; readonly box: SecretBox; readonly clock: Clock },
  page: { readonly account: Account; readonly gatewayUrl: string },
): Promise<string> {
  const { account, gatewayUrl } = page
  const until = String(parts.clock.now().getTime() + VALID_MS)
  const back = new URL(`/callbacks/${account.name}/authorized`, gatewayUrl)
  back.searchParams.set('proof', parts.box.seal(until, placeOfProof(account.id)))
  if (account.kind === 'component') {
    return addressOf('https://mp.weixin.qq.com/cgi-bin/componentloginpage', {
      component_appid: account.appId,
      pre_auth_code: await createPreAuthCode(parts.api, account),
      redirect_uri: back.href,
    })
  }
  if (account.kind === 'wecom_suite') {
    return addressOf('https://open.work.weixin.qq.com/3rdapp/install', {
      suite_id: account.appId,
      pre_auth_code: await getSuitePreAuthCode(parts.api, account),
      redirect_uri: back.href,
      state: 'wcg',
    })
  }
  throw new InvalidInputError('bad_account', [
    { field: 'NAME', rule: 'must be a component or a wecom_suite: nobody authorises another kind' },
  ])
}

/**
 * Has the code exchanged that a browser brought back.
 *
 * @param redirect.proof what the page's address sent the browser back with.
 * @returns false, and nothing is done, when that is not ours or too old.
 */
export async function exchangeRedirect(
  { db, box, clock }: { readonly db: Knex; readonly box: SecretBox; readonly clock: Clock },
  account: Account,
  redirect: { readonly code: string; readonly proof: string },
): Promise<boolean> {
  if (!isProof(box, redirect.proof, { accountId: account.id, now: clock.now() })) return false
  const isSuite = account.kind === 'wecom_suite'
  await addJob(db, {
    task: isSuite ? 'exchange_auth_code' : 'exchange_authorization_code',
    payload: {
      account_id: account.id,
      code: box.seal(redirect.code, placeOfJobSecret(account.id, 'code')),
    },
  })
  return true
}

function isProof(
  box: SecretBox,
  proof: string,
  { accountId, now }: { readonly accountId: number; readonly now: Date },
): boolean {
  try {
    return now.getTime() < Number(box.open(proof, placeOfProof(accountId)))
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

function placeOfProof(accountId: number): string {
  return `authorization_page/${accountId}`
}

function addressOf(page: string, query: Readonly<Record<string, string>>): string {
  const url = new URL(page)
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url.href
}
