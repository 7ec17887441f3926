import {
  isFields,
  ok,
  refuse,
  textIn,
  textsIn,
  type Answer,
  type ApiCall,
  type Fields,
} from './api-call.ts'
import type { CorpCaller } from './callers.ts'
import {
  findMember,
  findRelation,
  type Corp,
  type GroupTask,
  type Relation,
  type WelcomeCode,
} from './corps.ts'
import type { Addressee, EndpointTable } from './endpoint.ts'
import { unixSeconds } from './movable-clock.ts'
import { deliver } from './receive-message.ts'
import { listRoomAgreements } from './room-acts.ts'

/** More attachments answer 41064. */
const ATTACHMENTS_MOST = 9
const CUSTOMERS_MOST = 10_000

const post = (serve: (call: ApiCall, caller: CorpCaller) => Answer) =>
  ({ method: 'POST', platform: 'wecom', auth: { by: 'corp', serve } }) as const
const get = (serve: (call: ApiCall, caller: CorpCaller) => Answer) =>
  ({ method: 'GET', platform: 'wecom', auth: { by: 'corp', serve } }) as const

/** The endpoints of customer contact (客户联系) and of the archive's consent. */
export const CONTACT_ENDPOINTS: EndpointTable = [
  [
    '/cgi-bin/externalcontact/send_welcome_msg',
    { ...post(sendWelcome), channel: 'welcome_message', addressees: findWelcomed },
  ],
  [
    '/cgi-bin/externalcontact/add_msg_template',
    { ...post(addGroupTask), channel: 'group_message', addressees: findCustomers },
  ],
  ['/cgi-bin/externalcontact/get_groupmsg_list_v2', post(listGroupTasks)],
  ['/cgi-bin/externalcontact/get_groupmsg_task', post(listGroupShares)],
  ['/cgi-bin/externalcontact/get_groupmsg_send_result', post(listGroupResults)],
  ['/cgi-bin/externalcontact/cancel_groupmsg_send', post(cancelGroupTask)],
  ['/cgi-bin/externalcontact/get_follow_user_list', get(listFollowUsers)],
  ['/cgi-bin/externalcontact/list', get(listCustomers)],
  ['/cgi-bin/externalcontact/get', get(describeCustomer)],
  ['/cgi-bin/externalcontact/get_new_external_userid', post(listNewExternalUserids)],
  ['/cgi-bin/msgaudit/check_single_agree', post(listAgreements)],
  ['/cgi-bin/msgaudit/check_room_agree', post(listRoomAgreements)],
]

/** `POST send_welcome_msg`: within 20 seconds of the event, once (sending.md §5.3). */
function sendWelcome(call: ApiCall, { corp }: CorpCaller): Answer {
  const code = findCode(corp, call.body)
  if (!code || call.now.getTime() >= code.expiresAtMs) return refuse(41050)
  if (code.used) return refuse(41051)
  const bad = checkMessage(call.body)
  if (bad) return bad
  code.used = true
  deliver(call, {
    appId: corp.config.corp_id,
    channel: 'welcome_message',
    openid: code.relation.externalUserid,
    from: code.relation.userid,
    msgid: null,
    clientMsgId: textIn(call.body, 'welcome_code') ?? null,
  })
  return ok()
}

function findCode(corp: Corp, body: Fields): WelcomeCode | undefined {
  return corp.welcomeCodes.get(textIn(body, 'welcome_code') ?? '')
}

function findWelcomed({ corp }: CorpCaller, body: Fields): readonly Addressee[] {
  const relation = findCode(corp, body)?.relation
  return relation ? [{ openid: relation.externalUserid, holder: relation }] : []
}

function checkMessage({ text, attachments }: Fields): Answer | undefined {
  const content = isFields(text) ? textIn(text, 'content') : undefined
  if (attachments !== undefined && !Array.isArray(attachments)) return refuse(40058)
  if ((attachments?.length ?? 0) > ATTACHMENTS_MOST) return refuse(41064)
  return content === undefined && !attachments?.length ? refuse(40063) : undefined
}

