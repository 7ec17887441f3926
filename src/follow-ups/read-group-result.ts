import type { Knex } from 'knex'
import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import { addJob } from '../database/job-queue.ts'
import { wholeSecond } from '../events/read-values.ts'
import type { Clock } from '../foundation/clock.ts'
import { UnavailableError } from '../foundation/errors.ts'
import { personMark } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { AccountApi, ApiAnswer } from '../wechat/account-api.ts'
import { lookUpErrorCode } from '../wechat/error-codes.ts'
import {
  groupResultCall,
  groupTaskCall,
  readGroupResults,
  readGroupTasks,
  type GroupPage,
} from '../wechat/group-message.ts'
import type { PlatformCall } from '../wechat/platform-client.ts'
import { nextQuestion, outcomeOfGroup, type GroupOutcome } from './group-result.ts'
import {
  findOpenGroupMessage,
  keepGroupOutcome,
  type OpenGroupMessage,
} from './group-result-store.ts'

/** What asking for group messages works with. */
export interface GroupResultParts {
  readonly db: Knex
  readonly clock: Clock
  readonly log: Log
  readonly api: AccountApi
  readonly findAccount: (id: number) => Promise<Account | undefined>
}

const schema = z.object({
  account_id: z.int(),
  message_id: z.string(),
  asked: z.int().min(0),
})

/** 10,000 customers are ten pages; an answer that never ends shall not hold a job for ever. */
const MOST_PAGES = 100

/**
 * Asks the platform what became of a group message, and keeps it. While the member has not sent, it
 * leaves another job for later: after minutes, then hours, then daily, for thirty days.
 *
 * @throws UnavailableError for what may pass; the job is tried again.
 */
export async function readGroupResult(parts: GroupResultParts, payload: unknown): Promise<void> {
  const { account_id, message_id, asked } = schema.parse(payload)
  const { db, clock, log } = parts
  const message = await findOpenGroupMessage(db, message_id)
  if (message === undefined) return
  const account = await parts.findAccount(account_id)
  const told = {
    account: account?.name,
    message_id,
    openid_hash: personMark(message.recipient),
  }
  // nobody is asked for an account that is switched off; it may come back
  const outcome = account && (await askPlatform(parts, account, message))
  if (outcome) {
    await keepGroupOutcome(db, message, outcome)
    const { status, reason } = outcome
    return log.info({ ...told, status, reason }, 'group_message.ended')
  }
  const runAt = nextQuestion({ asked: asked + 1, sentAt: message.sentAt, now: clock.now() })
  if (runAt === null) return log.warn(told, 'group_message.not_confirmed')
  await addJob(db, {
    task: 'read_group_result',
    payload: { account_id, message_id, asked: asked + 1 },
    runAt,
    key: `read_group_result/${message_id}`,
  })
}

async function askPlatform(
  parts: GroupResultParts,
  account: Account,
  message: OpenGroupMessage,
): Promise<GroupOutcome | null> {
  const { msgid, sender, recipient } = message
  const isSender = ({ userid }: { readonly userid: string }) => isSame(userid, sender)
  const task = await findOnPages(parts, account, {
    call: (cursor) => groupTaskCall({ msgid, cursor }),
    read: readGroupTasks,
    isWanted: isSender,
  })
  if (!task?.item.isSent) return null
  const found = await findOnPages(parts, account, {
    // as the platform writes it there
    call: (cursor) => groupResultCall({ msgid, userid: task.item.userid, cursor }),
    read: readGroupResults,
    isWanted: ({ externalUserid }) => externalUserid === recipient,
  })
  const answeredAt = wholeSecond(found?.platformTime ?? parts.clock.now())
  return found ? outcomeOfGroup({ task: task.item, result: found.item, answeredAt }) : null
}

/** The first item that is wanted, page by page; null when there is none, or the platform says no. */
async function findOnPages<Item>(
  { api, log }: GroupResultParts,
  account: Account,
  question: {
    readonly call: (cursor: string) => PlatformCall
    readonly read: (body: unknown) => GroupPage<Item> | null
    readonly isWanted: (item: Item) => boolean
  },
): Promise<{ readonly item: Item; readonly platformTime: Date | null } | null> {
  let cursor = ''
  for (let number = 0; number < MOST_PAGES; number += 1) {
    const call = question.call(cursor)
    const answer = await api(account, call)
    if (isLasting(answer)) {
      const { errcode } = answer
      log.warn({ account: account.name, path: call.path, errcode }, 'group_message.unanswered')
      return null
    }
    const page = answer.errcode === 0 ? question.read(answer.body) : null
    if (page === null) {
      throw new UnavailableError('platform_refused', `${call.path} answered ${answer.errcode}`)
    }
    const item = page.items.find(question.isWanted)
    if (item !== undefined) return { item, platformTime: answer.platformTime }
    if (page.cursor === '' || page.cursor === cursor) return null
    cursor = page.cursor
  }
  return null
}

/** Codes that asking again in a moment would not change. */
function isLasting({ errcode }: ApiAnswer): boolean {
  switch (lookUpErrorCode('wecom', errcode).class) {
    case 'ok':
    case 'token':
    case 'transient':
    case 'rate_minute':
      return false
    default:
      return true
  }
}

/** Userids are the same in any case. */
function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}
