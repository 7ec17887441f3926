import type { Knex } from 'knex'

/**
 * Erasure of a whole account, as the platform demands when a corp cancels its authorisation: person by
 * person, a slice at a time, then what names nobody. And how far the messages of customer service
 * have been read.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table kf_cursor (
      account_id integer not null references account,
      open_kfid text not null,
      cursor text not null,
      updated_at timestamptz not null default now(),
      primary key (account_id, open_kfid)
    );

    comment on column kf_cursor.cursor is
      'Everything before it has been recorded: it moves after the items of its page are committed.';

    -- Erases the next people of an account, at most p_limit; answers how many. Each keeps a tombstone
    -- of p_effective_at, so that what they said before it is not written again when it arrives late.
    create function erase_account_people(
      p_account_id integer, p_effective_at timestamptz, p_reason text, p_limit integer
    ) returns integer
    language plpgsql
    as $$
    declare
      v_subjects text[];
    begin
      select array_agg(person.subject) into v_subjects
      from (
        (
          select distinct held.subject from consent as held
          where held.account_id = p_account_id
          limit p_limit
        )
        union
        (
          select distinct entry.subject from consent_ledger as entry
          where entry.account_id = p_account_id
          limit p_limit
        )
        union
        (
          select distinct event.subject from event
          where event.account_id = p_account_id and event.subject is not null
          limit p_limit
        )
        union
        (
          select distinct message.recipient from message
          where message.account_id = p_account_id and message.recipient is not null
          limit p_limit
        )
        union
        (
          select distinct listed.recipient
          from broadcast
          join broadcast_recipient as listed on listed.broadcast_id = broadcast.id
          where broadcast.account_id = p_account_id and listed.recipient is not null
          limit p_limit
        )
        limit p_limit
      ) as person;
      if v_subjects is null then
        return 0;
      end if;
      -- all at once and in the order of the keys, as everybody takes them
      perform lock_subjects(
        array_fill(p_account_id, array[cardinality(v_subjects)]), v_subjects
      );
      perform erase_subject(p_account_id, person.subject, p_effective_at, 'platform', p_reason)
      from unnest(v_subjects) as person (subject);
      return cardinality(v_subjects);
    end
    $$;

    -- Empties what names no person: documents, contents, lists. Answers how many events were left to
    -- do; call it until that is none.
    create function erase_account_rest(p_account_id integer, p_limit integer) returns integer
    language plpgsql
    as $$
    declare
      v_events integer;
    begin
      update broadcast as ended set
        phase = case when phase = 'completed' then phase else 'cancelled' end,
        reason = case when phase = 'completed' then reason else 'erased' end,
        name = null, purpose = null, content = '{}', updated_at = now(),
        finished_at = coalesce(finished_at, now())
      where ended.account_id = p_account_id and ended.content <> '{}';
      delete from broadcast_bad_line as line
      using broadcast
      where broadcast.account_id = p_account_id and line.broadcast_id = broadcast.id;

      update message as forgotten set
        content = null, purpose = null, request_digest = null, idempotency_key = null,
        status = case when status in ('scheduled', 'queued') then 'cancelled' else status end,
        reason = case when status in ('scheduled', 'queued') then 'erased' else reason end,
        finished_at = coalesce(finished_at, case when status <> 'sending' then now() end),
        updated_at = now()
      where forgotten.account_id = p_account_id
        and (forgotten.content is not null or forgotten.purpose is not null);

      delete from receipt where receipt.account_id = p_account_id;
      delete from push_aside where push_aside.account_id = p_account_id;
      delete from kf_cursor where kf_cursor.account_id = p_account_id;

      update event set document = '', erased_at = now()
      from (
        select told.account_id, told.occurred_at, told.repeat_key
        from event as told
        where told.account_id = p_account_id and told.erased_at is null and told.subject is null
        limit p_limit
      ) as nobodys
      where event.account_id = nobodys.account_id and event.occurred_at = nobodys.occurred_at
        and event.repeat_key = nobodys.repeat_key;
      get diagnostics v_events = row_count;
      return v_events;
    end
    $$;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function erase_account_rest(integer, integer);
    drop function erase_account_people(integer, timestamptz, text, integer);
    drop table kf_cursor;
  `)
}
