import type { Knex } from 'knex'

/** What an account wants of its sends beside consent: quiet hours, and how much is enough for a person. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(POLICY)
  await db.raw(`
    alter table message add column counted_at timestamptz, add column quiet_until timestamptz;
    comment on column message.counted_at is
      'When its last call began, where a cap or a pace per person counts it.';
    comment on column message.quiet_until is
      'Of one that was accepted for quiet hours: their end, as it was known then.';
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    alter table message drop column quiet_until, drop column counted_at;
    drop trigger account_send_policy on account;
    drop function keep_send_policy();
    drop function quiet_until(time, time, timestamptz);
    drop table send_policy;
  `)
}

/** A row is there only where an account has a policy; it is kept by its settings. */
const POLICY = `
  create table send_policy (
    account_id integer primary key,
    quiet_begins time,
    quiet_ends time,
    marketing_per_day integer check (marketing_per_day > 0),
    recipient_per_minute jsonb,
    changed_at timestamptz,
    constraint send_policy_quiet_check check ((quiet_begins is null) = (quiet_ends is null))
  );
  comment on column send_policy.quiet_begins is 'Time of day in China.';
  comment on column send_policy.recipient_per_minute is
    'By channel: messages a minute to one recipient, in place of what the channel has.';
  comment on column send_policy.changed_at is
    'The quiet hours changed, and what waits by the ones before is not due anew yet.';

  -- the end of the quiet hours that a moment lies in; null: it lies in none
  create function quiet_until(p_begins time, p_ends time, p_at timestamptz) returns timestamptz
  language sql immutable
  as $$
    select case
      when case when p_begins < p_ends
        then (p_at at time zone 'Asia/Shanghai')::time >= p_begins
          and (p_at at time zone 'Asia/Shanghai')::time < p_ends
        else (p_at at time zone 'Asia/Shanghai')::time >= p_begins
          or (p_at at time zone 'Asia/Shanghai')::time < p_ends
      end
      then ((p_at at time zone 'Asia/Shanghai')::date + p_ends + case
        when (p_at at time zone 'Asia/Shanghai')::time >= p_ends then interval '1 day'
        else interval '0'
      end) at time zone 'Asia/Shanghai'
    end
  $$;

  create function keep_send_policy() returns trigger
  language plpgsql
  as $$
  declare
    v_begins time := split_part(new.settings ->> 'quiet_hours', '-', 1)::time;
    v_ends time := split_part(new.settings ->> 'quiet_hours', '-', 2)::time;
    v_per_day integer := nullif((new.settings ->> 'marketing_per_person_per_day')::integer, 0);
    v_per_minute jsonb := nullif(new.settings -> 'recipient_per_minute', '{}');
  begin
    update send_policy as policy set
      quiet_begins = v_begins, quiet_ends = v_ends,
      marketing_per_day = v_per_day, recipient_per_minute = v_per_minute,
      changed_at = case
        when (policy.quiet_begins, policy.quiet_ends) is distinct from (v_begins, v_ends)
          then clock_timestamp()
        else policy.changed_at
      end
    where policy.account_id = new.id;
    if not found and (v_begins, v_per_day, v_per_minute) is distinct from (null, null, null) then
      insert into send_policy (
        account_id, quiet_begins, quiet_ends, marketing_per_day, recipient_per_minute
      ) values (new.id, v_begins, v_ends, v_per_day, v_per_minute);
    end if;
    return null;
  end
  $$;

  create trigger account_send_policy after insert or update of settings on account
    for each row execute function keep_send_policy();
`
