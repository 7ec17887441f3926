import type { Knex } from 'knex'

/**
 * A refusal of the platform ends both conversation windows in one moment, so the order of two equal
 * rows decided which of them a blocked send names. Of equals it is 'conversation' now.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(judge(EQUAL_WINDOWS))
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(judge(''))
}

const EQUAL_WINDOWS = `,
        -- what one answer ended has one moment: the same window is named every time
        held.scope = 'conversation' desc`

const judge = (lastOrder: string): string => `
  create or replace function judge_send(
    p_account_id integer, p_subject text, p_channel text, p_template_id text, p_scope text,
    p_at timestamptz
  )
  returns table (
    allowed boolean, reason text, scope text, evidence bigint[], reserves_at timestamptz
  )
  language sql stable
  as $$
    select
      verdict.reason is null,
      verdict.reason,
      case
        when verdict.reason like 'tenant%' then 'tenant'
        when verdict.reason = 'kf_account_revoked' then part.scope
        -- which sets of permissions it takes is what the row says
        when verdict.reason = 'permission_missing' then (
          select entry.reason from consent_ledger as entry
          where entry.id = part.ledger_id and entry.account_id = p_account_id
        )
        when verdict.reason = 'stopped' then 'everything'
        when p_channel = 'template_message' and follow.state = 'granted' and template.refused
          then template.scope
        when p_channel = 'template_message' then 'follow'
        when p_channel = 'subscription_message' then 'template:' || p_template_id
        when p_channel = 'customer_service_message'
          then coalesce(talk.scope, 'conversation')
        else p_scope
      end,
      case
        when verdict.reason like 'tenant%' then array_remove(array[tenant.ledger_id], null)
        when verdict.reason in ('kf_account_revoked', 'permission_missing')
          then array[part.ledger_id]
        when verdict.reason = 'stopped' then array[stop.ledger_id]
        else array_remove(array[
          follow.ledger_id, template.ledger_id, talk.ledger_id, named.ledger_id,
          case when verdict.reason is null then tenant.ledger_id end
        ], null)
      end,
      case
        when verdict.reason is not null then null
        when p_channel = 'subscription_message' and template.credits is not null
          then template.effective_at
        when p_channel = 'customer_service_message' and talk.credits is not null
          then greatest(p_at, talk.effective_at)
        when named.credits is not null and named.expires_at is not null
          then greatest(p_at, named.effective_at)
        when named.credits is not null then named.effective_at
      end
    from (select) as asked
    left join account as home on home.id = p_account_id
      and (home.parent_id is not null or p_channel = 'wecom_kf_message')
    left join consent as tenant
      on tenant.account_id = home.parent_id and tenant.subject = home.app_id
      and tenant.scope = 'tenant'
    -- what of that right has been taken back: one channel, one customer-service account
    left join consent as part
      on part.account_id = home.id and part.subject = home.app_id
      and part.scope = 'tenant:' || case
        when p_channel = 'wecom_kf_message' then substr(p_scope, 4) else p_channel
      end
    left join consent as stop
      on p_channel <> 'wecom_robot_message'
      and stop.account_id = p_account_id and stop.subject = p_subject and stop.scope = 'everything'
    left join consent as follow
      on p_channel = 'template_message' and follow.account_id = p_account_id
      and follow.subject = p_subject and follow.scope = 'follow'
    left join consent as template
      on p_channel in ('template_message', 'subscription_message')
      and template.account_id = p_account_id and template.subject = p_subject
      and template.scope = 'template:' || p_template_id
    left join consent as named
      on p_channel not in ('template_message', 'subscription_message', 'customer_service_message')
      and named.account_id = p_account_id and named.subject = p_subject and named.scope = p_scope
    left join lateral (
      -- of the open windows the one that closes first is used first
      select held.*
      from consent as held
      where p_channel = 'customer_service_message'
        and held.account_id = p_account_id and held.subject = p_subject
        and held.scope in ('conversation', 'conversation:action')
      order by
        (held.state = 'granted' and held.expires_at > p_at and held.credits > 0) desc,
        (held.state = 'granted' and held.expires_at > p_at) desc,
        case when held.state = 'granted' and held.expires_at > p_at then held.expires_at end,
        held.effective_at desc${lastOrder}
      limit 1
    ) as talk on true
    cross join lateral (
      select case
        when home.parent_id is not null and tenant.state is null then 'tenant_unknown'
        when tenant.state <> 'granted' then 'tenant_' || tenant.state
        when part.state <> 'granted' then case
          when p_channel = 'wecom_kf_message' then 'kf_account_revoked' else 'permission_missing'
        end
        when stop.state <> 'granted' then 'stopped'
        when p_channel = 'template_message' then case
          when follow.state is null then 'follow_unknown'
          when follow.state <> 'granted' then 'follow_' || follow.state
          when template.refused then 'template_refused'
        end
        when p_channel = 'subscription_message' then case
          when template.state is null then 'template_unknown'
          when template.refused then 'template_refused'
          when template.state <> 'granted' then 'template_' || template.state
          when template.credits = 0 then 'no_credit_left'
        end
        when p_channel = 'customer_service_message' then case
          when talk.state is null then 'conversation_unknown'
          when talk.state <> 'granted' then 'conversation_' || talk.state
          when talk.expires_at <= p_at then 'conversation_expired'
          when talk.credits = 0 then 'conversation_used_up'
        end
        when p_channel = 'wecom_robot_message' then null
        when split_part(p_scope, ':', 1)
          in ('template', 'one_time', 'member', 'external_contact', 'kf')
        then case
          when named.state is null then split_part(p_scope, ':', 1) || '_unknown'
          when named.refused then 'template_refused'
          when named.state <> 'granted' then split_part(p_scope, ':', 1) || '_' || named.state
          when named.expires_at <= p_at then split_part(p_scope, ':', 1) || '_expired'
          when named.credits = 0 and p_scope like 'template:%' then 'no_credit_left'
          when named.credits = 0 then split_part(p_scope, ':', 1) || '_used_up'
          when named.template_id is not null and named.template_id is distinct from p_template_id
            then split_part(p_scope, ':', 1) || '_other_template'
        end
        else 'unknown_channel'
      end as reason
    ) as verdict
  $$;
`
