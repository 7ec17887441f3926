import { sleep } from '../foundation/clock.ts'
import { UnavailableError } from '../foundation/errors.ts'

/** What the demo waits for takes a second or two; ten times that is a fault to be shown. */
const LIMIT_MS = 20_000
const LOOK_EVERY_MS = 50

/**
 * Looks until there is something to be seen.
 *
 * @throws UnavailableError `demo_stuck`
 */
export async function waitFor<Seen>(
  what: string,
  look: () => Promise<Seen | null | undefined>,
): Promise<Seen> {
  for (let waitedMs = 0; waitedMs < LIMIT_MS; waitedMs += LOOK_EVERY_MS) {
    const seen = await look()
    if (seen !== null && seen !== undefined) return seen
    await sleep(LOOK_EVERY_MS)
  }
  throw new UnavailableError('demo_stuck', `${what} did not come within ${LIMIT_MS / 1000} s`)
}
