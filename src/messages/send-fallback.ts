import { z } from 'zod'
import type { JobTasks } from '../database/job-engine.ts'
import type { Clock } from '../foundation/clock.ts'
import { newId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Metrics } from '../foundation/metrics.ts'
import {
  planFallback,
  type FallbackCandidate,
  type NoFallback,
} from '../templates/plan-fallback.ts'
import { dataOf, type AccountTemplates } from '../templates/resolve-template.ts'
import type { DecideSend } from './check-send.ts'
import type { RefusedMessage, Replacement, Successor } from './fallback-store.ts'

export interface FallbackDeps {
  readonly findRefused: (id: string) => Promise<RefusedMessage | undefined>
  readonly replace: (refused: RefusedMessage, successor: Successor) => Promise<Replacement>
  readonly giveUp: (refused: RefusedMessage, reason: string) => Promise<void>
  readonly findTemplates: (accountId: number) => Promise<AccountTemplates>
  /** The account's name; undefined while it is disabled. */
  readonly nameOf: (accountId: number) => Promise<string | undefined>
  readonly decide: DecideSend
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'templateFallbacks'>
}

/** Why nothing took the place of a message whose template was refused. */
export const NO_FALLBACK = [
  'alias_gone',
  'none_left',
  'does_not_fit',
  'expired',
  'broadcast_cancelled',
] as const satisfies readonly (NoFallback | 'expired' | 'broadcast_cancelled')[]

const payloadSchema = z.object({ message_id: z.string() })

/**
 * The job that the database adds in the transaction that records a refused template. Its tries span
 * four days; a message is given up as `expired` long before.
 */
export function createFallbackTasks(deps: FallbackDeps): JobTasks {
  return {
    'send-fallback': (payload) => sendFallback(deps, payloadSchema.parse(payload).message_id),
  }
}

/**
 * Sends a message again with the next template of its alias, when the platform has refused the one it
 * had. That refusal is a definite no, so the second message is no duplicate; and there is one only,
 * however often this runs. The first template that the person's consent allows is taken, and where it
 * allows none, the first one: its message ends as `blocked` and says what was missing.
 */
async function sendFallback(deps: FallbackDeps, messageId: string): Promise<void> {
  const refused = await deps.findRefused(messageId)
  if (!refused) return
  const now = deps.clock.now()
  if (refused.expiresAt <= now) return end(deps, refused, 'expired')
  const plan = planFallback(await deps.findTemplates(refused.accountId), refused)
  if (typeof plan === 'string') return end(deps, refused, plan)
  const chosen = (await firstAllowed(deps, refused, { candidates: plan, now })) ?? plan[0]
  const successor: Successor = {
    ...chosen,
    id: newId(now),
    askedData: refused.askedData ?? dataOf(refused.content),
    tried: [...refused.tried, refused.templateId],
    createdAt: now,
  }
  const replacement = await deps.replace(refused, successor)
  if (replacement !== 'not_any_more') await report(deps, refused, { replacement, successor })
}

async function firstAllowed(
  { decide }: FallbackDeps,
  { accountId, recipient: subject, channel }: RefusedMessage,
  choice: { readonly candidates: readonly FallbackCandidate[]; readonly now: Date },
): Promise<FallbackCandidate | undefined> {
  for (const candidate of choice.candidates) {
    const { templateId } = candidate
    const question = { accountId, subject, channel, templateId, consentScope: null, at: choice.now }
    if ((await decide(question)).allowed) return candidate
  }
  return undefined
}

async function end(deps: FallbackDeps, refused: RefusedMessage, reason: string): Promise<void> {
  await deps.giveUp(refused, reason)
  await report(deps, refused, { replacement: reason, successor: null })
}

async function report(
  { log, metrics, nameOf }: FallbackDeps,
  refused: RefusedMessage,
  made: { readonly replacement: string; readonly successor: Successor | null },
): Promise<void> {
  const { replacement, successor } = made
  const account = (await nameOf(refused.accountId)) ?? ''
  const { id, alias, channel, templateId } = refused
  metrics.templateFallbacks.inc({ account, channel, outcome: replacement })
  const told = { account, message_id: id, channel, alias, template_id: templateId }
  if (successor && replacement === 'made') {
    const { id: fallback, step } = successor
    log.info({ ...told, fallback, step }, 'message.fell_back')
  } else log.warn({ ...told, reason: replacement }, 'message.no_fallback')
}
