import type { Knex } from 'knex'

/**
 * The templates of each account as the platform lists them, the names that applications use for them,
 * and which message was sent under which name in the place of which other. Of a person these tables
 * hold nothing but `asked_data`, which goes with the content of its message.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table template (
      account_id integer not null references account,
      channel text not null check (channel in ('template_message', 'subscription_message')),
      template_id text not null,
      title text not null,
      content text not null,
      example text not null,
      type text check (type in ('one_time', 'long_term')),
      -- the values that a field may have, by its name
      choices jsonb not null,
      status text not null check (status in ('live', 'withdrawn', 'banned')),
      status_at timestamptz not null,
      first_seen_at timestamptz not null,
      last_seen_at timestamptz not null,
      changed_at timestamptz,
      primary key (account_id, channel, template_id)
    );

    create table template_alias (
      account_id integer not null references account,
      name text not null,
      channel text not null check (channel in ('template_message', 'subscription_message')),
      -- the alias's own template first, then its fallbacks: [{"templateId", "map"}]
      steps jsonb not null check (jsonb_array_length(steps) > 0),
      actor text not null,
      updated_at timestamptz not null default now(),
      primary key (account_id, name)
    );

    -- when each account's lists were last asked for, so that refused sends do not ask all the time
    create table template_sync (
      account_id integer primary key references account,
      began_at timestamptz not null,
      ended_at timestamptz,
      -- lists that came back empty although templates were known, and are believed the second time
      doubted text[] not null default '{}'
    );

    -- no foreign key to message: see docs/adr/0016
    create table aliased_message (
      message_id uuid primary key,
      alias text not null,
      -- 0: the alias's own template; n: its nth fallback
      step integer not null check (step >= 0),
      -- why it is not the first one
      reason text check (reason in ('withdrawn', 'banned', 'refused')),
      -- the values as they were asked for, where those of the message are mapped ones
      asked_data jsonb,
      -- templates that the platform has refused for this wish before
      tried text[] not null default '{}',
      fallback_of uuid,
      -- why nothing took its place although its template was refused
      no_fallback text,
      constraint aliased_message_fallback_of_key unique (fallback_of)
    );

    alter table broadcast add column template_alias text;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    alter table broadcast drop column template_alias;
    drop table aliased_message, template_sync, template_alias, template;
  `)
}