/** Whom a task is for: those named, or every customer of the sender. */
function findShares(corp: Corp, body: Fields): readonly Relation[] {
  const sender = textIn(body, 'sender')
  const wanted = textsIn(body, 'external_userid')
  return [...corp.relations.values()].filter(
    (relation) =>
      (sender === undefined || relation.userid.toLowerCase() === sender.toLowerCase()) &&
      (wanted === undefined || wanted.includes(relation.externalUserid)),
  )
}

function findCustomers({ corp }: CorpCaller, body: Fields): readonly Addressee[] {
  return findShares(corp, body).map((relation) => {
    return { openid: relation.externalUserid, holder: relation }
  })
}

/**
 * `POST add_msg_template`: sends nothing, but makes a task that a member has to confirm (act
 * `confirm_group_message`). A customer of several members is the share of the first alone.
 */
function addGroupTask(call: ApiCall, { corp }: CorpCaller): Answer {
  const { body } = call
  const bad = checkMessage(body) ?? checkAudience(body)
  if (bad) return bad
  // A customer who deleted the member stays reachable for the API, and fails later with status 2.
  const relations = findShares(corp, body).filter(({ state }) => state !== 'none')
  if (relations.length === 0) return refuse(41048)
  const task: GroupTask = {
    msgid: `msg${call.world.random.urlSafe(40)}`,
    atSeconds: unixSeconds(call.now),
    content: { text: body.text, attachments: body.attachments },
    arrivedMs: call.record.arrived_ms,
    cancelled: false,
    tasks: new Map(),
  }
  const shared = shareOut(task, relations)
  corp.groupTasks.set(task.msgid, task)
  call.record.msgid = task.msgid
  const fail_list = (textsIn(body, 'external_userid') ?? []).filter((one) => !shared.has(one))
  return ok({ fail_list, msgid: task.msgid })
}

/** Groups are not simulated: there is no customer in any of them. */
function checkAudience(body: Fields): Answer | undefined {
  const wanted = textsIn(body, 'external_userid')
  const sender = textIn(body, 'sender')
  if (textIn(body, 'chat_type') === 'group') return refuse(sender === undefined ? 40063 : 41048)
  if (wanted === undefined && sender === undefined) return refuse(40063)
  return (wanted?.length ?? 0) > CUSTOMERS_MOST ? refuse(40058) : undefined
}

/** Gives each customer to one member; returns the customers. */
function shareOut(task: GroupTask, relations: readonly Relation[]): ReadonlySet<string> {
  const shared = new Set<string>()
  for (const { userid, externalUserid } of relations) {
    if (shared.has(externalUserid)) continue
    shared.add(externalUserid)
    const share = task.tasks.get(userid) ?? { sentAtSeconds: undefined, customers: new Map() }
    share.customers.set(externalUserid, { status: 0, sentAtSeconds: undefined })
    task.tasks.set(userid, share)
  }
  return shared
}

function findTask(call: ApiCall, { corp }: CorpCaller): GroupTask | Answer {
  const msgid = textIn(call.body, 'msgid')
  if (msgid === undefined) return refuse(41046)
  return corp.groupTasks.get(msgid) ?? refuse(41047)
}

function listGroupTasks(call: ApiCall, { corp }: CorpCaller): Answer {
  const { start_time: from = 0, end_time: to = Infinity } = call.body
  const tasks = [...corp.groupTasks.values()].filter(
    ({ atSeconds }) => atSeconds >= Number(from) && atSeconds <= Number(to),
  )
  const group_msg_list = tasks.map(({ msgid, atSeconds, content }) => ({
    msgid,
    creator: '',
    create_time: atSeconds,
    create_type: 2,
    ...content,
  }))
  return ok({ next_cursor: '', group_msg_list })
}

