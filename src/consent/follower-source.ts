import type { Account } from '../accounts/account.ts'
import type { AppError } from '../foundation/errors.ts'

/** One page of a list of people, as the platform gives it. */
export interface FollowerPage {
  readonly subjects: readonly string[]
  /** How many the whole list holds, by the platform's word. */
  readonly total: number | null
  /** Where the next page begins; '' when there is none. */
  readonly next: string
}

/** What the platform says about one person. */
export interface FollowState {
  readonly subject: string
  readonly follows: boolean
  /** Since when they follow; null where the platform does not say. */
  readonly since: Date | null
}

/**
 * How a question to the platform ended.
 *
 * - `answer`: `askedAt` is the platform's clock when the question was asked, a second early rather
 *   than late: nothing that the answer shows happened before it.
 * - `quota`: no more questions of this kind before a time; the platform has refused, or the day's
 *   quota is used up but for the account's margin.
 * - `slow`: too many in this minute; go on at that time, and slower.
 * - `wait`: it did not answer, or there is no token; another try may pass.
 * - `refused`: no use in asking again.
 */
export type Asked<T> =
  | { readonly kind: 'answer'; readonly value: T; readonly askedAt: Date }
  | {
      readonly kind: 'quota'
      readonly until: Date
      readonly reason: 'quota_daily' | 'quota_margin'
    }
  | { readonly kind: 'slow'; readonly until: Date }
  | { readonly kind: 'wait'; readonly error: AppError }
  | { readonly kind: 'refused'; readonly errcode: number; readonly errmsg: string }

/** The platform as the follower sync asks it; each call is one request, or the token's too. */
export interface FollowerSource {
  /** Who follows, from a cursor on ('' for the beginning). */
  listFollowers(account: Account, cursor: string): Promise<Asked<FollowerPage>>
  /** Whom the account has put on its blacklist. */
  listBlocked(account: Account, cursor: string): Promise<Asked<FollowerPage>>
  /** At most a hundred people at a time. */
  askAbout(account: Account, subjects: readonly string[]): Promise<Asked<readonly FollowState[]>>
}
