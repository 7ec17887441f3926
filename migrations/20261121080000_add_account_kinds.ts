import type { Knex } from 'knex'

/**
 * The other kinds of accounts: what each has beside its name and id, checked by kind, and the
 * secrets they need. A ticket has the platform's time beside it, because the newest one counts, not
 * the last to arrive.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table account
      alter column original_id drop not null,
      add column agent_id text,
      add column provider_corp_id text,
      add column parent_id integer,
      add column serves text,
      add column body_format text not null default 'xml',
      add constraint account_parent_id_fkey foreign key (parent_id) references account,
      drop constraint account_kind_check,
      add constraint account_kind_check check (kind in (
        'official_account', 'mini_program', 'component', 'authorizer',
        'wecom_app', 'wecom_suite', 'wecom_authorizer', 'wecom_kf'
      )),
      add constraint account_original_id_check check (
        (original_id is not null) = (kind in ('official_account', 'mini_program', 'authorizer'))
      ),
      add constraint account_agent_id_check check (
        case kind
          when 'wecom_app' then agent_id is not null
          when 'wecom_authorizer' then true
          else agent_id is null
        end
      ),
      add constraint account_provider_corp_id_check check (
        (provider_corp_id is not null) = (kind = 'wecom_suite')
      ),
      add constraint account_parent_id_check check (
        (parent_id is not null) = (kind in ('authorizer', 'wecom_authorizer'))
      ),
      add constraint account_serves_check check (
        case kind
          when 'authorizer' then serves is not null and serves in ('official_account', 'mini_program')
          else serves is null
        end
      ),
      add constraint account_kind_mode_check check (
        mode = 'safe' or kind in ('official_account', 'mini_program')
      ),
      add constraint account_body_format_check check (
        body_format = 'xml' or (body_format = 'json' and kind = 'mini_program')
      ),
      drop constraint account_kind_app_id_key;

    -- One platform account under one name: a corp has many apps, a merchant may have authorised
    -- several components, and the agentid of an authorised app can change.
    create unique index account_identity_key on account (
      kind,
      app_id,
      coalesce(parent_id, 0),
      (case when kind = 'wecom_app' then agent_id else '' end)
    );

    alter table account_secret
      add column effective_at timestamptz,
      drop constraint account_secret_name_check,
      add constraint account_secret_name_check check (name in (
        'app_secret', 'callback_token', 'callback_aes_key',
        'previous_callback_token', 'previous_callback_aes_key',
        'provider_secret', 'refresh_token', 'permanent_code', 'ticket', 'previous_ticket'
      )),
      add constraint account_secret_effective_at_check check (
        (effective_at is not null) = (name in ('ticket', 'previous_ticket'))
      );
  `)
}

/** Fails, and changes nothing, while there is an account or secret of a kind that is new here. */
export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table account_secret
      drop constraint account_secret_effective_at_check,
      drop constraint account_secret_name_check,
      add constraint account_secret_name_check check (name in (
        'app_secret', 'callback_token', 'callback_aes_key',
        'previous_callback_token', 'previous_callback_aes_key'
      )),
      drop column effective_at;

    drop index account_identity_key;

    alter table account
      drop constraint account_body_format_check,
      drop constraint account_kind_mode_check,
      drop constraint account_serves_check,
      drop constraint account_parent_id_check,
      drop constraint account_provider_corp_id_check,
      drop constraint account_agent_id_check,
      drop constraint account_original_id_check,
      drop constraint account_kind_check,
      drop constraint account_parent_id_fkey,
      drop column body_format,
      drop column serves,
      drop column parent_id,
      drop column provider_corp_id,
      drop column agent_id,
      alter column original_id set not null,
      add constraint account_kind_check check (kind in ('official_account')),
      add constraint account_kind_app_id_key unique (kind, app_id);
  `)
}
