import { SUBSCRIPTION } from '../support/send-road.ts'
import type { Ground } from './ground.ts'
import type { Evidence, Verdict } from './judge-chaos.ts'
import type { Asked } from './play-story.ts'

const SCOPE = `template:${SUBSCRIPTION}`

/** P4 and P6, for one-time credits: never fewer than none, never lost, never made. */
export async function judgeCredits(evidence: Evidence): Promise<Verdict> {
  const { ground } = evidence
  const overdrawn = await readOverdrawn(ground)
  const unsettled = await readUnsettled(ground)
  const { wrong, compared } = await compareWithPlatform(evidence)
  return {
    invariants: [
      { promise: 'P6', name: 'sends that drew on a credit nobody had', broken: overdrawn },
      {
        promise: 'P6',
        name: 'reservations without an end, or with the wrong one',
        broken: unsettled,
      },
      { promise: 'P6', name: 'people whose credits the platform counts otherwise', broken: wrong },
    ],
    counts: {
      'credits reserved': await countChanges(ground, 'reserved'),
      '… spent': await countChanges(ground, 'spent'),
      '… returned': await countChanges(ground, 'returned'),
      '… people compared with the platform': compared,
    },
  }
}

const idsOf = ({ accounts }: Ground) => accounts.map(({ id }) => id)

async function countChanges(ground: Ground, change: string): Promise<number> {
  const { rows } = await ground.db.raw<{ rows: { count: number }[] }>(
    `select count(*)::integer as count from consent_ledger
     where change = ? and scope like 'template:%' and account_id = any (?::integer[])`,
    [change, idsOf(ground)],
  )
  return rows[0]?.count ?? 0
}

/**
 * Messages whose reservation took a balance below zero: as the ledger was written, entry by entry, and
 * as it stands, among what was agreed to since the last refusal.
 */
async function readOverdrawn(ground: Ground): Promise<string[]> {
  const { rows } = await ground.db.raw<{ rows: { id: string }[] }>(
    `with entry as (
       select entry.*, case entry.change
           when 'granted' then coalesce(entry.credits, 0)
           when 'reserved' then -1
           when 'returned' then 1
           else case when entry.change = 'spent' and entry.attempt_id is null then -1 else 0 end
         end as worth,
         (
           select max(ended.effective_at) from consent_ledger as ended
           where ended.account_id = entry.account_id and ended.subject = entry.subject
             and ended.scope in (entry.scope, 'template:*') and ended.change = 'revoked'
         ) as ended_at
       from consent_ledger as entry
       where entry.scope like 'template:%' and entry.scope <> 'template:*'
         and entry.account_id = any (?::integer[])
     ), drawn as (
       select entry.*,
         sum(entry.worth) over (
           partition by entry.account_id, entry.subject, entry.scope order by entry.id
         ) as balance,
         case when entry.ended_at is null or entry.effective_at > entry.ended_at then
           sum(entry.worth) filter (
             where entry.ended_at is null or entry.effective_at > entry.ended_at
           ) over (partition by entry.account_id, entry.subject, entry.scope)
         end as balance_now
       from entry
     )
     select distinct attempt.message_id as id
     from drawn join attempt on attempt.id = drawn.attempt_id
     where drawn.change = 'reserved' and (drawn.balance < 0 or drawn.balance_now < 0)`,
    [idsOf(ground)],
  )
  return rows.map(({ id }) => id)
}

/** Messages whose reservations do not end as their attempts did. */
async function readUnsettled(ground: Ground): Promise<string[]> {
  const { rows } = await ground.db.raw<{ rows: { id: string }[] }>(
    `select distinct attempt.message_id as id
     from consent_ledger as reserved
     join attempt on attempt.id = reserved.attempt_id
     cross join lateral (
       select coalesce(bool_or(entry.change = 'spent'), false) as is_spent,
         coalesce(bool_or(entry.change = 'returned'), false) as is_returned
       from consent_ledger as entry
       where entry.account_id = reserved.account_id and entry.attempt_id = reserved.attempt_id
         and entry.scope = reserved.scope
     ) as settled
     where reserved.change = 'reserved' and reserved.account_id = any (?::integer[])
       and case
         when attempt.outcome in ('sent', 'unknown') then not settled.is_spent
         else not settled.is_returned
       end`,
    [idsOf(ground)],
  )
  return rows.map(({ id }) => id)
}

interface Held {
  readonly person: string
  readonly credits: number
}

/**
 * People who never refused the template have as many credits here as there, but for those that were
 * spent on messages of which nobody knows whether they arrived, and which did not.
 */
async function compareWithPlatform({
  ground,
  happenings,
  messages,
  platform,
}: Evidence): Promise<{ readonly wrong: string[]; readonly compared: number }> {
  const { rows } = await ground.db.raw<{ rows: Held[] }>(
    `select subject as person, credits from consent as held
     where scope = ? and state = 'granted' and account_id = any (?::integer[]) and not exists (
       select from consent_ledger as ended
       where ended.account_id = held.account_id and ended.subject = held.subject
         and ended.scope in (held.scope, 'template:*') and ended.change = 'revoked'
     )`,
    [SCOPE, idsOf(ground)],
  )
  const asked = Map.groupBy(
    happenings.asked.filter(({ channel }) => channel === 'subscription_message'),
    ({ person }) => person,
  )
  const isLost = (one: Asked) =>
    messages.get(one.id)?.status === 'unknown' && platform.copiesOf(one) === 0
  const wrong = rows.flatMap(({ person, credits }) => {
    const theirs = asked.get(person) ?? []
    const [first] = theirs
    const there = first?.account.people.follower(person)?.credits[SUBSCRIPTION] ?? credits
    return first && credits + theirs.filter(isLost).length !== there ? [first.id] : []
  })
  return { wrong, compared: rows.length }
}
