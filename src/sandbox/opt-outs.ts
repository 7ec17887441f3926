/** What an opt-out forbids: what rests on following, one template, or everything. */
export type OptOutScope =
  | { readonly kind: 'follow' }
  | { readonly kind: 'template'; readonly templateId: string }
  | { readonly kind: 'everything' }

export type Channel =
  | 'template_message'
  | 'subscription_message'
  | 'one_time_subscription'
  | 'device_message'
  | 'customer_service_message'
  | 'app_message'
  | 'welcome_message'
  | 'group_message'
  | 'kf_message'
  | 'robot_message'

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

/** Whoever opt-outs are kept for: a person, a pair of member and customer, or a whole tenant. */
export interface OptOutHolder {
  optOuts: OptOut[] | undefined
}

/** More than one person does in a test; older ones that ended are let go first. */
const KEPT_PER_PERSON = 20

/** What a finished push does to the opt-outs it told of: they are known from its acknowledgement. */
export function learnFrom(
  begun: readonly OptOut[],
): (push: { acknowledged_ms: number | null; acknowledged_at: string | null }) => void {
  return ({ acknowledged_ms, acknowledged_at }) => {
    for (const optOut of begun) {
      optOut.learnedMs = acknowledged_ms ?? undefined
      optOut.learnedAt = acknowledged_at ?? undefined
    }
  }
}

/** Notes an opt-out that is on its way to be known. */
export function beginOptOut(
  holder: OptOutHolder,
  facts: Pick<OptOut, 'scope' | 'because' | 'learnedFrom'>,
): OptOut {
  const optOut = { ...facts, learnedMs: undefined, learnedAt: undefined, endedMs: undefined }
  holder.optOuts = [...(holder.optOuts ?? []), optOut].slice(-KEPT_PER_PERSON)
  return optOut
}

/** The person agreed again: opt-outs of that reach no longer forbid anything from now on. */
export function endOptOuts(
  holder: OptOutHolder,
  agrees: (scope: OptOutScope) => boolean,
  nowMs: number,
): void {
  for (const optOut of holder.optOuts ?? []) {
    if (agrees(optOut.scope)) optOut.endedMs ??= nowMs
  }
}

/**
 * The opt-outs that were known when a send arrived, had not ended, and forbid that send: at most one
 * learned from a push and one learned from an answer.
 */
export function brokenOptOuts(
  holder: OptOutHolder,
  send: { readonly channel: Channel; readonly templateId: string | undefined },
  arrivedMs: number,
): OptOut[] {
  const broken = (holder.optOuts ?? []).filter(
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
export function wasAnswered(holder: OptOutHolder, scope: OptOutScope): boolean {
  return (holder.optOuts ?? []).some(
    (optOut) =>
      optOut.learnedFrom === 'answer' &&
      optOut.endedMs === undefined &&
      optOut.scope.kind === scope.kind &&
      (optOut.scope.kind !== 'template' ||
        scope.kind !== 'template' ||
        optOut.scope.templateId === scope.templateId),
  )
}

/** Channels that rest on a template's right alone. */
const BY_TEMPLATE: readonly Channel[] = [
  'subscription_message',
  'one_time_subscription',
  'device_message',
]

/**
 * A template's refusal forbids subscription messages and template messages with that id; an
 * unfollow forbids what rests on following. Whether it also ends subscription rights is unconfirmed,
 * so those sends are not counted.
 */
function forbids(scope: OptOutScope, channel: Channel, templateId: string | undefined): boolean {
  if (scope.kind === 'everything') return true
  const byTemplate = BY_TEMPLATE.includes(channel)
  if (scope.kind === 'follow') return !byTemplate
  return scope.templateId === templateId && channel !== 'customer_service_message'
}
