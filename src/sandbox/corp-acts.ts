import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import { changeNotice, findApp, memberNotice, type CorpScene } from './corp-notices.ts'
import {
  findMember,
  findRelation,
  makeExternalUserid,
  meetCustomer,
  seatOf,
  type Corp,
  type Relation,
} from './corps.ts'
import { confirmGroupMessage, confirmSchema } from './group-messages.ts'
import { KF_ACTS } from './kf-acts.ts'
import { unixSeconds } from './movable-clock.ts'
import { endOptOuts } from './opt-outs.ts'
import { platformAct, type PlatformAct, type PlatformEffect } from './platform-act.ts'
import { ROOM_ACTS } from './room-acts.ts'

/** A WelcomeCode lives 20 seconds (callbacks.md §6.7). */
const WELCOME_MS = 20_000

const text = z.string().min(1)
const agent = { agent_id: text.optional() }
const member = z.strictObject({ userid: text, ...agent })
const pair = z.strictObject({ userid: text, external_userid: text, ...agent })
const added = z.strictObject({
  userid: text,
  external_userid: text.optional(),
  state: text.optional(),
  /** The customer added a member who lets everybody in: the relation is one-sided at first. */
  half: z.boolean().default(false),
  /** False where an administrator wrote a welcome: the event then carries no code. */
  welcome_code: z.boolean().default(true),
  ...agent,
})

/** What happens in a corp, by its name in the control API. */
export const CORP_ACTS = {
  member_subscribe: platformAct(member, (scene, { userid, agent_id }) => {
    const app = findApp(scene, agent_id)
    scene.owner.members.add(findMember(scene.owner, userid) ?? userid)
    const seat = seatOf(app, userid)
    seat.visible = true
    endOptOuts(seat, () => true, scene.world.clock.monotonicMs())
    return memberNotice(scene, app, { member: userid, type: 'event', event: 'subscribe' })
  }),
  member_unsubscribe: platformAct(member, (scene, { userid, agent_id }) => {
    const app = findApp(scene, agent_id)
    const seat = seatOf(app, userid)
    seat.visible = false
    const told = memberNotice(scene, app, { member: userid, type: 'event', event: 'unsubscribe' })
    return { ...told, optOut: seat }
  }),
  member_enter: platformAct(member, (scene, { userid, agent_id }) =>
    memberNotice(scene, findApp(scene, agent_id), {
      member: userid,
      type: 'event',
      event: 'enter_agent',
      fields: [{ name: 'EventKey', text: '' }],
    }),
  ),
  member_say: platformAct(member.extend({ text }), (scene, { userid, agent_id, text: said }) => {
    const fields = [
      { name: 'Content', text: said },
      { name: 'MsgId', text: scene.world.random.nextMessageId(), bare: true },
    ]
    return memberNotice(scene, findApp(scene, agent_id), { member: userid, type: 'text', fields })
  }),
  create_user: platformAct(member, (scene, { userid, agent_id }) => {
    scene.owner.members.add(userid)
    return contactChange(scene, agent_id, { changeType: 'create_user', userid })
  }),
  update_user: platformAct(member.extend({ new_userid: text.optional() }), updateUser),
  delete_user: platformAct(member, (scene, { userid, agent_id }) => {
    const known = findMember(scene.owner, userid) ?? userid
    scene.owner.members.delete(known)
    const told = contactChange(scene, agent_id, { changeType: 'delete_user', userid: known })
    return { ...told, optOut: seatOf(findApp(scene, agent_id), known) }
  }),
  add_external_contact: platformAct(added, addContact),
  edit_external_contact: platformAct(pair, (scene, details) => {
    findPair(scene, details)
    return customerChange(scene, details, { changeType: 'edit_external_contact' })
  }),
  del_follow_user: platformAct(pair, (scene, details) => {
    const relation = findPair(scene, details)
    relation.state = 'left'
    return {
      ...customerChange(scene, details, { changeType: 'del_follow_user' }),
      optOut: relation,
    }
  }),
  del_external_contact: platformAct(
    pair.extend({ by_transfer: z.boolean().default(false) }),
    (scene, details) => {
      const relation = findPair(scene, details)
      relation.state = 'none'
      const Source = details.by_transfer ? 'DELETE_BY_TRANSFER' : undefined
      const told = customerChange(scene, details, { changeType: 'del_external_contact', Source })
      return { ...told, optOut: relation }
    },
  ),
  transfer_fail: platformAct(
    pair.extend({ fail_reason: z.enum(['customer_refused', 'customer_limit_exceed']) }),
    (scene, details) =>
      customerChange(scene, details, {
        changeType: 'transfer_fail',
        FailReason: details.fail_reason,
      }),
  ),
  agree_archive: platformAct(pair, (scene, details) => decideArchive(scene, details, 'Agree')),
  /** There is no event for it: only `check_single_agree` tells. */
  disagree_archive: platformAct(pair, (scene, details) =>
    decideArchive(scene, details, 'Disagree'),
  ),
  confirm_group_message: platformAct(confirmSchema, confirmGroupMessage),
  ...ROOM_ACTS,
  ...KF_ACTS,
} satisfies Record<string, PlatformAct<Corp>>

