import type { Knex } from 'knex'

/**
 * A message may name several channels to choose from (`channel: auto`). Which one it goes through is
 * planned when it is accepted; if the gate finds that one without consent when the message is due,
 * the next that is allowed takes its place, in the same statement and under the same lock.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table message add column plan jsonb;
    comment on column message.plan is
      'Of a message with several channels: the one planned at first, and all of them in their order.';
  `)
  await db.raw(NEXT_CHANNEL)
  await db.raw(TAKEN)
  await db.raw(FORGET)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger message_plan_is_forgotten on message;
    drop function forget_message_plan();
    drop function next_channels(uuid[], text[]);
    drop trigger message_takes_next_channel on message;
    drop function take_next_channel();
    alter table message drop column plan;
  `)
}

/**
 * Whoever blocks a message holds its person's lock, so the verdict on the other channels is of the
 * same moment. One that is allowed is not called here: the message is due again, and the gate asks
 * once more and reserves the credit.
 */
const NEXT_CHANNEL = `
  create function take_next_channel() returns trigger
  language plpgsql
  as $$
  declare
    v_way jsonb;
  begin
    select listed.way into v_way
    from jsonb_array_elements(new.plan -> 'ways') with ordinality as listed (way, place)
    cross join lateral judge_send(
      new.account_id, new.recipient, listed.way ->> 'channel', listed.way ->> 'template_id', null,
      clock_timestamp()
    ) as answer
    where listed.way ->> 'channel' <> new.channel and answer.allowed
    order by listed.place
    limit 1;
    if found then
      new.channel := v_way ->> 'channel';
      new.template_id := v_way ->> 'template_id';
      new.content := v_way -> 'content';
      new.status := 'queued';
      new.reason := null;
      new.missing_scope := null;
      new.due_at := clock_timestamp();
      new.finished_at := null;
      perform pg_notify('message_queued', '');
    end if;
    return new;
  end
  $$;

  create trigger message_takes_next_channel before update of status on message
  for each row
  when (new.plan is not null and new.status = 'blocked' and new.recipient is not null)
  execute function take_next_channel();
`

/**
 * Which channel each of these messages has taken after it was blocked; null for those that have none,
 * and in place of the whole where nothing was blocked. Asked in one statement with `begin_sends`,
 * whose locks it needs and whose caller must not wait for a second answer.
 */
const TAKEN = `
  create function next_channels(p_message_ids uuid[], p_decisions text[]) returns text[]
  language plpgsql volatile
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  as $$
  begin
    if 'blocked' = any (p_decisions) then
      return (
        select array_agg(
          case when taken.plan is not null and taken.status <> 'blocked' then taken.channel end
          order by asked.place
        )
        from unnest(p_message_ids, p_decisions) with ordinality as asked (id, decision, place)
        left join message as taken on asked.decision = 'blocked' and taken.id = asked.id
      );
    end if;
    return null;
  end
  $$;
`

/** The plan holds contents; they are erased with the content that was chosen. */
const FORGET = `
  create function forget_message_plan() returns trigger
  language plpgsql
  as $$
  begin
    new.plan := null;
    return new;
  end
  $$;

  create trigger message_plan_is_forgotten before update of content on message
  for each row
  when (new.plan is not null and new.content is null)
  execute function forget_message_plan();
`
