import { z } from 'zod'
import { UnavailableError } from '../foundation/errors.ts'
import { bodyOf, type AccountApi, type Looked } from './account-api.ts'
import type { TokenAccount } from './refresh-token.ts'

/*
 * What a suite (第三方应用) asks about the corps that have installed it.
 * https://developer.work.weixin.qq.com/document/path/90597
 */

/** What a code was exchanged for. */
export interface CorpAuthorization {
  readonly corpId: string
  readonly permanentCode: string
  /** When, by the platform's clock; null when it did not say. */
  readonly at: Date | null
}

/** What a corp has authorised. */
export interface CorpInfo {
  /** The agentid of our app there; null when the answer names none. */
  readonly agentId: string | null
}

/** 40078 invalid, expired or used; 40058 too short to be one. */
const SPENT_CODES: readonly number[] = [40078, 40058]
/** The permanent code is not (any more) one: the corp has withdrawn it. */
const NOT_AUTHORIZED: readonly number[] = [40084]

const codeSchema = z.object({
  permanent_code: z.string().min(1),
  auth_corp_info: z.object({ corpid: z.string().min(1) }),
})

const infoSchema = z.object({
  auth_info: z
    .object({ agent: z.array(z.object({ agentid: z.union([z.number(), z.string()]) })) })
    .nullish(),
})

/**
 * Exchanges an auth_code for the corp's permanent code. It can be done once, and the permanent code
 * can be read nowhere else.
 *
 * @see https://developer.work.weixin.qq.com/document/path/100776
 */
export async function getPermanentCode(
  api: AccountApi,
  suite: TokenAccount,
  code: string,
): Promise<CorpAuthorization | 'spent'> {
  const answer = await api(suite, {
    method: 'POST',
    path: '/cgi-bin/service/v2/get_permanent_code',
    body: { auth_code: code },
  })
  if (SPENT_CODES.includes(answer.errcode)) return 'spent'
  const read = codeSchema.safeParse(bodyOf('get_permanent_code', answer)).data
  if (!read) throw new UnavailableError('bad_platform_answer', 'get_permanent_code: no code')
  return {
    corpId: read.auth_corp_info.corpid,
    permanentCode: read.permanent_code,
    at: answer.platformTime,
  }
}

/**
 * What a corp has authorised; nothing when its permanent code is none any more.
 *
 * @see https://developer.work.weixin.qq.com/document/path/90604
 */
export async function getAuthInfo(
  api: AccountApi,
  suite: TokenAccount,
  corp: { readonly corpId: string; readonly permanentCode: string },
): Promise<Looked<CorpInfo>> {
  const answer = await api(suite, {
    method: 'POST',
    path: '/cgi-bin/service/get_auth_info',
    body: { auth_corpid: corp.corpId, permanent_code: corp.permanentCode },
  })
  const at = answer.platformTime
  if (NOT_AUTHORIZED.includes(answer.errcode)) return { info: null, at }
  const read = infoSchema.safeParse(bodyOf('get_auth_info', answer)).data
  const agent = read?.auth_info?.agent[0]
  return { info: { agentId: agent ? String(agent.agentid) : null }, at }
}

/** A code for the page on which a corp installs the suite; good for 20 minutes. */
export async function getSuitePreAuthCode(api: AccountApi, suite: TokenAccount): Promise<string> {
  const answer = await api(suite, { method: 'GET', path: '/cgi-bin/service/get_pre_auth_code' })
  const schema = z.object({ pre_auth_code: z.string().min(1) })
  const read = schema.safeParse(bodyOf('get_pre_auth_code', answer)).data
  if (!read) throw new UnavailableError('bad_platform_answer', 'get_pre_auth_code: no code')
  return read.pre_auth_code
}
