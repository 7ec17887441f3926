import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { JsonLists } from './documents.ts'
import type { AccountInput, ComponentInput, CorpInput, SuiteInput } from './inputs.ts'
import type { InteractionKind } from './followers.ts'
import type { QuotaLimit } from './quotas.ts'

/** How the sandbox delivers pushes. Times are real milliseconds, whatever the sandbox's clock says. */
export interface PushRules {
  /** How long it waits for the whole answer. The platform's 5 s (callbacks.md §5.1). */
  readonly answerTimeoutMs: number
  /**
   * How long it waits for the answer to a handshake of WeCom and to a notice about a corp's
   * authorisation: the platform's 1 s (callbacks.md §5.3).
   */
  readonly noticeTimeoutMs: number
  /** Repeats after the first try: “3 retries in total”. */
  readonly repeats: number
  /** Pause before repeating after a timeout; the 5 s of waiting have passed already. */
  readonly repeatAfterTimeoutMs: number
  /** Pause before repeating after a wrong answer: none, as observed. */
  readonly repeatAfterWrongAnswerMs: number
  /** Pause before repeating when no connection was made. Unconfirmed. */
  readonly repeatAfterNoConnectionMs: number
  /** Whether a repeat carries the same bytes, or the same document encrypted anew. Unconfirmed. */
  readonly encryptRepeatsAnew: boolean
  /** Pushes in flight at once, over all accounts; more of them wait. */
  readonly concurrency: number
}

/** One row of the table of customer-service windows (sending.md §4.1). */
export interface WindowRule {
  readonly seconds: number
  readonly messages: number
}

/** What the platform does where it was seen to differ, or where its documents are silent. */
export interface PlatformRules {
  readonly tokenLifetimeSeconds: number
  /** How long a replaced classic token works, and how early the stable one changes. */
  readonly tokenOverlapSeconds: number
  readonly forcedRefreshesPerDay: number
  readonly forcedRefreshSpacingSeconds: number
  /** Openids on a page of `/cgi-bin/user/get`. */
  readonly followersPerPage: number
  /** How long a `client_msg_id` is remembered. */
  readonly dedupeSeconds: number
  /** What a repeated `client_msg_id` is answered: success with the first msgid, or an errcode. */
  readonly repeatedClientMsgId: 'first_msgid' | number
  /** Whether `bizsend` obeys `client_msg_id` too; it stands only in that page's sample. */
  readonly bizsendDedupes: boolean
  /**
   * Where a person who switched messages off shows for template messages: in the receipt
   * (`failed:user block`, as its page says) or in the answer (48002, as the table of codes says).
   */
  readonly blockedShowsIn: 'receipt' | 'answer'
  /** Whether subscription rights outlive an unfollow. */
  readonly keepRightsOnUnfollow: boolean
  /** Whether a popup `reject` takes back the rights that were accepted before. */
  readonly popupRejectTakesRights: boolean
  /** `clear_quota` and its v2 together, per account and calendar month. */
  readonly quotaClearsPerMonth: number
  /** How long after a send its receipt is pushed, in real milliseconds. */
  readonly receiptDelayMs: number
  /** Whether receipts are pushed at all. */
  readonly receipts: boolean
  /** How JSON documents hold subscription items; see `JsonLists`. */
  readonly jsonLists: JsonLists
  /**
   * What `api_authorizer_token` gives as refresh token: the one it was asked with, a new one that
   * replaces it, or an empty text, which means unchanged (sending.md §1.6).
   */
  readonly refreshToken: 'same' | 'rotated' | 'empty'
  /** Openids on a page of the blacklist: 1,000 by its page, 10,000 by older ones. */
  readonly blacklistPerPage: number
  /** What WeCom answers to a customer-service `msgid` that was used; no page says it. */
  readonly repeatedKfMsgid: number
  /** Calls of `kf/sync_msg` in a minute without a valid token; “strictly limited”. */
  readonly untokenedSyncsPerMinute: number
  readonly windows: Readonly<Record<InteractionKind, WindowRule>>
  /** Calls allowed per path; a path that is absent here has no limit. */
  readonly limits: Readonly<Record<string, QuotaLimit>>
}

