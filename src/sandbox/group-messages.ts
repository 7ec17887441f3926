import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import type { CorpScene } from './corp-notices.ts'
import { findRelation, type Corp, type GroupTask, type Relation } from './corps.ts'
import { chinaDay, unixSeconds } from './movable-clock.ts'
import type { PlatformEffect } from './platform-act.ts'
import type { World } from './world.ts'

export const confirmSchema = z.strictObject({
  msgid: z.string().min(1),
  userid: z.string().min(1),
})

/**
 * A member sends their share of a group message: it reaches those who are still friends and have not
 * had one for every day of this month (sending.md §5.4).
 */
export function confirmGroupMessage(
  scene: CorpScene,
  { msgid, userid }: z.output<typeof confirmSchema>,
): PlatformEffect {
  const { owner, world, now } = scene
  const task = owner.groupTasks.get(msgid)
  const share = task?.tasks.get(userid)
  if (!task || !share || task.cancelled) {
    const rule = 'expected a group message that waits for this member'
    throw new InvalidInputError('invalid_sandbox_input', [{ field: 'msgid', rule }])
  }
  if (share.sentAtSeconds !== undefined) return {}
  share.sentAtSeconds = unixSeconds(now)
  for (const [externalUserid, customer] of share.customers) {
    const relation = findRelation(owner, userid, externalUserid)
    customer.status = relation ? deliverShare({ world, owner, now }, task, relation) : 2
    if (customer.status === 1) customer.sentAtSeconds = unixSeconds(now)
  }
  return {}
}

function deliverShare(
  { world, owner, now }: { readonly world: World; readonly owner: Corp; readonly now: Date },
  task: GroupTask,
  relation: Relation,
): 1 | 2 | 3 {
  if (relation.state !== 'friends') return 2
  const month = chinaDay(now).slice(0, 7)
  if (relation.month !== month) Object.assign(relation, { month, monthCount: 0 })
  if (relation.monthCount >= daysOf(month)) return 3
  relation.monthCount += 1
  world.record.messages.add({
    kind: 'message',
    id: world.record.nextId(),
    at: now.toISOString(),
    arrived_ms: task.arrivedMs,
    app_id: owner.config.corp_id,
    openid: relation.externalUserid,
    channel: 'group_message',
    from: relation.userid,
    template_id: null,
    client_msg_id: task.msgid,
    msgid: task.msgid,
    content: task.content,
  })
  world.record.count(owner.config.corp_id, 'sent')
  world.record.count(owner.config.corp_id, 'sent:group_message')
  return 1
}

/** How many days a month has, e.g. `2026-02`. */
function daysOf(month: string): number {
  const [year = 0, number = 1] = month.split('-').map(Number)
  return new Date(Date.UTC(year, number, 0)).getUTCDate()
}