/** `POST get_groupmsg_task`: status 2 once the member has sent, 0 before. */
function listGroupShares(call: ApiCall, caller: CorpCaller): Answer {
  const task = findTask(call, caller)
  if ('errcode' in task) return task
  const task_list = [...task.tasks].map(([userid, { sentAtSeconds }]) => ({
    userid,
    status: sentAtSeconds === undefined ? 0 : 2,
    ...(sentAtSeconds === undefined ? {} : { send_time: sentAtSeconds }),
  }))
  return ok({ next_cursor: '', task_list })
}

/** `POST get_groupmsg_send_result`: 0 not sent, 1 sent, 2 no friends any more, 3 over the month. */
function listGroupResults(call: ApiCall, caller: CorpCaller): Answer {
  const task = findTask(call, caller)
  if ('errcode' in task) return task
  const userid = textIn(call.body, 'userid')
  const share = userid === undefined ? undefined : task.tasks.get(userid)
  if (userid === undefined || !share) return refuse(60111)
  const send_list = [...share.customers].map(([external_userid, { status, sentAtSeconds }]) => ({
    external_userid,
    userid,
    status,
    ...(sentAtSeconds === undefined ? {} : { send_time: sentAtSeconds }),
  }))
  return ok({ next_cursor: '', send_list })
}

function cancelGroupTask(call: ApiCall, caller: CorpCaller): Answer {
  const task = findTask(call, caller)
  if ('errcode' in task) return task
  if (task.cancelled) return refuse(41093)
  task.cancelled = true
  return ok()
}

function listFollowUsers(_call: ApiCall, { corp }: CorpCaller): Answer {
  return ok({ follow_user: [...corp.members] })
}

/** `GET list`: a customer who deleted the member stays in it (sending.md §6.3). */
function listCustomers(call: ApiCall, { corp }: CorpCaller): Answer {
  const member = findMember(corp, call.query.get('userid') ?? '')
  if (member === undefined) return refuse(60111)
  const own = [...corp.relations.values()].filter(
    ({ userid, state }) => userid === member && state !== 'none',
  )
  if (own.length === 0) return refuse(84061)
  return ok({ external_userid: own.map(({ externalUserid }) => externalUserid) })
}

function describeCustomer(call: ApiCall, { corp }: CorpCaller): Answer {
  const wanted = call.query.get('external_userid') ?? ''
  const all = [...corp.relations.values()].filter((one) => one.externalUserid === wanted)
  if (all.length === 0) return refuse(40096)
  const follow_user = all
    .filter(({ state }) => state !== 'none')
    .map(({ userid, addedAtSeconds }) => {
      return { userid, remark: '', description: '', createtime: addedAtSeconds, tags: [] }
    })
  if (follow_user.length === 0) return refuse(84061)
  return ok({ external_contact: { external_userid: wanted, name: '', type: 1 }, follow_user })
}

/** `POST get_new_external_userid`: who has no new id comes with an empty one. */
function listNewExternalUserids(call: ApiCall, { corp }: CorpCaller): Answer {
  const wanted = textsIn(call.body, 'external_userid_list')
  if (wanted === undefined) return refuse(40058)
  const items = wanted.map((external_userid) => ({
    external_userid,
    new_external_userid: corp.newExternalUserids.get(external_userid) ?? '',
  }))
  return ok({ items })
}

/** `POST check_single_agree`: its field is spelled `exteranalopenid`. */
function listAgreements(call: ApiCall, { corp }: CorpCaller): Answer {
  const { info } = call.body
  if (!Array.isArray(info)) return refuse(40058)
  const agreeinfo = info.flatMap((pair: unknown) => {
    if (!isFields(pair)) return []
    const userid = textIn(pair, 'userid') ?? ''
    const exteranalopenid = textIn(pair, 'exteranalopenid') ?? ''
    const relation = findRelation(corp, userid, exteranalopenid)
    return [
      {
        status_change_time: relation?.archiveAtSeconds ?? 0,
        userid,
        exteranalopenid,
        agree_status: relation?.archive ?? 'Disagree',
      },
    ]
  })
  return ok({ agreeinfo })
}
