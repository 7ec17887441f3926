import type { Knex } from 'knex'

/**
 * Broadcasts: what is sent to many, and to whom. A recipient waits here until the feeder makes a row
 * of `message` from it, a bounded number ahead of the workers; from then on it is a message like any
 * other.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table broadcast (
      id uuid primary key,
      account_id integer not null references account,
      application_id uuid references application,
      name text,
      purpose text,
      channel text not null,
      template_id text,
      content jsonb not null,
      audience_scope text,
      idempotency_key text,
      head_digest bytea not null,
      phase text not null,
      reason text,
      send_at timestamptz not null,
      expires_at timestamptz not null,
      -- how far the list of recipients has been read, and a digest of all that was read
      lines_read bigint not null default 0,
      lines_digest bytea not null,
      expanded_after text,
      accepted bigint not null default 0,
      duplicates bigint not null default 0,
      bad bigint not null default 0,
      received_at timestamptz,
      -- how far messages have been made of it
      fed_line bigint not null default 0,
      skipped bigint not null default 0,
      fed_at timestamptz,
      queued_then integer not null default 0,
      feed_window integer not null default 0,
      rate double precision,
      paused_at timestamptz,
      started_at timestamptz,
      finished_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      constraint broadcast_application_id_idempotency_key_key unique (application_id, idempotency_key),
      constraint broadcast_phase_check check (phase in (
        'receiving', 'expanding', 'running', 'completed', 'cancelled'
      ))
    );

    -- serves the loop that works on them
    create index broadcast_unfinished_idx on broadcast (fed_at) where finished_at is null;
    -- serves the lists, and the search for a person's places in them
    create index broadcast_account_id_idx on broadcast (account_id, id);

    create table broadcast_recipient (
      broadcast_id uuid not null references broadcast,
      line bigint not null,
      recipient text,
      data jsonb,
      primary key (broadcast_id, line),
      -- twice in a broadcast is once
      constraint broadcast_recipient_broadcast_id_recipient_key unique (broadcast_id, recipient)
    );

    create table broadcast_bad_line (
      broadcast_id uuid not null references broadcast,
      line bigint not null,
      reason text not null,
      primary key (broadcast_id, line)
    );

    alter table message
      add column broadcast_id uuid references broadcast,
      add column broadcast_line bigint;
    -- one message for each recipient, whatever the feeder does; serves the report
    create unique index message_broadcast_line_idx on message (broadcast_id, broadcast_line)
      where broadcast_id is not null;
    -- serves the counts of a broadcast
    create index message_broadcast_status_idx on message (broadcast_id, status)
      where broadcast_id is not null;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    alter table message drop column broadcast_line, drop column broadcast_id;
    drop table broadcast_bad_line, broadcast_recipient, broadcast;
  `)
}
