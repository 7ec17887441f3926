import type { ApiFaultInput } from '../../src/sandbox/inputs.ts'
import { ERROR_CODES } from '../../src/wechat/error-code-table.ts'
import { lookUpErrorCode, type ErrorClass } from '../../src/wechat/error-codes.ts'
import { PATHS, seeded, type RoadChannel } from '../support/send-road.ts'
import type { AccountRole } from './chaos-plan.ts'

/** How many of a hundred calls meet an answer of a class; the codes are drawn from the table. */
const CODES: readonly { readonly of: ErrorClass; readonly percent: number }[] = [
  { of: 'transient', percent: 2 },
  { of: 'opt_out', percent: 1 },
  { of: 'invalid_recipient', percent: 0.5 },
  { of: 'template', percent: 0.5 },
  { of: 'content', percent: 0.5 },
  { of: 'permission', percent: 0.3 },
  { of: 'config', percent: 0.3 },
  { of: 'ip_whitelist', percent: 0.3 },
  { of: 'other', percent: 0.3 },
]
/** Different codes of one class in one run. */
const CODES_OF_A_CLASS = 3

/** About the account as a whole, not about one message: these meet the account that may rest. */
const FULL_MINUTE = 45011
/** The gateway gives a call up after ten seconds; the platform acts on it all the same. */
const LONGER_THAN_THE_LIMIT_MS = 12_000

type Met = Omit<ApiFaultInput, 'probability' | 'path' | 'app_id'> & { readonly percent: number }

/**
 * What the calls of an account meet, as faults of the sandbox. 40001 and 42001 are not among it, but
 * for one lie to the account that rests: a token dies in truth, because somebody forces another.
 */
export function weatherOf(
  account: { readonly appId: string; readonly role: AccountRole },
  how: { readonly seed: number; readonly patient: boolean },
): ApiFaultInput[] {
  const random = seeded(how.seed + 1)
  const channels = Object.entries(PATHS) as [RoadChannel, string][]
  return channels.flatMap(([channel, path]) => {
    const special = specialFor(account.role, channel).map((fault) => ({
      ...fault,
      path,
      app_id: account.appId,
    }))
    const met = [...codesFor(channel, random), ...accidents(channel, how.patient)]
    return [...special, ...inTurn(met).map((fault) => ({ ...fault, path, app_id: account.appId }))]
  })
}

function specialFor(role: AccountRole, channel: RoadChannel): ApiFaultInput[] {
  if (role === 'full_minute') return [{ errcode: FULL_MINUTE, probability: 0.02, times: 2 }]
  if (role === 'usual') return []
  switch (channel) {
    case 'template_message':
      return [
        { errcode: 40001, times: 1 },
        { errcode: 45009, probability: 0.1, times: 1 },
      ]
    case 'subscription_message':
      return []
    case 'customer_service_message':
      return [{ errcode: 50007, probability: 0.1, times: 1 }]
  }
}

function codesFor(channel: RoadChannel, random: () => number): Met[] {
  const window = { of: 'window_closed', percent: 1 } as const
  const listed = channel === 'customer_service_message' ? [...CODES, window] : CODES
  return listed.flatMap(({ of, percent }) => {
    const codes = drawCodes(of, random)
    return codes.map((errcode) => ({ errcode, percent: percent / codes.length }))
  })
}

/** Codes of a class that an Official Account can be answered, drawn anew for each seed. */
function drawCodes(of: ErrorClass, random: () => number): number[] {
  const codes = ERROR_CODES.filter(
    ({ code, platform }) =>
      (platform === 'oa' || platform === 'any') && lookUpErrorCode('oa', code).class === of,
  ).map(({ code }) => code)
  return Array.from({ length: Math.min(CODES_OF_A_CLASS, codes.length) }, () => {
    const [drawn = 0] = codes.splice(Math.floor(random() * codes.length), 1)
    return drawn
  })
}

function accidents(channel: RoadChannel, patient: boolean): Met[] {
  return [
    { reset: 'before', percent: 1 },
    { reset: 'after', percent: 1.5 },
    { http_status: 502, percent: 0.5 },
    ...(channel === 'template_message'
      ? [{ receipt: 'failed: system failed', percent: 0.5 } as const]
      : []),
    ...(patient ? [{ delay_ms: LONGER_THAN_THE_LIMIT_MS, percent: 0.05 }] : []),
    // also a call that is only slow can be overtaken by an opt-out
    { delay_ms: 15, percent: 15 },
    { delay_ms: 60, percent: 15 },
    { delay_ms: 150, percent: 3 },
  ]
}

/** The sandbox asks its faults one after the other: each has its share of what is left. */
function inTurn(met: readonly Met[]): ApiFaultInput[] {
  let left = 100
  return met.map(({ percent, ...fault }) => {
    const probability = percent / left
    left -= percent
    return { ...fault, probability }
  })
}
