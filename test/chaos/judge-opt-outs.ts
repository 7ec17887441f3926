import { NOTICE, PATHS, SUBSCRIPTION } from '../support/send-road.ts'
import { OPT_OUTS } from './chaos-plan.ts'
import type { Evidence, Verdict } from './judge-chaos.ts'
import type { Call, PlatformFacts } from './platform-facts.ts'
import type { Refusal } from './play-story.ts'

/** This close to its acknowledgement, an opt-out and a call have met. */
const CLOSE_MS = 100

/** P4: nothing is sent that an acknowledged or recorded opt-out forbids. */
export async function judgeOptOuts(evidence: Evidence): Promise<Verdict> {
  const { ground, platform, happenings } = evidence
  const { refusals } = happenings
  const told = ground.sandbox.report().sends_after_opt_out.map(({ call_id: id }) => id)
  const late = refusals.flatMap((refusal) => lateCalls(refusal, platform).map(({ id }) => id))
  const recorded = await callsAfterRefusal(evidence)
  const close = refusals.filter((refusal) => hasCloseCall(refusal, platform))
  return {
    invariants: [
      {
        promise: 'P4',
        name: 'sends after an acknowledged opt-out',
        broken: [...new Set([...late, ...told])].map(platform.nameOf),
      },
      {
        promise: 'P4',
        name: 'sends after the platform’s own no was recorded',
        broken: recorded.map(platform.nameOf),
      },
    ],
    counts: {
      'opt-outs acknowledged': refusals.filter(({ fromMs }) => fromMs !== Infinity).length,
      '… with a call that they forbid in the 100 ms before': close.length,
      '… messages asked for before, and blocked': countOvertaken(evidence),
    },
  }
}

function lateCalls(refusal: Refusal, platform: PlatformFacts): readonly Call[] {
  return callsAgainst(refusal, platform).filter(
    ({ arrivedMs }) => arrivedMs > refusal.fromMs && arrivedMs < refusal.untilMs,
  )
}

function hasCloseCall(refusal: Refusal, platform: PlatformFacts): boolean {
  return callsAgainst(refusal, platform).some(
    ({ arrivedMs }) => arrivedMs <= refusal.fromMs && arrivedMs > refusal.fromMs - CLOSE_MS,
  )
}

function callsAgainst({ way, person }: Refusal, platform: PlatformFacts): readonly Call[] {
  const closed = new Set<string>(OPT_OUTS[way].map((channel) => PATHS[channel]))
  return platform.callsTo(person).filter(({ path }) => closed.has(path))
}

/** Messages that an opt-out overtook: asked for before it was acknowledged, and never sent. */
function countOvertaken({ happenings, messages }: Evidence): number {
  const refusals = new Map(happenings.refusals.map((refusal) => [refusal.person, refusal]))
  return happenings.asked.filter(({ id, person, channel, askedMs }) => {
    const refusal = refusals.get(person)
    if (!refusal || messages.get(id)?.status !== 'blocked') return false
    const closed: readonly string[] = OPT_OUTS[refusal.way]
    return closed.includes(channel) && askedMs < refusal.fromMs
  }).length
}

/**
 * Calls that came although the ledger held the platform's own no to an earlier call. People who came
 * back are left out: they may have agreed again.
 */
async function callsAfterRefusal({
  ground,
  happenings,
  platform,
}: Evidence): Promise<readonly number[]> {
  const { rows } = await ground.db.raw<{ rows: { person: string; scope: string; at: Date }[] }>(
    `select subject as person, scope, min(recorded_at) as at from consent_ledger
     where evidence = 'attempt' and change = 'revoked' and account_id = any (?::integer[])
     group by subject, scope
     union all
     -- a customer-service message may rest on either: both must have ended
     select subject, '${EITHER_WINDOW}', max(at) from (
       select subject, scope, min(recorded_at) as at from consent_ledger
       where evidence = 'attempt' and change = 'revoked' and account_id = any (?::integer[])
         and scope in ('conversation', 'conversation:action')
       group by subject, scope
     ) as ended
     group by subject having count(*) = 2`,
    [ground.accounts.map(({ id }) => id), ground.accounts.map(({ id }) => id)],
  )
  const returned = new Set(
    happenings.refusals.filter(({ untilMs }) => untilMs !== Infinity).map(({ person }) => person),
  )
  return rows
    .filter(({ person }) => !returned.has(person))
    .flatMap(({ person, scope, at }) =>
      platform
        .callsTo(person)
        .filter(({ path, atMs }) => path === PATHS_BY_SCOPE[scope] && atMs > at.getTime())
        .map(({ id }) => id),
    )
}

/** Not a scope: both windows of a conversation together. */
const EITHER_WINDOW = 'conversations'

/** The channel that rests on a scope. */
const PATHS_BY_SCOPE: Readonly<Record<string, string>> = {
  follow: PATHS.template_message,
  [`template:${NOTICE}`]: PATHS.template_message,
  [`template:${SUBSCRIPTION}`]: PATHS.subscription_message,
  [EITHER_WINDOW]: PATHS.customer_service_message,
}
