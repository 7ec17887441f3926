import type { Follower } from './followers.ts'

/** What an opt-out forbids: what rests on following, one template, or everything. */
export type OptOutScope =
  | { readonly kind: 'follow' }
  | { readonly kind: 'template'; readonly templateId: string }
  | { readonly kind: 'everything' }

export type Channel = 'template_message' | 'subscription_message' | 'customer_service_message'

/**
 * Something the platform told the callback's owner: from the moment it was acknowledged no send that
 * it forbids may begin. Times are the monotonic clock's milliseconds.
 */
export interface OptOut {
  readonly scope: OptOutScope
  /** The event's name or the errcode. */
  readonly because: string
  /** `push`: the push was acknowledged; `answer`: an errcode was answered. */
  readonly learnedFrom: 'push' | 'answer'
  /** When it was acknowledged, or the answer left; undefined while it is not. */
  learnedMs: number | undefined
  learnedAt: string | undefined
  /** When the person agreed again. */
  endedMs: number | undefined
}

/** More than one person does in a test; older ones that ended are let go first. */
const KEPT_PER_PERSON = 20

/** Notes an opt-out that is on its way to be known. */
export function beginOptOut(
  follower: Follower,
  facts: Pick<OptOut, 'scope' | 'because' | 'learnedFrom'>,
): OptOut {
  const optOut = { ...facts, learnedMs: undefined, learnedAt: undefined, endedMs: undefined }
  follower.optOuts = [...(follower.optOuts ?? []), optOut].slice(-KEPT_PER_PERSON)
  return optOut
}

/** The person agreed again: opt-outs of that reach no longer forbid anything from now on. */
export function endOptOuts(
  follower: Follower,
  agrees: (scope: OptOutScope) => boolean,
  nowMs: number,
): void {
  for (const optOut of follower.optOuts ?? []) {
    if (agrees(optOut.scope)) optOut.endedMs ??= nowMs
  }
}

/**
 * The opt-outs that were known when a send arrived, had not ended, and forbid that send: at most one
 * learned from a push and one learned from an answer.
 */
export function brokenOptOuts(
  follower: Follower,
  send: { readonly channel: Channel; readonly templateId: string | undefined },
  arrivedMs: number,
): OptOut[] {
  const broken = (follower.optOuts ?? []).filter(
    (optOut) =>
      optOut.learnedMs !== undefined &&
      optOut.learnedMs < arrivedMs &&
      (optOut.endedMs === undefined || optOut.endedMs > arrivedMs) &&
      forbids(optOut.scope, send.channel, send.templateId),
  )
  return (['push', 'answer'] as const).flatMap((source) => {
    return broken.find(({ learnedFrom }) => learnedFrom === source) ?? []
  })
}

/** Whether an errcode has said this before: the same answer again is no further opt-out. */
export function wasAnswered(follower: Follower, scope: OptOutScope): boolean {
  return (follower.optOuts ?? []).some(
    (optOut) =>
      optOut.learnedFrom === 'answer' &&
      optOut.endedMs === undefined &&
      optOut.scope.kind === scope.kind &&
      (optOut.scope.kind !== 'template' ||
        scope.kind !== 'template' ||
        optOut.scope.templateId === scope.templateId),
  )
}

/**
 * A template's refusal forbids subscription messages and template messages with that id; an
 * unfollow forbids what rests on following. Whether it also ends subscription rights is unconfirmed,
 * so those sends are not counted.
 */
function forbids(scope: OptOutScope, channel: Channel, templateId: string | undefined): boolean {
  if (scope.kind === 'everything') return true
  if (scope.kind === 'follow') return channel !== 'subscription_message'
  return scope.templateId === templateId && channel !== 'customer_service_message'
}
