import { z } from 'zod'
import type { PlatformCall } from './platform-client.ts'

/**
 * A group message of customer contact is a task: a member confirms it in the client, and only these
 * calls say what became of it.
 *
 * @see https://developer.work.weixin.qq.com/document/path/93338
 */

const LIMIT = 1_000

/** POST get_groupmsg_task: which members were asked, and whether they have sent. */
export function groupTaskCall(task: {
  readonly msgid: string
  /** From the page before; empty for the first. */
  readonly cursor: string
}): PlatformCall {
  return poll('/cgi-bin/externalcontact/get_groupmsg_task', { ...task })
}

/** POST get_groupmsg_send_result: what became of the customers of one member. */
export function groupResultCall(task: {
  readonly msgid: string
  readonly userid: string
  readonly cursor: string
}): PlatformCall {
  return poll('/cgi-bin/externalcontact/get_groupmsg_send_result', { ...task })
}

function poll(path: string, body: { readonly cursor: string }): PlatformCall {
  const { cursor, ...rest } = body
  return {
    method: 'POST',
    host: 'wecom',
    path,
    body: { ...rest, limit: LIMIT, ...(cursor !== '' && { cursor }) },
  }
}

/**
 * What became of one customer. `not_friends`: the customer has ended the relation, so the consent is
 * gone. `monthly_limit`: the customer has had as many messages this month as the platform allows.
 */
export const GROUP_STATES = ['not_sent', 'sent', 'not_friends', 'monthly_limit'] as const
export type GroupState = (typeof GROUP_STATES)[number]

/** One page of an answer; `cursor` asks for the next one, empty at the end. */
export interface GroupPage<Item> {
  readonly items: readonly Item[]
  readonly cursor: string
}

export interface GroupTask {
  readonly userid: string
  readonly isSent: boolean
  /** When the member sent it; null while they have not, or where the answer does not say. */
  readonly sentAt: Date | null
}

export interface GroupResult {
  readonly externalUserid: string
  readonly userid: string
  /** null: a number that the platform's page does not have. */
  readonly state: GroupState | null
  readonly sentAt: Date | null
}

const cursor = z.string().default('')
/** Unix seconds; 0 or absent while nothing was sent. */
const moment = z
  .int()
  .nullish()
  .transform((seconds) => (seconds ? new Date(seconds * 1_000) : null))

const taskPage = z.object({
  next_cursor: cursor,
  task_list: z.array(z.object({ userid: z.string(), status: z.int(), send_time: moment })),
})

const resultPage = z.object({
  next_cursor: cursor,
  send_list: z.array(
    z.object({
      external_userid: z.string(),
      userid: z.string(),
      status: z.int(),
      send_time: moment,
    }),
  ),
})

/**
 * The members of a task; null when the answer is none. Status 0 is “not yet”; the page
 * this was read from does not name the others.
 */
export function readGroupTasks(body: unknown): GroupPage<GroupTask> | null {
  const page = taskPage.safeParse(body).data
  return page
    ? {
        items: page.task_list.map(({ userid, status, send_time: sentAt }) => ({
          userid,
          isSent: status !== 0,
          sentAt,
        })),
        cursor: page.next_cursor,
      }
    : null
}

/** The customers of one member; null when the answer is none. */
export function readGroupResults(body: unknown): GroupPage<GroupResult> | null {
  const page = resultPage.safeParse(body).data
  return page
    ? {
        items: page.send_list.map((item) => ({
          externalUserid: item.external_userid,
          userid: item.userid,
          state: GROUP_STATES[item.status] ?? null,
          sentAt: item.send_time,
        })),
        cursor: page.next_cursor,
      }
    : null
}
