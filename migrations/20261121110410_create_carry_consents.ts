import type { Knex } from 'knex'

/** When the platform gives somebody another id, what is on record is carried over to it. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(CARRY)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function carry_consents(
      integer, bigint, timestamptz, text, text[], text[], text[], text[]
    )
  `)
}

/**
 * Carries the latest word of each consent over to another person or scope of the same account, with
 * the time at which it was said: of the words of both ids the later one stands, and in one second the
 * refusal. A second time it says nothing new.
 *
 * - p_event_id, p_reason: the event that named the new id, as evidence.
 * - p_ended_at: when the old ids ended; what is said of them later is of somebody else, and what is
 *   carried over is suppressed for them. Null: old and new id go on side by side.
 * - the arrays: one entry per consent, from where to where.
 *
 * Credits are what was left of a window. Answers how many words were carried.
 */
const CARRY = `
  create function carry_consents(
    p_account_id integer, p_event_id bigint, p_ended_at timestamptz, p_reason text,
    p_from_subjects text[], p_from_scopes text[], p_to_subjects text[], p_to_scopes text[]
  ) returns integer
  language plpgsql
  set plan_cache_mode = force_custom_plan
  as $$
  declare
    v_changes jsonb;
    v_carried integer;
  begin
    perform lock_subjects(
      array_fill(p_account_id, array[2 * cardinality(p_from_subjects)]),
      p_from_subjects || p_to_subjects
    );

    with said as (
      select pair.*, latest.change, latest.effective_at, latest.credits, latest.expires_at,
        coalesce((latest.effective_at, consent_severity(latest.change))
          > (known.effective_at, consent_severity(known.state)), true) as is_news
      from unnest(p_from_subjects, p_from_scopes, p_to_subjects, p_to_scopes)
        as pair (from_subject, from_scope, to_subject, to_scope)
      cross join lateral (
        select entry.change, entry.effective_at, entry.expires_at, case
          when held.ledger_id = entry.id then held.credits else entry.credits
        end as credits
        from consent_ledger as entry
        left join consent as held on held.account_id = p_account_id
          and held.subject = pair.from_subject and held.scope = pair.from_scope
        where entry.account_id = p_account_id
          and entry.subject = pair.from_subject and entry.scope = pair.from_scope
          and entry.change in ('granted', 'revoked', 'suppressed')
          and entry.event_id is distinct from p_event_id
          and (p_ended_at is null or entry.effective_at <= p_ended_at)
        order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
        limit 1
      ) as latest
      left join consent as known on known.account_id = p_account_id
        and known.subject = pair.to_subject and known.scope = pair.to_scope
    ), changes as (
      select said.to_subject as subject, said.to_scope as scope, said.change, said.effective_at,
        said.credits, said.expires_at, p_reason || ':carried' as reason
      from said
      where said.is_news
      union all
      -- a stop stays where it is too: nobody is sent more because of a new id
      select said.from_subject, said.from_scope, 'suppressed', p_ended_at, null, null,
        p_reason || ':renamed'
      from said
      where p_ended_at is not null and said.from_scope <> 'everything' and said.change = 'granted'
        and not exists (
          select from consent_ledger as ended
          where ended.account_id = p_account_id and ended.subject = said.from_subject
            and ended.scope = said.from_scope and ended.event_id = p_event_id
        )
    )
    select jsonb_agg(to_jsonb(changes) || jsonb_build_object(
        'account_id', p_account_id, 'evidence', 'event', 'event_id', p_event_id
      )), count(*) filter (where changes.reason like '%:carried')
    into v_changes, v_carried
    from changes;

    if v_changes is not null then
      perform apply_consent_changes(v_changes);
    end if;
    return coalesce(v_carried, 0);
  end
  $$;
`
