import { z } from 'zod'
import { writeChange, writeEvent, writePopup, writeText, type DocumentHead } from './documents.ts'
import { openWindow, rightsOf, sceneKey, type Follower } from './followers.ts'
import { readInput } from './inputs.ts'
import { endOptOuts, type OptOutScope } from './opt-outs.ts'
import { findTemplate, type Account, type World } from './world.ts'

/** Somebody doing something, with what the act needs to know. */
export interface Person {
  readonly world: World
  readonly account: Account
  readonly follower: Follower
  readonly head: DocumentHead
  readonly nowMs: number
}

/** What the platform pushes for an act; undefined where it pushes nothing. */
export type Effect =
  | {
      readonly event: string
      readonly document: string
      readonly optOuts?: readonly OptOutScope[]
    }
  | undefined

type Act = (person: Person, details: unknown) => Effect

const text = z.string().min(1)
const nothing = z.strictObject({})
const oneTemplate = z.strictObject({ template_id: text })
const templates = z
  .strictObject({
    template_ids: z.array(text).min(1).optional(),
    template_id: text.optional(),
    /** Further templates of the same popup, answered the other way. */
    others: z.array(text).default([]),
    popup_scene: z.string().optional(),
  })
  .refine((details) => details.template_ids ?? details.template_id, {
    path: ['template_ids'],
    error: 'expected at least one template id',
  })

/** Where the platform's own pushing account stands instead of the person (callbacks.md §6.3). */
const PLATFORM_SENDER = 'oPlatformPushServiceSandbox0'

/** Every act by its name in the control API's addresses. */
export const ACTS = {
  follow: define(z.strictObject({ scene: text.optional() }), follow),
  unfollow: define(z.strictObject({ event_key: z.string().default('') }), unfollow),
  block: define(nothing, ({ follower }) => {
    follower.blocked = true
    return undefined
  }),
  unblock: define(nothing, ({ world, follower }) => {
    follower.blocked = false
    endOptOuts(follower, ({ kind }) => kind === 'follow', world.clock.monotonicMs())
    return undefined
  }),
  refuse_template: define(oneTemplate, ({ follower }, { template_id }) => {
    rightsOf(follower, template_id).refused = true
    return undefined
  }),
  allow_template: define(oneTemplate, (person, { template_id }) => {
    rightsOf(person.follower, template_id).refused = false
    agreeToTemplate(person, template_id)
    return undefined
  }),
  accept: define(templates, (person, details) => popup(person, 'accept', details)),
  reject: define(templates, (person, details) => popup(person, 'reject', details)),
  switch_off: define(oneTemplate, ({ follower, head }, { template_id }) => {
    Object.assign(rightsOf(follower, template_id), { credits: 0, standing: false })
    return {
      event: 'subscribe_msg_change_event',
      document: writeChange(head, template_id),
      optOuts: [{ kind: 'template', templateId: template_id }],
    }
  }),
  say: define(z.strictObject({ text }), ({ world, follower, head, nowMs }, { text: content }) => {
    openWindow(follower, 'message', nowMs)
    return { event: 'text', document: writeText(head, content, world.random.nextMessageId()) }
  }),
  tap_menu: define(z.strictObject({ key: text }), ({ follower, head, nowMs }, { key }) => {
    openWindow(follower, 'menu', nowMs)
    return event(head, 'CLICK', { EventKey: key })
  }),
  scan: define(z.strictObject({ scene: text }), scan),
  visit_location: define(
    z.strictObject({
      latitude: z.number().default(23.137466),
      longitude: z.number().default(113.352425),
      precision: z.number().default(119.385),
    }),
    ({ head }, { latitude, longitude, precision }) => {
      const fields = { Latitude: latitude, Longitude: longitude, Precision: precision }
      const elements = Object.entries(fields).map(([name, value]) => {
        return { name, text: value.toFixed(6), bare: true }
      })
      return { event: 'LOCATION', document: writeEvent(head, 'LOCATION', elements) }
    },
  ),
  revoke_authorization: define(
    z.strictObject({ revoke_info: z.string().optional() }),
    (person, { revoke_info = isMini(person) ? '8' : '205' }) =>
      withdrawal(person, 'user_authorization_revoke', revoke_info),
  ),
  cancel_account: define(nothing, (person) => {
    Object.assign(person.follower, { follows: false, cancelled: true })
    return withdrawal(person, 'user_authorization_cancellation', undefined)
  }),
  enter_session: define(
    z.strictObject({ session_from: z.string().default('') }),
    ({ follower, head, nowMs }, { session_from }) => {
      openWindow(follower, 'enter', nowMs)
      return event(head, 'user_enter_tempsession', { SessionFrom: session_from })
    },
  ),
  confirm_subscription: define(
    z.strictObject({ template_id: text, scene: text }),
    (person, { template_id, scene }) => {
      const { follower } = person
      follower.scenes ??= new Set()
      follower.scenes.add(sceneKey(template_id, scene))
      agreeToTemplate(person, template_id)
      return undefined
    },
  ),
  blacklist: define(nothing, ({ follower }) => {
    follower.blacklisted = true
    return undefined
  }),
  unblacklist: define(nothing, ({ follower }) => {
    follower.blacklisted = false
    return undefined
  }),
} satisfies Record<string, Act>

