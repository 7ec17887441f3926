import type { Clock } from '../foundation/clock.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { createSilence } from '../foundation/silence.ts'
import { createUnderWay } from '../foundation/under-way.ts'

/** A send that was refused for its template. */
export interface RefusedTemplate {
  readonly accountId: number
  readonly channel: string
  readonly templateId: string
  readonly errcode: number | null
}

/** `This template_id is banned`; every other code of the class may mean that it is gone. */
const BANNED = 43116

/** A template that is refused once is refused for every message: the first one says it all. */
const SILENCE_MS = 60_000

/**
 * Reacts to refused templates beside the sending: a ban is noted, anything else lets the lists be
 * compared. At most once a minute for each template, and nothing of it can fail a send; what a
 * process that dies takes with it is found at night.
 */
export function createRefusalWatch(parts: {
  readonly noteBanned: (refused: RefusedTemplate) => Promise<void>
  readonly queueSync: (accountId: number) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}): { refused(refused: RefusedTemplate): void; settle(): Promise<void> } {
  const isNews = createSilence(parts.clock, SILENCE_MS)
  const underWay = createUnderWay()

  async function react(refused: RefusedTemplate): Promise<void> {
    try {
      if (refused.errcode === BANNED) await parts.noteBanned(refused)
      else await parts.queueSync(refused.accountId)
    } catch (error) {
      parts.log.warn({ error: describeError(error) }, 'templates.refusal_not_noted')
    }
  }

  return {
    refused(refused) {
      if (!isNews(`${refused.accountId}:${refused.templateId}`)) return
      underWay.begin()
      void react(refused).then(() => underWay.end())
    },
    settle: () => underWay.none(),
  }
}
