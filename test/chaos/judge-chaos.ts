import { judgeCredits } from './credits.ts'
import type { Ground } from './ground.ts'
import { judgeOptOuts } from './judge-opt-outs.ts'
import { readPlatform, type PlatformFacts } from './platform-facts.ts'
import type { Asked, Happenings } from './play-story.ts'
import { judgeTokens, type TokenDeaths } from './tokens.ts'

/** Something that may never happen, and where it did. */
export interface Invariant {
  readonly promise: 'P4' | 'P6' | 'P7'
  readonly name: string
  /** Ids of messages, numbers of calls or names of accounts; never a person. */
  readonly broken: readonly string[]
}

/** What one part of the judgement comes to: what must be so, and how much there was of it. */
export interface Verdict {
  readonly invariants: readonly Invariant[]
  /** In the order of the table. */
  readonly counts: Readonly<Record<string, number>>
  /** What the gateway has of the messages in which something is broken. */
  readonly records?: readonly string[]
}

/** A message as the gateway has it. */
export interface Kept {
  readonly id: string
  readonly status: string
}

/** What everybody saw: the application, the gateway and the platform. */
export interface Evidence {
  readonly ground: Ground
  readonly happenings: Happenings
  /** By id. */
  readonly messages: ReadonlyMap<string, Kept>
  readonly platform: PlatformFacts
}

/** Compares what the gateway says with what the platform and the application saw. */
export async function judgeChaos(
  ground: Ground,
  told: { readonly happenings: Happenings; readonly tokenDeaths: TokenDeaths },
): Promise<Verdict> {
  const { happenings, tokenDeaths } = told
  const evidence: Evidence = {
    ground,
    happenings,
    messages: await readMessages(ground),
    platform: readPlatform(ground, happenings.asked),
  }
  const parts = [
    judgeMessages(evidence),
    { invariants: [], counts: evidence.platform.counts },
    await judgeOptOuts(evidence),
    await judgeCredits(evidence),
    judgeTokens(ground, tokenDeaths),
  ]
  const invariants = parts.flatMap((part) => part.invariants)
  return {
    invariants,
    records: await readRecords(ground, new Set(invariants.flatMap(({ broken }) => broken))),
    counts: Object.assign({}, ...parts.map(({ counts }) => counts)) as Record<string, number>,
  }
}

/** Broken messages that are shown whole; more would only fill the screen. */
const MOST_RECORDS = 5

/**
 * Messages of the same kind to the same person, each with its attempts: who is told of one that is
 * broken needs its neighbours to see why. The person is not among it.
 */
async function readRecords({ db }: Ground, broken: ReadonlySet<string>): Promise<string[]> {
  const ids = [...broken].filter((id) => UUID.test(id)).slice(0, MOST_RECORDS)
  const { rows } = await db.raw<{ rows: { record: object }[] }>(
    `select json_build_object(
       'broken', one.id, 'id', near.id, 'channel', near.channel, 'status', near.status,
       'reason', near.reason, 'asked', near.created_at, 'updated', near.updated_at,
       'receipt', near.receipt_status, 'receipt_at', near.receipt_at, 'msgid', near.msgid,
       'attempts', (
         select json_agg(json_build_object(
           'from', tried.started_at, 'to', tried.finished_at, 'outcome', tried.outcome,
           'cause', tried.cause, 'errcode', tried.errcode, 'errmsg', tried.errmsg,
           'msgid', tried.msgid
         ) order by tried.number)
         from attempt as tried where tried.message_id = near.id
       )
     ) as record
     from message as one
     join message as near on near.account_id = one.account_id
       and near.recipient = one.recipient and near.channel = one.channel
     where one.id = any (?::uuid[])
     order by one.id, near.id`,
    [ids],
  )
  return rows.map(({ record }) => JSON.stringify(record))
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

async function readMessages({ db, accounts }: Ground): Promise<ReadonlyMap<string, Kept>> {
  const { rows } = await db.raw<{ rows: Kept[] }>(
    'select id, status from message where account_id = any (?::integer[])',
    [accounts.map(({ id }) => id)],
  )
  return new Map(rows.map((kept) => [kept.id, kept]))
}

const SENT = new Set(['sent', 'delivered'])
const NOT_SENT = new Set(['not_delivered', 'blocked', 'refused', 'failed', 'expired', 'cancelled'])

/** P6: one request, one message, one end, and that end is the truth. */
function judgeMessages({ happenings, messages, platform }: Evidence): Verdict {
  const { asked, splitKeys } = happenings
  const statusOf = ({ id }: Asked) => messages.get(id)?.status ?? 'missing'
  const untrue = asked.filter((one) => {
    const status = statusOf(one)
    if (status === 'delivered') return platform.copiesOf(one) === 0
    return status === 'sent' && !platform.wasTaken(one)
  })
  const idsWhere = (isBroken: (status: string, copies: number) => boolean) =>
    asked.filter((one) => isBroken(statusOf(one), platform.copiesOf(one))).map(({ id }) => id)
  const known = new Set(asked.map(({ id }) => id))
  const broken = {
    'requests that made a second message': [
      ...splitKeys,
      ...[...messages.keys()].filter((id) => !known.has(id)),
    ],
    'messages without a final status': idsWhere(
      (status) => !SENT.has(status) && !NOT_SENT.has(status) && status !== 'unknown',
    ),
    'messages received twice': idsWhere((_, copies) => copies > 1),
    'messages called delivered that nobody received, or sent that never arrived': untrue.map(
      ({ id }) => id,
    ),
    'messages received that are called anything but sent or unknown': idsWhere(
      (status, copies) => NOT_SENT.has(status) && copies > 0,
    ),
  }
  return {
    invariants: Object.entries(broken).map(([name, ids]) => ({ promise: 'P6', name, broken: ids })),
    counts: countMessages({ asked, messages, platform }),
  }
}

function countMessages({
  asked,
  messages,
  platform,
}: Pick<Evidence, 'messages' | 'platform'> & {
  readonly asked: readonly Asked[]
}): Record<string, number> {
  const byStatus = Object.groupBy([...messages.values()], ({ status }) => status)
  const statuses = Object.keys(byStatus).toSorted()
  const isUnknown = ({ id }: Asked) => messages.get(id)?.status === 'unknown'
  return {
    'messages asked for': asked.length,
    ...Object.fromEntries(
      statuses.map((status) => [`… that ended as ${status}`, byStatus[status]?.length ?? 0]),
    ),
    '… unknown, and received': asked.filter((one) => isUnknown(one) && platform.copiesOf(one) > 0)
      .length,
  }
}
