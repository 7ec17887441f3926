import type { Knex } from 'knex'

/** Calls that rest because none gets through, and how many a second may begin; for all processes. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(BREAKER)
  await db.raw(PACE)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger account_send_pace on account;
    drop function keep_send_pace();
    drop function pace_now(double precision, double precision, double precision, timestamptz);
    drop table send_pace;
    drop table call_breaker;
  `)
}

/** Of an account (host is empty), or of an API host (account_id is 0: no account has it). */
const BREAKER = `
  create table call_breaker (
    account_id integer not null,
    host text not null,
    opened_at timestamptz not null,
    until timestamptz not null,
    rests integer not null,
    reason text not null,
    primary key (account_id, host),
    constraint call_breaker_owner_check check ((account_id = 0) = (host in ('wechat', 'wecom')))
  );
  comment on column call_breaker.until is
    'Nobody calls before it; after it one call tries, and its answer removes the row.';
`

/**
 * Token buckets: of an account, and of the whole gateway (account_id 0). A row is there only where
 * somebody set a pace or the platform said that it is too much.
 */
const PACE = `
  create table send_pace (
    account_id integer primary key,
    per_second double precision check (per_second > 0),
    slowed_from double precision,
    slowed_to double precision,
    slowed_at timestamptz,
    tokens double precision not null default 0,
    counted_at timestamptz not null default clock_timestamp()
  );
  comment on column send_pace.slowed_to is
    'The pace after the platform said that it is too much; it is back at slowed_from after five minutes.';

  -- messages a second at this moment; null: as many as there are
  create function pace_now(
    p_per_second double precision, p_from double precision, p_to double precision, p_at timestamptz
  ) returns double precision
  language sql stable
  as $$
    select case
      when p_at is null or now() - p_at >= interval '5 minutes' then p_per_second
      else least(
        p_per_second,
        p_to + (p_from - p_to) * greatest(0, extract(epoch from now() - p_at)) / 300
      )
    end
  $$;

  create function keep_send_pace() returns trigger
  language plpgsql
  as $$
  declare
    v_per_second double precision :=
      nullif((new.settings ->> 'sends_per_second')::double precision, 0);
  begin
    if v_per_second is null then
      update send_pace set per_second = null
      where account_id = new.id and per_second is not null;
    else
      insert into send_pace (account_id, per_second) values (new.id, v_per_second)
      on conflict (account_id) do update set per_second = excluded.per_second;
    end if;
    return null;
  end
  $$;

  create trigger account_send_pace after insert or update of settings on account
    for each row execute function keep_send_pace();
`
