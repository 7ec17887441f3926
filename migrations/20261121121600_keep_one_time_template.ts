import type { Knex } from 'knex'

/**
 * A person who confirms a one-time subscription agrees to one template for one scene, and that is how
 * the platform counts. The grant now keeps its template, and no other is sent on it: a call for another
 * one was answered 43101, and the right to the confirmed one was gone with it. Grants from before have
 * no template and allow any, as they did.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table consent_ledger add column template_id text;
    alter table consent add column template_id text;
  `)
  await replaceFunctions(db, WITH_TEMPLATE)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await replaceFunctions(db, BEFORE)
  await db.raw(`
    alter table consent drop column template_id;
    alter table consent_ledger drop column template_id;
  `)
}

async function replaceFunctions(db: Knex, template: Template) {
  await db.raw(applyChanges(template))
  await db.raw(project(template))
}

/** What the functions say of the template, by the place where they say it. */
const WITH_TEMPLATE = {
  told: ', template_id text',
  column: ', template_id',
  latest: ', latest.template_id',
  entry: ', entry.template_id',
  excluded: ',\n        template_id = excluded.template_id',
}

const BEFORE = { told: '', column: '', latest: '', entry: '', excluded: '' }

type Template = typeof BEFORE

/** The ledger's rows as they are told, and what follows from them. */
const applyChanges = (template: Template) => `
  create or replace function apply_consent_changes(p_changes jsonb)
  returns integer
  language plpgsql
  set enable_seqscan to off
  set enable_hashjoin to off
  set enable_mergejoin to off
  as $$
  declare
    v_account_ids integer[];
    v_subjects text[];
    v_scopes text[];
    v_written integer;
  begin
    with incoming as (
      select change.*
      from jsonb_to_recordset(p_changes) as change (
        account_id integer, subject text, scope text, change text, effective_at timestamptz,
        evidence text, event_id bigint, attempt_id bigint, actor text, reason text,
        credits integer, expires_at timestamptz${template.told}
      )
    ), written as (
      insert into consent_ledger (
        account_id, subject, scope, change, effective_at, evidence, event_id, attempt_id, actor,
        reason, credits, expires_at${template.column}
      )
      select
        account_id, subject, scope, change, effective_at, evidence, event_id, attempt_id, actor,
        reason, credits, expires_at${template.column}
      from incoming
      where not exists (
        select from erasure
        where erasure.account_id = incoming.account_id
          and erasure.subject_hash = subject_hash(incoming.account_id, incoming.subject)
          and erasure.effective_at >= incoming.effective_at
      )
      returning account_id, subject, scope
    ), touched as (
      select account_id, subject, scope from written
      union
      -- the end of all template rights touches every template the person has
      select held.account_id, held.subject, held.scope
      from written
      join consent as held using (account_id, subject)
      where written.scope = 'template:*' and held.scope like 'template:%'
      union
      -- a new follow or acceptance may lift a stop
      select held.account_id, held.subject, held.scope
      from written
      join consent as held using (account_id, subject)
      where (written.scope = 'follow' or written.scope like 'template:%') and held.scope = 'everything'
    )
    select array_agg(account_id), array_agg(subject), array_agg(scope), (select count(*) from written)
    into v_account_ids, v_subjects, v_scopes, v_written
    from touched;

    if v_account_ids is not null then
      perform project_consents(v_account_ids, v_subjects, v_scopes);
    end if;
    return v_written;
  end
  $$
`

