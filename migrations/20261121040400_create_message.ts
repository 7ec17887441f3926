import type { Knex } from 'knex'

/** What applications asked to send, every call made for it, and what the platform said afterwards. */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table message (
      id uuid primary key,
      account_id integer not null references account,
      application_id uuid references application,
      recipient text,
      channel text not null,
      template_id text,
      content jsonb,
      purpose text,
      idempotency_key text,
      request_digest bytea,
      status text not null,
      reason text,
      missing_scope text,
      send_at timestamptz not null,
      expires_at timestamptz not null,
      due_at timestamptz not null,
      lease_owner text,
      leased_until timestamptz,
      attempt_count integer not null default 0,
      msgid text,
      receipt_status text,
      receipt_reason text,
      receipt_at timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      finished_at timestamptz,
      constraint message_application_id_idempotency_key_key unique (application_id, idempotency_key),
      constraint message_status_check check (status in (
        'scheduled', 'queued', 'sending', 'sent', 'delivered', 'not_delivered', 'blocked',
        'refused', 'failed', 'expired', 'cancelled', 'unknown'
      )),
      constraint message_receipt_status_check check (receipt_status in ('delivered', 'not_delivered'))
    );

    -- serves the claim: what is due, oldest first
    create index message_due_idx on message (due_at) where status in ('scheduled', 'queued');
    -- serves the recovery of a dead worker's messages, and the wait of an opt-out for calls under way
    create index message_sending_idx on message (account_id, recipient) where status = 'sending';
    -- serves receipts that name the platform's id
    create index message_msgid_idx on message (account_id, msgid) where msgid is not null;
    -- serves receipts that do not
    create index message_awaiting_receipt_idx on message (account_id, recipient, channel)
      where status in ('sending', 'sent', 'unknown') and receipt_at is null;
    -- serves the lists
    create index message_account_id_idx on message (account_id, id);
    -- serves the erasure and the export of a person
    create index message_recipient_idx on message (account_id, recipient) where recipient is not null;

    create table attempt (
      id bigint generated always as identity primary key,
      message_id uuid not null references message,
      account_id integer not null references account,
      number integer not null,
      started_at timestamptz not null,
      finished_at timestamptz,
      outcome text,
      cause text,
      errcode bigint,
      errmsg text,
      http_status integer,
      rid text,
      msgid text,
      evidence bigint[] not null,
      process text not null,
      constraint attempt_message_id_number_key unique (message_id, number),
      constraint attempt_outcome_check check (outcome in (
        'sent', 'refused', 'retry', 'failed', 'unknown'
      ))
    );

    -- a receipt that came before we knew the id of what it is about
    create table receipt (
      account_id integer not null references account,
      msgid text not null,
      status text not null,
      reason text not null,
      occurred_at timestamptz not null,
      event_id bigint not null,
      primary key (account_id, msgid),
      constraint receipt_status_check check (status in ('delivered', 'not_delivered'))
    );

    create index receipt_occurred_at_idx on receipt (occurred_at);

    -- while the platform wants no calls of a channel from an account, in any process
    create table sending_pause (
      account_id integer not null references account,
      channel text not null,
      until timestamptz not null,
      errcode bigint,
      reason text not null,
      primary key (account_id, channel)
    );
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table sending_pause, receipt, attempt, message`)
}
