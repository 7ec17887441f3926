import { sleep } from '../../src/foundation/clock.ts'
import { planChaos, type ChaosPlan, type ChaosSize } from './chaos-plan.ts'
import { ageLostCalls, endLeases } from './fleet.ts'
import { layGround, type Ground, type GroundParts } from './ground.ts'
import { judgeChaos, type Verdict } from './judge-chaos.ts'
import { playStory, type Happenings } from './play-story.ts'
import { killToken, type TokenDeath, type TokenDeaths } from './tokens.ts'

/** What a run came to. */
export interface ChaosReport {
  readonly size: ChaosSize
  readonly tookSeconds: number
  readonly verdict: Verdict
}

/** Due messages that may wait before nothing more is asked for: the races must meet open hands. */
const MOST_WAITING = 60
const LOOK_EVERY_MS = 100
const TELL_EVERY_MS = 20_000
/** Which wait is shortened by cancelling: longer than a clock minute with its spread, or hardly any. */
const PATIENCE_S = { patient: 75, hurried: 3 }
/**
 * When messages that are still under way are given up, and the run has failed. One whose channel rests
 * and whose call may have arrived cannot be cancelled: it ends when the platform has forgotten the call.
 */
const QUIET_LIMIT_MS = { patient: 660_000, hurried: 120_000 }
/** The platform acts two seconds after the gateway gave a call up. */
const LATE_ACTS_MS = 2_500

/**
 * Plays a whole run: people, applications, weather, deaths of processes and tokens; waits until nothing
 * is under way any more, and judges what came of it.
 *
 * @param onProgress is told now and then how many messages have been asked for.
 */
export async function runChaos(
  parts: GroundParts,
  size: ChaosSize,
  onProgress: (asked: number) => void = () => undefined,
): Promise<ChaosReport> {
  const startedMs = performance.now()
  const plan = planChaos(size)
  const ground = await layGround(parts, size)
  try {
    const happenings: Happenings = { asked: [], refusals: [], splitKeys: [] }
    const telling = setInterval(() => onProgress(happenings.asked.length), TELL_EVERY_MS)
    const tokenDeaths = await play(ground, { plan, size, happenings }).finally(() =>
      clearInterval(telling),
    )
    await ground.fleet.settled()
    await untilQuiet(ground, size)
    await ground.sandbox.settled()
    if (size.patient) {
      await sleep(LATE_ACTS_MS)
      await ground.sandbox.settled()
    }
    const verdict = await judgeChaos(ground, { happenings, tokenDeaths })
    return { size, verdict, tookSeconds: (performance.now() - startedMs) / 1000 }
  } finally {
    await ground.close()
  }
}

interface Play {
  readonly plan: ChaosPlan
  readonly size: ChaosSize
  readonly happenings: Happenings
}

/** @returns what somebody else did to the tokens. */
async function play(ground: Ground, { plan, size, happenings }: Play): Promise<TokenDeaths> {
  const over = new AbortController()
  const gate = openGate(ground, over.signal)
  const blows = strike(ground, plan, { happenings, signal: over.signal })
  const rest = plan.stories.values()
  const walk = async () => {
    for (const story of rest) await playStory({ ground, happenings, room: gate.room }, story)
  }
  const stories = Promise.all(Array.from({ length: size.atOnce }, walk)).finally(() => over.abort())
  const [noted] = await Promise.all([blows, stories, gate.closed])
  return noted
}

/** Lets messages in as long as the gateways keep up with those that are due. */
function openGate(
  { db }: Ground,
  signal: AbortSignal,
): { readonly room: () => Promise<void>; readonly closed: Promise<void> } {
  let waiting = 0
  const watch = async () => {
    while (!signal.aborted) {
      const { rows } = await db.raw<{ rows: { waiting: number }[] }>(
        `select count(*)::integer as waiting from message
         where status = 'queued' and due_at <= now() and not exists (
           select from sending_pause as pause
           where pause.account_id = message.account_id and pause.channel = message.channel
             and pause.until > now()
         )`,
      )
      waiting = rows[0]?.waiting ?? 0
      await sleep(LOOK_EVERY_MS, signal)
    }
  }
  return {
    closed: watch(),
    async room() {
      while (waiting > MOST_WAITING) await sleep(LOOK_EVERY_MS / 2, signal)
    },
  }
}

/** Deals the blows of the plan when their moment has come. */
async function strike(
  ground: Ground,
  plan: ChaosPlan,
  { happenings, signal }: { readonly happenings: Happenings; readonly signal: AbortSignal },
): Promise<TokenDeaths> {
  const noted = new Map<string, TokenDeath>()
  const kills = plan.kills.map(({ atAsked, process }) => ({
    atAsked,
    deal: async () => void ground.fleet.kill(process),
  }))
  const tokens = plan.tokenDeaths.map(({ atAsked, account: index }) => ({
    atAsked,
    deal: async () => {
      const account = ground.accounts[index]
      if (!account) throw new Error(`there is no account ${index}`)
      const death = noted.get(account.name) ?? { asked: 0, forced: 0, deaths: 0 }
      noted.set(account.name, death)
      await killToken(ground.sandboxUrl, account, death)
    },
  }))
  const blows = [...kills, ...tokens].toSorted((one, other) => one.atAsked - other.atAsked)
  for (const { atAsked, deal } of blows) {
    while (happenings.asked.length < atAsked && !signal.aborted) await sleep(10, signal)
    if (happenings.asked.length < atAsked) break // the run has failed elsewhere
    await deal()
  }
  return noted
}

/** A message that no worker has finished. */
interface Open {
  readonly id: string
  readonly status: string
  readonly waits_long: boolean
}

/** Waits until every message is over; what would wait for a day or an hour the application cancels. */
async function untilQuiet(ground: Ground, { patient }: ChaosSize): Promise<void> {
  const mood = patient ? 'patient' : 'hurried'
  const untilMs = performance.now() + QUIET_LIMIT_MS[mood]
  const patience = PATIENCE_S[mood]
  while (performance.now() < untilMs) {
    if (!patient) {
      await endLeases(ground.db, ground.fleet.dead)
      await ageLostCalls(ground.db)
    }
    const open = await readOpen(ground, patience)
    if (open.length === 0) return
    for (const { id } of open.filter(({ waits_long: waitsLong }) => waitsLong)) {
      await ground.ask(`/v1/messages/${id}/cancel`, { body: {} })
    }
    await sleep(LOOK_EVERY_MS)
  }
}

async function readOpen({ db }: Ground, patienceSeconds: number): Promise<readonly Open[]> {
  const { rows } = await db.raw<{ rows: Open[] }>(
    `select message.id, message.status,
       message.status <> 'sending' and coalesce(
         greatest(message.due_at, pause.until) > now() + make_interval(secs => ?), false
       ) as waits_long
     from message
     left join sending_pause as pause
       on pause.account_id = message.account_id and pause.channel = message.channel
     where message.status in ('scheduled', 'queued', 'sending')
     limit 2000`,
    [patienceSeconds],
  )
  return rows
}