export type ActName = keyof typeof ACTS

/** The names of all acts, as in the control API's addresses. */
const ACT_NAMES = Object.keys(ACTS) as readonly ActName[]

const OFFICIAL_ONLY: ReadonlySet<ActName> = new Set<ActName>([
  'follow',
  'unfollow',
  'tap_menu',
  'scan',
  'visit_location',
  'confirm_subscription',
  'blacklist',
  'unblacklist',
])

/** The acts of an account's kind: nobody follows a Mini Program, or enters an Official Account. */
export function actsOf(kind: Account['config']['kind']): readonly ActName[] {
  return ACT_NAMES.filter((name) =>
    kind === 'mini_program' ? !OFFICIAL_ONLY.has(name) : name !== 'enter_session',
  )
}

/** Whether a text names an act. */
export function isActName(name: string): name is ActName {
  return Object.hasOwn(ACTS, name)
}

function define<T>(schema: z.ZodType<T>, act: (person: Person, details: T) => Effect): Act {
  return (person, details) => act(person, readInput(schema, details))
}

function isMini({ account }: Person): boolean {
  return account.config.kind === 'mini_program'
}

function event(head: DocumentHead, name: string, fields: Readonly<Record<string, string>>): Effect {
  const elements = Object.entries(fields).map(([field, value]) => ({ name: field, text: value }))
  return { event: name, document: writeEvent(head, name, elements) }
}

function follow(person: Person, { scene }: { scene?: string | undefined }): Effect {
  const { world, follower, head, nowMs } = person
  const wasGone = { follows: true, cancelled: false, followedAtSeconds: head.at, scene }
  Object.assign(follower, wasGone)
  openWindow(follower, 'follow', nowMs)
  endOptOuts(follower, ({ kind }) => kind !== 'template', world.clock.monotonicMs())
  if (scene === undefined) return event(head, 'subscribe', { EventKey: '' })
  return event(head, 'subscribe', { EventKey: `qrscene_${scene}`, Ticket: ticketOf(scene) })
}

function unfollow({ world, follower, head }: Person, details: { event_key: string }): Effect {
  follower.follows = false
  follower.windows = undefined
  if (!world.platform.keepRightsOnUnfollow) follower.rights = undefined
  const fields = [{ name: 'EventKey', text: details.event_key }]
  const document = writeEvent(head, 'unsubscribe', fields)
  return { event: 'unsubscribe', document, optOuts: [{ kind: 'follow' }] }
}

/** Somebody who does not follow yet is asked to, and does. */
function scan(person: Person, { scene }: { scene: string }): Effect {
  if (!person.follower.follows) return follow(person, { scene })
  openWindow(person.follower, 'scan', person.nowMs)
  return event(person.head, 'SCAN', { EventKey: scene, Ticket: ticketOf(scene) })
}

function ticketOf(scene: string): string {
  return `gQ${Buffer.from(scene).toString('base64url')}`
}

function popup(
  person: Person,
  status: 'accept' | 'reject',
  details: z.output<typeof templates>,
): Effect {
  const { template_ids = [], template_id, others } = details
  const popup_scene = details.popup_scene ?? (isMini(person) ? '0' : '1')
  const other = status === 'accept' ? 'reject' : 'accept'
  const items = [
    ...[...template_ids, ...(template_id === undefined ? [] : [template_id])].map((id) => {
      return { template_id: id, status } as const
    }),
    ...others.map((id) => ({ template_id: id, status: other }) as const),
  ]
  for (const item of items) answerPopup(person, item.template_id, item.status)
  return {
    event: 'subscribe_msg_popup_event',
    document: writePopup(person.head, items, popup_scene),
    optOuts: items
      .filter((item) => item.status === 'reject')
      .map((item) => ({ kind: 'template', templateId: item.template_id })),
  }
}

function answerPopup(person: Person, templateId: string, status: 'accept' | 'reject'): void {
  const { world, account, follower } = person
  const rights = rightsOf(follower, templateId)
  if (status === 'accept') {
    if (findTemplate(account, templateId)?.long_term) rights.standing = true
    else rights.credits += 1
    agreeToTemplate(person, templateId)
  } else if (world.platform.popupRejectTakesRights) {
    Object.assign(rights, { credits: 0, standing: false })
  }
}

function agreeToTemplate({ world, follower }: Person, templateId: string): void {
  const agrees = (scope: OptOutScope) =>
    scope.kind === 'template' && scope.templateId === templateId
  endOptOuts(follower, agrees, world.clock.monotonicMs())
}

/** The person stands in `OpenID`; `FromUserName` is an account of the platform. */
function withdrawal(person: Person, name: string, revokeInfo: string | undefined): Effect {
  const { head, account } = person
  const fields = [
    { name: 'OpenID', text: head.openid },
    { name: 'AppID', text: account.config.app_id },
    ...(revokeInfo === undefined ? [] : [{ name: 'RevokeInfo', text: revokeInfo }]),
  ]
  const document = writeEvent({ ...head, openid: PLATFORM_SENDER }, name, fields)
  return { event: name, document, optOuts: [{ kind: 'everything' }] }
}
