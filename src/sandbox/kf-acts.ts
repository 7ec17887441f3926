import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import type { CorpScene } from './corp-notices.ts'
import type { Corp } from './corps.ts'
import { addItem, meetSession, type KfSession } from './kf-desk.ts'
import { kfLine, notifyOfKf, notifyOfKfAccount, sendFailed } from './kf-notices.ts'
import { endOptOuts } from './opt-outs.ts'
import { platformAct, type PlatformAct, type PlatformEffect } from './platform-act.ts'

const text = z.string().min(1)
const talk = z.strictObject({ open_kfid: text, external_userid: text })

type Talk = z.output<typeof talk>

/** What happens between customers and customer-service accounts. */
export const KF_ACTS = {
  kf_enter_session: platformAct(
    talk.extend({ scene: z.string().default('') }),
    (scene, details) => {
      const session = findTalk(scene, details)
      const event = { event_type: 'enter_session', ...address(session), scene: details.scene }
      return tell(scene, session, { origin: 4, rest: { msgtype: 'event', event } })
    },
  ),
  kf_say: platformAct(talk.extend({ text }), (scene, details) => {
    const session = findTalk(scene, details)
    Object.assign(session, { lastMessageMs: scene.now.getTime(), sentSince: 0 })
    const rest = { msgtype: 'text', text: { content: details.text } }
    return tell(scene, session, { origin: 3, rest })
  }),
  /** From now on everything sent to the customer fails with `fail_type` 10. */
  kf_reject: platformAct(talk, (scene, details) => {
    findTalk(scene, details).rejects = true
    return {}
  }),
  kf_allow: platformAct(talk, (scene, details) => {
    const session = findTalk(scene, details)
    session.rejects = false
    endOptOuts(session, () => true, scene.world.clock.monotonicMs())
    return {}
  }),
  kf_set_state: platformAct(
    talk.extend({ state: z.int().min(0).max(4) }),
    (scene, { state, ...details }) => {
      const session = findTalk(scene, details)
      session.state = state
      const change_type = { 0: 1, 1: 1, 2: 1, 3: 1, 4: 3 }[state] ?? 1
      const event = { event_type: 'session_status_change', ...address(session), change_type }
      return tell(scene, session, { origin: 4, rest: { msgtype: 'event', event } })
    },
  ),
  /** The administrator lets us act for an account, or no longer. */
  kf_authorize: platformAct(
    z.strictObject({ open_kfid: text, allowed: z.boolean() }),
    ({ owner, now }, { open_kfid: openKfid, allowed }) => {
      checkAccount(owner, openKfid)
      if (allowed) owner.kf.withdrawn.delete(openKfid)
      else owner.kf.withdrawn.add(openKfid)
      const { openid: _nobody, ...notice } = notifyOfKfAccount(
        { corp: owner, now },
        openKfid,
        allowed,
      )
      return { push: notice }
    },
  ),
  /** `msg_send_fail` for a message that was sent. */
  kf_fail: platformAct(
    talk.extend({ msgid: text, fail_type: z.int().default(0) }),
    (scene, { msgid, fail_type: failType, ...details }) => {
      const session = findTalk(scene, details)
      const fields = sendFailed(scene.world, session, { now: scene.now, msgid, failType })
      const told = push(scene, session, fields)
      return failType === 10 ? { ...told, optOut: session } : told
    },
  ),
} satisfies Record<string, PlatformAct<Corp>>

function findTalk({ owner }: CorpScene, { open_kfid, external_userid }: Talk): KfSession {
  checkAccount(owner, open_kfid)
  return meetSession(owner.kf, open_kfid, external_userid)
}

function checkAccount(owner: Corp, openKfid: string): void {
  if (owner.kf.accounts.has(openKfid)) return
  const known = [...owner.kf.accounts].join(', ') || 'none'
  const rule = `expected a customer-service account of the corp (known: ${known})`
  throw new InvalidInputError('invalid_sandbox_input', [{ field: 'open_kfid', rule }])
}

function address({ openKfid, externalUserid }: KfSession) {
  return { open_kfid: openKfid, external_userid: externalUserid }
}

function tell(
  scene: CorpScene,
  session: KfSession,
  line: { readonly origin: 3 | 4; readonly rest: Record<string, unknown> },
): PlatformEffect {
  return push(scene, session, kfLine(scene.world, session, { now: scene.now, ...line }))
}

function push(
  { world, owner, now }: CorpScene,
  session: KfSession,
  fields: Record<string, unknown>,
): PlatformEffect {
  addItem(owner.kf, { openKfid: session.openKfid, atMs: now.getTime(), fields })
  const { openid: _nobody, ...notice } = notifyOfKf({ world, corp: owner, now }, session.openKfid)
  return { push: notice, made: { msgid: String(fields.msgid) } }
}
