/**
 * Why a token died before its time:
 *
 * - `classic_elsewhere`: another system fetched a token at the classic endpoint with our AppSecret;
 *   that retires ours after 300 s
 * - `forced_elsewhere`: another system forced a stable token with our AppSecret
 * - `replaced_elsewhere`: somebody else with our credentials fetched a new one, or the platform took
 *   the authorisation back
 * - `secret_reset`: the AppSecret was reset; the token endpoint no longer takes ours
 */
export const DEATH_CAUSES = [
  'classic_elsewhere',
  'forced_elsewhere',
  'replaced_elsewhere',
  'secret_reset',
] as const
export type DeathCause = (typeof DEATH_CAUSES)[number]

/** A token that the platform refused although it should still have lived, and nobody here replaced. */
export interface TokenDeath {
  readonly version: string
  readonly fetchedAt: Date
  readonly expiresAt: Date
  readonly diedAt: Date
  readonly cause: DeathCause
}

/** For the log; the commands say it in both languages. */
export const CAUSE_HINTS: Readonly<Record<DeathCause, string>> = {
  classic_elsewhere:
    'another system fetches tokens at /cgi-bin/token with the same AppSecret: set token_kind to stable, or let it read the token here',
  forced_elsewhere:
    'another system forces stable tokens with the same AppSecret (or a leak drill was made elsewhere): find it, or reset the AppSecret',
  replaced_elsewhere:
    'somebody else fetches tokens with the same credentials, or the authorisation was taken back',
  secret_reset: 'the AppSecret was reset: store the current one with wcg account rotate --secret',
}