/** Everything about a sandbox that can be chosen; nothing is required. */
export interface SandboxOptions {
  /** Accounts it begins with, and has again after `POST /sandbox/reset`. */
  readonly accounts?: readonly AccountInput[]
  /** Components, corps and suites, in the same way. */
  readonly components?: readonly ComponentInput[]
  readonly corps?: readonly CorpInput[]
  readonly suites?: readonly SuiteInput[]
  /** The clock underneath; the machine's when absent. `POST /sandbox/clock` moves above it. */
  readonly clock?: Clock
  /**
   * Fixes openids, tokens, nonces, msgids, shuffles and chances. Without it every sandbox differs,
   * so that the ids of two runs never meet in one database.
   */
  readonly seed?: string
  /** One line for each fault of the sandbox itself; absent means silence. */
  readonly log?: Log
  readonly push?: Partial<PushRules>
  readonly platform?: Partial<PlatformRules>
  /** How many API calls, pushes and received messages are kept, each; 200,000 when absent. */
  readonly recordLimit?: number
}

export const DEFAULT_PUSH_RULES: PushRules = {
  answerTimeoutMs: 5000,
  noticeTimeoutMs: 1000,
  repeats: 3,
  repeatAfterTimeoutMs: 0,
  repeatAfterWrongAnswerMs: 0,
  repeatAfterNoConnectionMs: 5000,
  encryptRepeatsAnew: false,
  concurrency: 100,
}

/** Daily and minute figures of sending.md §8.1; template messages as for up to 100,000 followers. */
const DEFAULT_LIMITS: Readonly<Record<string, QuotaLimit>> = {
  '/cgi-bin/token': { perDay: 2000 },
  '/cgi-bin/stable_token': { perDay: 500_000, perMinute: 10_000 },
  '/cgi-bin/message/template/send': { perDay: 100_000 },
  '/cgi-bin/message/subscribe/bizsend': { perDay: 100_000 },
  '/cgi-bin/message/custom/send': { perDay: 500_000 },
  '/cgi-bin/user/info': { perDay: 5_000_000 },
  '/cgi-bin/user/info/batchget': { perDay: 5_000_000 },
  '/cgi-bin/user/get': { perDay: 500 },
  '/cgi-bin/message/template/subscribe': { perDay: 100 },
  '/cgi-bin/message/subscribe/send': { perDay: 10_000_000 },
}

const HOURS_48 = 48 * 3600

export const DEFAULT_PLATFORM_RULES: PlatformRules = {
  tokenLifetimeSeconds: 7200,
  tokenOverlapSeconds: 300,
  forcedRefreshesPerDay: 20,
  forcedRefreshSpacingSeconds: 30,
  followersPerPage: 10_000,
  dedupeSeconds: 600,
  repeatedClientMsgId: 'first_msgid',
  bizsendDedupes: false,
  blockedShowsIn: 'receipt',
  keepRightsOnUnfollow: true,
  popupRejectTakesRights: false,
  quotaClearsPerMonth: 10,
  receiptDelayMs: 20,
  receipts: true,
  jsonLists: 'object_when_one',
  refreshToken: 'same',
  blacklistPerPage: 1000,
  repeatedKfMsgid: 40058,
  untokenedSyncsPerMinute: 10,
  windows: {
    message: { seconds: HOURS_48, messages: 5 },
    menu: { seconds: 60, messages: 3 },
    follow: { seconds: 60, messages: 3 },
    scan: { seconds: 60, messages: 3 },
    enter: { seconds: 60, messages: 2 },
  },
  limits: DEFAULT_LIMITS,
}

export const DEFAULT_RECORD_LIMIT = 200_000