export type CorpActName = keyof typeof CORP_ACTS

type Pair = z.output<typeof pair>

/** What changed between a member and a customer, with the fields that only this change has. */
type CustomerChange = { readonly changeType: string } & Readonly<Record<string, string | undefined>>

function contactChange(
  scene: CorpScene,
  agentId: string | undefined,
  change: { readonly changeType: string; readonly userid: string; readonly newUserid?: string },
): PlatformEffect {
  const { changeType, userid, newUserid } = change
  return changeNotice(scene, findApp(scene, agentId), {
    event: 'change_contact',
    changeType,
    person: userid,
    fields: { UserID: userid, NewUserID: newUserid },
  })
}

function updateUser(
  scene: CorpScene,
  details: z.output<typeof member> & { new_userid?: string | undefined },
): PlatformEffect {
  const { userid, new_userid: newUserid, agent_id } = details
  const change = { changeType: 'update_user', userid }
  if (newUserid === undefined) return contactChange(scene, agent_id, change)
  scene.owner.members.delete(findMember(scene.owner, userid) ?? userid)
  scene.owner.members.add(newUserid)
  for (const relation of [...scene.owner.relations.values()]) {
    if (relation.userid.toLowerCase() !== userid.toLowerCase()) continue
    const { state, addedAtSeconds, archive, archiveAtSeconds } = relation
    const moved = meetCustomer(scene.owner, newUserid, relation.externalUserid)
    Object.assign(moved, { state, addedAtSeconds, archive, archiveAtSeconds })
    relation.state = 'none'
  }
  return contactChange(scene, agent_id, { ...change, newUserid })
}

/** A customer and a member become friends; the code for a welcome comes with the event. */
function addContact(scene: CorpScene, details: z.output<typeof added>): PlatformEffect {
  const { world, owner, now } = scene
  const { userid, state, half, external_userid = makeExternalUserid(world) } = details
  owner.members.add(findMember(owner, userid) ?? userid)
  const relation = meetCustomer(owner, userid, external_userid)
  Object.assign(relation, { state: 'friends', addedAtSeconds: unixSeconds(now) })
  endOptOuts(relation, () => true, world.clock.monotonicMs())
  const code = details.welcome_code ? giveWelcomeCode(scene, relation) : undefined
  const changeType = half ? 'add_half_external_contact' : 'add_external_contact'
  const change = { changeType, State: state, WelcomeCode: code }
  return {
    ...customerChange(scene, { ...details, external_userid }, change),
    made: { external_userid, ...(code === undefined ? {} : { welcome_code: code }) },
  }
}

function giveWelcomeCode({ world, owner, now }: CorpScene, relation: Relation): string {
  const code = world.random.urlSafe(43)
  const expiresAtMs = now.getTime() + WELCOME_MS
  owner.welcomeCodes.set(code, { relation, expiresAtMs, used: false })
  return code
}

function findPair({ owner }: CorpScene, { userid, external_userid }: Pair): Relation {
  const relation = findRelation(owner, userid, external_userid)
  if (relation) return relation
  const rule = 'expected a customer of this member; let them add_external_contact first'
  throw new InvalidInputError('invalid_sandbox_input', [{ field: 'external_userid', rule }])
}

function customerChange(
  scene: CorpScene,
  who: Pair,
  { changeType, ...fields }: CustomerChange,
): PlatformEffect {
  return changeNotice(scene, findApp(scene, who.agent_id), {
    event: 'change_external_contact',
    changeType,
    person: who.external_userid,
    fields: { UserID: who.userid, ExternalUserID: who.external_userid, ...fields },
  })
}

/** An own app hears of it as a change of the contact, a suite by a notice of its own. */
function decideArchive(
  scene: CorpScene,
  details: Pair,
  archive: 'Agree' | 'Disagree',
): PlatformEffect {
  const relation = findPair(scene, details)
  Object.assign(relation, { archive, archiveAtSeconds: unixSeconds(scene.now) })
  if (archive === 'Disagree') return {}
  const app = findApp(scene, details.agent_id)
  if (app.suiteId === null) {
    const WelcomeCode = giveWelcomeCode(scene, relation)
    const told = customerChange(scene, details, {
      changeType: 'msg_audit_approved',
      WelcomeCode,
    })
    return { ...told, made: { welcome_code: WelcomeCode } }
  }
  return changeNotice(scene, app, {
    event: 'chat_archive_audit_approved_single',
    changeType: undefined,
    person: details.external_userid,
    fields: {
      OpenUserID: details.userid,
      ExternalUserID: details.external_userid,
      ChatId: '',
    },
  })
}
