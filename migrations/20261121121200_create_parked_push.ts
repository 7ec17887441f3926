import type { Knex } from 'knex'

/**
 * Pushes of merchants and corps that have no account here yet: their code is still being exchanged.
 * They are acknowledged, lie sealed, and are recorded in the transaction that makes the account.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table parked_push (
      id bigint generated always as identity primary key,
      parent_id integer not null references account,
      tenant text not null,
      repeat_key bytea not null check (octet_length(repeat_key) = 32),
      source text,
      subject_hash bytea,
      sealed text,
      received_at timestamptz not null,
      dropped_at timestamptz,
      dropped_reason text,
      unique (parent_id, tenant, repeat_key),
      constraint parked_push_dropped_check check ((sealed is null) = (dropped_at is not null))
    );
    create index parked_push_waiting_idx on parked_push (parent_id, tenant, id)
      where dropped_at is null;
    create index parked_push_received_at_idx on parked_push (received_at);
    create index parked_push_subject_hash_idx on parked_push (subject_hash);

    comment on column parked_push.tenant is
      'What the platform calls the merchant or corp: its appid or corpid.';
    comment on column parked_push.source is
      'The list of events it is looked up in; null where that follows from what the merchant is.';
    comment on column parked_push.subject_hash is
      'Of the person, where the account was here before; an erasure of the person takes it along.';
    comment on column parked_push.sealed is
      'The document and the timestamp of its query; null once it was dropped.';

    -- Parks a push, or says why not: its tenant has an account (known), has left (withdrawn), or too
    -- much waits already (full). Under the lock of the tenant: whoever makes the account holds it, too,
    -- so that nothing is parked behind the back of its release.
    create function park_push(
      p_parent_id integer, p_tenant text, p_effective_at timestamptz, p_repeat_key bytea,
      p_source text, p_subject text, p_sealed text, p_received_at timestamptz,
      p_most_of_tenant integer, p_most_of_parent integer,
      out outcome text, out account_id integer
    )
    language plpgsql
    as $$
    declare
      v_kind text;
      v_state text;
      v_since timestamptz;
    begin
      perform lock_subjects(array[p_parent_id], array[p_tenant]);
      select account.id, account.kind into account_id, v_kind
      from account
      where account.parent_id = p_parent_id and account.app_id = p_tenant;
      select held.state, held.effective_at into v_state, v_since
      from consent as held
      where held.account_id = p_parent_id and held.subject = p_tenant and held.scope = 'tenant';

      -- a merchant's account stays known when it has left, a corp's is erased
      if account_id is not null and (v_kind = 'authorizer' or v_state is distinct from 'revoked') then
        outcome := 'known';
        return;
      end if;
      -- A corp that comes back is named only once its code is exchanged; until then what is later than
      -- its withdrawal may be of its new authorisation. A code that is not exchanged by then never is.
      if v_state = 'revoked' and not (p_effective_at > v_since and exists (
        select from event
        where event.account_id = p_parent_id
          and event.occurred_at > greatest(v_since, clock_timestamp() - interval '1 hour')
          and event.kind in ('suite.create_auth', 'suite.reset_permanent_code')
          and not exists (
            select from consent_ledger as entry
            where entry.account_id = p_parent_id and entry.scope = 'tenant'
              and entry.event_id = event.id
          )
      )) then
        outcome := 'withdrawn';
        return;
      end if;

      outcome := 'parked';
      if exists (
        select from parked_push as parked
        where parked.parent_id = p_parent_id and parked.tenant = p_tenant
          and parked.repeat_key = p_repeat_key
      ) then
        return;
      end if;
      if (
        select count(*) from parked_push as parked
        where parked.parent_id = p_parent_id and parked.tenant = p_tenant
          and parked.dropped_at is null
      ) >= p_most_of_tenant or (
        select count(*) from parked_push as parked
        where parked.parent_id = p_parent_id and parked.dropped_at is null
      ) >= p_most_of_parent then
        outcome := 'full';
        return;
      end if;
      insert into parked_push (
        parent_id, tenant, repeat_key, source, subject_hash, sealed, received_at
      )
      values (
        p_parent_id, p_tenant, p_repeat_key, p_source,
        case when account_id is not null then subject_hash(account_id, p_subject) end,
        p_sealed, p_received_at
      );
    end
    $$;

    create function forget_parked_pushes() returns trigger
    language plpgsql
    as $$
    begin
      -- the account is in the hash
      delete from parked_push where parked_push.subject_hash = new.subject_hash;
      return new;
    end
    $$;
    create trigger erasure_forgets_parked_pushes after insert on erasure
      for each row execute function forget_parked_pushes();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger erasure_forgets_parked_pushes on erasure;
    drop function forget_parked_pushes();
    drop function park_push(
      integer, text, timestamptz, bytea, text, text, text, timestamptz, integer, integer
    );
    drop table parked_push;
  `)
}
