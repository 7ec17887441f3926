import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import { ok, refuse, textIn, type Answer, type ApiCall } from './api-call.ts'
import type { CorpCaller } from './callers.ts'
import { changeNotice, findApp, type CorpScene } from './corp-notices.ts'
import type { Corp, Room } from './corps.ts'
import { unixSeconds } from './movable-clock.ts'
import { platformAct, type PlatformAct, type PlatformEffect } from './platform-act.ts'

/*
 * Customer groups, as far as the chat archive needs them: who is in them, and who agrees to it.
 */

const text = z.string().min(1)
const agent = { agent_id: text.optional() }
const room = z.strictObject({ chat_id: text, ...agent })
const member = z.strictObject({ chat_id: text, external_userid: text, ...agent })

export const ROOM_ACTS = {
  create_chat: platformAct(room.extend({ external_userids: z.array(text) }), (scene, details) => {
    const unasked = { archive: 'Default_Agree', archiveAtSeconds: 0 } as const
    const members = details.external_userids.map((id) => [id, { ...unasked }] as const)
    scene.owner.rooms.set(details.chat_id, { members: new Map(members) })
    return roomNotice(scene, details, 'create')
  }),
  dismiss_chat: platformAct(room, (scene, details) => {
    findRoom(scene.owner, details.chat_id)
    scene.owner.rooms.delete(details.chat_id)
    return roomNotice(scene, details, 'dismiss')
  }),
  /** An own app hears of neither: only `check_room_agree` tells. */
  agree_archive_in_chat: platformAct(member, (scene, details) => decide(scene, details, 'Agree')),
  disagree_archive_in_chat: platformAct(member, (scene, details) =>
    decide(scene, details, 'Disagree'),
  ),
} satisfies Record<string, PlatformAct<Corp>>

function findRoom(corp: Corp, chatId: string): Room {
  const found = corp.rooms.get(chatId)
  if (found) return found
  const rule = 'expected a group of the corp; create_chat makes one'
  throw new InvalidInputError('invalid_sandbox_input', [{ field: 'chat_id', rule }])
}

function decide(
  { owner, now }: CorpScene,
  { chat_id, external_userid }: z.output<typeof member>,
  archive: 'Agree' | 'Disagree',
): PlatformEffect {
  const { members } = findRoom(owner, chat_id)
  members.set(external_userid, { archive, archiveAtSeconds: unixSeconds(now) })
  return {}
}

function roomNotice(
  scene: CorpScene,
  { chat_id, agent_id }: z.output<typeof room>,
  changeType: 'create' | 'dismiss',
): PlatformEffect {
  return changeNotice(scene, findApp(scene, agent_id), {
    ...{ event: 'change_external_chat', changeType, person: chat_id },
    fields: { ChatId: chat_id },
  })
}

/** `POST check_room_agree`: everybody from outside; which code an unknown group has is not confirmed. */
export function listRoomAgreements(call: ApiCall, { corp }: CorpCaller): Answer {
  const found = corp.rooms.get(textIn(call.body, 'roomid') ?? '')
  if (!found) return refuse(40058)
  const agreeinfo = [...found.members].map(([exteranalopenid, one]) => {
    return {
      status_change_time: one.archiveAtSeconds,
      agree_status: one.archive,
      exteranalopenid,
    }
  })
  return ok({ agreeinfo })
}