/** The template belongs to the latest word, as its credits do. */
const project = (template: Template) => `
  create or replace function project_consents(p_account_ids integer[], p_subjects text[], p_scopes text[])
  returns void
  language plpgsql
  as $$
  begin
    -- 'follow', 'conversation', 'conversation:action', 'template:*': the latest word stands. A
    -- window's cap is what its opening gave, less what has been reserved in it and not returned.
    insert into consent as held (
      account_id, subject, scope, state, effective_at, ledger_id, credits, expires_at, updated_at${template.column}
    )
    select
      wanted.account_id, wanted.subject, wanted.scope,
      latest.change, latest.effective_at, latest.id,
      case when latest.change = 'granted' and latest.credits is not null
        then greatest(0, latest.credits + used.balance) end,
      case when latest.change = 'granted' then latest.expires_at end,
      clock_timestamp()${template.latest}
    from unnest(p_account_ids, p_subjects, p_scopes) as wanted (account_id, subject, scope)
    cross join lateral (
      select entry.id, entry.change, entry.effective_at, entry.credits, entry.expires_at${template.entry}
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.change in ('granted', 'revoked', 'suppressed')
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as latest
    cross join lateral (
      select coalesce(sum(case entry.change when 'reserved' then -1 when 'returned' then 1 end), 0)::integer
        as balance
      from consent_ledger as entry
      where latest.credits is not null
        and entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.effective_at >= latest.effective_at
        and entry.change in ('reserved', 'returned')
    ) as used
    where wanted.scope <> 'everything'
      and (wanted.scope not like 'template:%' or wanted.scope = 'template:*')
    on conflict (account_id, subject, scope) do update
    set state = excluded.state,
        effective_at = excluded.effective_at,
        ledger_id = excluded.ledger_id,
        credits = excluded.credits,
        expires_at = excluded.expires_at,
        updated_at = excluded.updated_at${template.excluded};

    -- 'template:<id>': an unfollow ('template:*') ends it too. Credits are those accepted since the
    -- last revocation, less those reserved or spent elsewhere since. A refusal of this very
    -- template is kept apart: it outlives an unfollow and a new follow.
    insert into consent as held (
      account_id, subject, scope, state, effective_at, ledger_id, credits, refused, updated_at
    )
    select
      wanted.account_id, wanted.subject, wanted.scope,
      latest.change, latest.effective_at, latest.id,
      case when latest.change = 'granted' and not credit.standing then greatest(0, credit.balance) end,
      coalesce(own.change = 'revoked', false),
      clock_timestamp()
    from unnest(p_account_ids, p_subjects, p_scopes) as wanted (account_id, subject, scope)
    cross join lateral (
      select entry.id, entry.change, entry.effective_at
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope in (wanted.scope, 'template:*')
        and entry.change in ('granted', 'revoked', 'suppressed')
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as latest
    left join lateral (
      select entry.change
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.change in ('granted', 'revoked')
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as own on true
    cross join lateral (
      select coalesce(max(entry.effective_at), '-infinity') as at
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope in (wanted.scope, 'template:*')
        and entry.change = 'revoked'
    ) as ended
    cross join lateral (
      select
        coalesce(bool_or(entry.change = 'granted' and entry.credits is null), false) as standing,
        coalesce(sum(case
          -- the platform's event and the application's report tell of one popup: the event counts
          when entry.change = 'granted' and entry.evidence = 'report' and exists (
            select from consent_ledger as told
            where told.account_id = entry.account_id and told.subject = entry.subject
              and told.scope = entry.scope and told.change = 'granted' and told.credits > 0
              and told.effective_at between entry.effective_at - interval '10 minutes'
                and entry.effective_at + interval '10 minutes'
              and (
                told.evidence = 'event'
                or (told.evidence = 'report' and (told.effective_at, told.id) < (entry.effective_at, entry.id))
              )
          ) then 0
          when entry.change = 'granted' then entry.credits
          when entry.change = 'reserved' then -1
          when entry.change = 'returned' then 1
          when entry.change = 'spent' and entry.attempt_id is null then -1
        end), 0)::integer as balance
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = wanted.scope
        and entry.effective_at > ended.at
    ) as credit
    where wanted.scope like 'template:%' and wanted.scope <> 'template:*'
    on conflict (account_id, subject, scope) do update
    set state = excluded.state,
        effective_at = excluded.effective_at,
        ledger_id = excluded.ledger_id,
        credits = excluded.credits,
        refused = excluded.refused,
        updated_at = excluded.updated_at;

    -- 'everything': a stop. It ends by an operator's word, or by the person's own later act: a new
    -- follow, a newly accepted template.
    insert into consent as held (
      account_id, subject, scope, state, effective_at, ledger_id, updated_at
    )
    select
      wanted.account_id, wanted.subject, wanted.scope,
      coalesce(act.change, latest.change),
      coalesce(act.effective_at, latest.effective_at),
      coalesce(act.id, latest.id),
      clock_timestamp()
    from unnest(p_account_ids, p_subjects, p_scopes) as wanted (account_id, subject, scope)
    cross join lateral (
      select entry.id, entry.change, entry.effective_at
      from consent_ledger as entry
      where entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and entry.scope = 'everything'
      order by entry.effective_at desc, consent_severity(entry.change) desc, entry.id desc
      limit 1
    ) as latest
    left join lateral (
      select entry.id, entry.change, entry.effective_at
      from consent_ledger as entry
      where latest.change <> 'granted'
        and entry.account_id = wanted.account_id
        and entry.subject = wanted.subject
        and (entry.scope = 'follow' or entry.scope like 'template:%')
        and entry.change = 'granted'
        and entry.credits is distinct from 0
        and entry.evidence in ('event', 'report')
        and entry.effective_at > latest.effective_at
      order by entry.effective_at desc, entry.id desc
      limit 1
    ) as act on true
    where wanted.scope = 'everything'
    on conflict (account_id, subject, scope) do update
    set state = excluded.state,
        effective_at = excluded.effective_at,
        ledger_id = excluded.ledger_id,
        updated_at = excluded.updated_at;
  end
  $$
`
