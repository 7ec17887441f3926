import type { Knex } from 'knex'

/**
 * The event log by months of the platform's time: what is written and looked up is in the newest
 * partitions, whose indexes stay small however long the log grows, and old months are dropped whole.
 * Whatever lies in no month at hand is in `event_other`. Events recorded so far become one partition
 * as they are.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '10min'`)
  await db.raw(RENAME)
  await db.raw(TABLE)
  await db.raw(ATTACH)
  await db.raw(KEEPING)
  await db.raw(`select create_event_partitions(now(), now() + interval '2 months')`)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '10min'`)
  await db.raw(`
    drop function drop_event_partitions(timestamptz);
    drop function create_event_partitions(timestamptz, timestamptz);
    create table event_plain (
      account_id integer not null,
      id bigint generated always as identity,
      repeat_key bytea not null,
      kind text not null,
      name text not null,
      subject text,
      occurred_at timestamptz not null,
      received_at timestamptz not null default now(),
      document text not null,
      erased_at timestamptz,
      constraint event_repeat_key_check check (octet_length(repeat_key) = 32)
    );
    insert into event_plain (
      account_id, id, repeat_key, kind, name, subject, occurred_at, received_at, document, erased_at
    ) overriding system value
    select
      account_id, id, repeat_key, kind, name, subject, occurred_at, received_at, document, erased_at
    from event;
    drop table event;
    alter table event_plain rename to event;
    alter sequence event_plain_id_seq rename to event_id_seq;
    select setval('event_id_seq', (select coalesce(max(id), 0) + 1 from event), false);
    alter table event add primary key (account_id, occurred_at, repeat_key);
    create index event_id_idx on event (id);
    create index event_subject_idx on event (account_id, subject, id) where subject is not null;
  `)
}

/** Its numbers go on in a sequence of their own: an identity column cannot become a partition's. */
const RENAME = `
  lock table event in access exclusive mode;
  alter table event rename to event_before;
  alter index event_pkey rename to event_before_pkey;
  alter index event_id_idx rename to event_before_id_idx;
  alter index event_subject_idx rename to event_before_subject_idx;
  alter table event_before alter column id drop identity;
`

const TABLE = `
  create sequence event_id_seq;
  select setval('event_id_seq', (select coalesce(max(id), 0) + 1 from event_before), false);

  create table event (
    account_id integer not null,
    id bigint not null default nextval('event_id_seq'),
    repeat_key bytea not null,
    kind text not null,
    name text not null,
    subject text,
    occurred_at timestamptz not null,
    received_at timestamptz not null default now(),
    document text not null,
    erased_at timestamptz,
    primary key (account_id, occurred_at, repeat_key),
    constraint event_repeat_key_check check (octet_length(repeat_key) = 32)
  ) partition by range (occurred_at);

  alter sequence event_id_seq owned by event.id;
  create index event_id_idx on event (id);
  create index event_subject_idx on event (account_id, subject, id) where subject is not null;

  -- what the platform dates far ahead of us or long ago
  create table event_other partition of event default;
`

const ATTACH = `
  do $$
  declare
    v_until timestamptz := date_trunc('month', now() at time zone 'UTC') at time zone 'UTC';
  begin
    if not exists (select from event_before) then
      drop table event_before;
      return;
    end if;
    with moved as (
      delete from event_before where occurred_at >= v_until returning *
    )
    insert into event (
      account_id, id, repeat_key, kind, name, subject, occurred_at, received_at, document, erased_at
    )
    select
      account_id, id, repeat_key, kind, name, subject, occurred_at, received_at, document, erased_at
    from moved;
    execute format('alter table event_before rename to event_before_%s',
      to_char(v_until at time zone 'UTC', 'YYYYMM'));
    execute format(
      'alter table event attach partition event_before_%s for values from (minvalue) to (%L)',
      to_char(v_until at time zone 'UTC', 'YYYYMM'), v_until);
  end
  $$;
`

const KEEPING = `
  create function create_event_partitions(p_from timestamptz, p_until timestamptz)
  returns setof text
  language plpgsql
  as $$
  declare
    v_month timestamp;
    v_name text;
    v_begin timestamptz;
    v_end timestamptz;
  begin
    for v_month in
      select generate_series(
        date_trunc('month', p_from at time zone 'UTC'),
        date_trunc('month', p_until at time zone 'UTC'), '1 month'
      )
    loop
      v_name := 'event_' || to_char(v_month, 'YYYYMM');
      if to_regclass(v_name) is not null then
        continue;
      end if;
      -- several processes notice a new month at once: the others wait here and then find it made
      perform pg_advisory_xact_lock(hashtextextended('event partitions', 0));
      if to_regclass(v_name) is not null then
        continue;
      end if;
      v_begin := v_month at time zone 'UTC';
      v_end := (v_month + interval '1 month') at time zone 'UTC';
      execute format(
        'create table %I (like event including defaults including constraints)', v_name);
      -- what came before its month was made
      execute format(
        'with moved as (
           delete from event_other where occurred_at >= %1$L and occurred_at < %2$L returning *
         )
         insert into %3$I select * from moved', v_begin, v_end, v_name);
      execute format(
        'alter table event attach partition %I for values from (%L) to (%L)', v_name, v_begin, v_end);
      return next v_name;
    end loop;
  end
  $$;

  create function drop_event_partitions(p_before timestamptz) returns setof text
  language plpgsql
  as $$
  declare
    v_part record;
  begin
    for v_part in
      select part.name
      from (
        select
          child.relname as name,
          case
            when child.relname ~ '^event_[0-9]{6}$'
              then (to_date(right(child.relname, 6), 'YYYYMM') + interval '1 month') at time zone 'UTC'
            when child.relname ~ '^event_before_[0-9]{6}$'
              then to_date(right(child.relname, 6), 'YYYYMM')::timestamp at time zone 'UTC'
          end as until
        from pg_inherits
        join pg_class as child on child.oid = pg_inherits.inhrelid
        where pg_inherits.inhparent = 'event'::regclass
      ) as part
      where part.until <= p_before
      order by part.until
    loop
      execute format('drop table %I', v_part.name);
      return next v_part.name;
    end loop;
    delete from event_other where event_other.occurred_at < p_before;
  end
  $$;
`
