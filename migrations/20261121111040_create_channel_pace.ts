import type { Knex } from 'knex'

/**
 * A pace for one API of an account, beside that of the account. A table of its own: processes of the
 * version before write to `send_pace` by its key.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(PACE)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger account_channel_pace on account;
    drop function keep_channel_pace();
    drop table channel_pace;
  `)
}

/** As `send_pace`; the channel stands for the API that it calls. */
const PACE = `
  create table channel_pace (
    account_id integer not null,
    channel text not null,
    per_second double precision check (per_second > 0),
    slowed_from double precision,
    slowed_to double precision,
    slowed_at timestamptz,
    tokens double precision not null default 0,
    counted_at timestamptz not null default clock_timestamp(),
    primary key (account_id, channel)
  );

  create function keep_channel_pace() returns trigger
  language plpgsql
  as $$
  declare
    v_paces jsonb := coalesce(new.settings -> 'sends_per_second_by_channel', '{}');
  begin
    update channel_pace as pace set per_second = null
    where pace.account_id = new.id and pace.per_second is not null
      and v_paces ->> pace.channel is null;
    insert into channel_pace (account_id, channel, per_second)
    select new.id, wanted.key, wanted.value::double precision
    from jsonb_each_text(v_paces) as wanted
    on conflict (account_id, channel) do update set per_second = excluded.per_second;
    return null;
  end
  $$;

  create trigger account_channel_pace after insert or update of settings on account
    for each row execute function keep_channel_pace();
`
