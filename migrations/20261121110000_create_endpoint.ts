import type { Knex } from 'knex'

/**
 * Where applications want events and results, what is to be delivered there, and the passive replies
 * that repeats of a push are answered with.
 *
 * A delivery is a row and lives by its own times; a job only says that an endpoint has some that are
 * due. So ten thousand deliveries to an endpoint that is down are ten thousand rows, and one job.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(ENDPOINT)
  await db.raw(DELIVERY)
  await db.raw(CALLBACK)
  await db.raw(REPLY)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop table reply;
    drop trigger message_result_is_delivered on message;
    drop function deliver_message_result();
    drop trigger message_callback_url_is_forgotten on message;
    drop function forget_callback_url();
    alter table message drop column callback_url;
    drop table delivery;
    drop function wake_endpoints();
    drop trigger application_leaves_endpoints on application;
    drop function disable_endpoints_of_application();
    drop table endpoint;
    drop function notify_endpoint_change();
  `)
}

const ENDPOINT = `
  create table endpoint (
    id uuid primary key,
    application_id uuid not null references application,
    account_id integer references account,
    purpose text not null,
    url text,
    kinds text[] not null,
    sealed_secret text not null,
    previous_secret text,
    previous_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    disabled_at timestamptz,
    disabled_reason text,
    removed_at timestamptz,
    constraint endpoint_purpose_check check (purpose in ('events', 'reply', 'callbacks')),
    constraint endpoint_place_check check (
      (purpose = 'callbacks') = (account_id is null) and (purpose = 'callbacks') = (url is null)
    ),
    constraint endpoint_removed_check check (removed_at is null or disabled_at is not null)
  );

  comment on table endpoint is
    'callbacks: the results of an application''s messages; the address stands in each message.';
  comment on column endpoint.previous_secret is
    'Signs beside the current one until previous_until, so that a receiver can change over.';

  -- serves the look for endpoints at every commit of pushes
  create index endpoint_events_idx on endpoint (account_id)
    where purpose = 'events' and disabled_at is null;
  -- a push has one answer
  create unique index endpoint_reply_key on endpoint (account_id)
    where purpose = 'reply' and removed_at is null;
  create unique index endpoint_callbacks_key on endpoint (application_id)
    where purpose = 'callbacks' and removed_at is null;
  create index endpoint_application_id_idx on endpoint (application_id, id);

  -- processes hold a copy of the endpoints that give replies
  create function notify_endpoint_change() returns trigger
  language plpgsql
  as $$
  begin
    perform pg_notify('endpoint_changed', '');
    return null;
  end
  $$;

  create trigger endpoint_changed
    after insert or update or delete on endpoint
    for each row execute function notify_endpoint_change();

  create function disable_endpoints_of_application() returns trigger
  language plpgsql
  as $$
  begin
    update endpoint set
      disabled_at = clock_timestamp(), disabled_reason = 'application_revoked',
      updated_at = clock_timestamp()
    where endpoint.application_id = new.id and endpoint.disabled_at is null;
    return null;
  end
  $$;

  create trigger application_leaves_endpoints
    after update on application
    for each row when (old.revoked_at is null and new.revoked_at is not null)
    execute function disable_endpoints_of_application();
`

const DELIVERY = `
  create table delivery (
    endpoint_id uuid not null references endpoint,
    id uuid not null default new_message_id(),
    event_id bigint,
    event_occurred_at timestamptz,
    message_id uuid,
    status text not null default 'waiting',
    due_at timestamptz not null default clock_timestamp(),
    attempt_count integer not null default 0,
    http_status integer,
    reason text,
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    primary key (endpoint_id, id),
    constraint delivery_status_check check (status in ('waiting', 'delivered', 'failed', 'dropped')),
    constraint delivery_subject_check check (num_nonnulls(event_id, message_id) = 1)
  );

  comment on column delivery.id is 'The webhook-id: the same at every try.';
  comment on column delivery.due_at is
    'When it is tried next. Whoever takes it moves this ahead, so that nobody else takes it meanwhile and somebody does when that process dies.';

  -- an event goes to an endpoint once, whatever happens
  create unique index delivery_event_key on delivery (endpoint_id, event_id)
    where event_id is not null;
  -- serves the claim: what is due at an endpoint, oldest first
  create index delivery_due_idx on delivery (endpoint_id, due_at) where status = 'waiting';
  -- serves the age of the oldest
  create index delivery_waiting_idx on delivery (created_at) where status = 'waiting';
  -- serves the forgetting
  create index delivery_finished_at_idx on delivery (finished_at) where finished_at is not null;

  -- One job for each endpoint that has something new, however many deliveries it is.
  create function wake_endpoints() returns trigger
  language plpgsql
  as $$
  begin
    perform graphile_worker.add_job('deliver', json_build_object('endpoint_id', woken.endpoint_id))
    from (select distinct added.endpoint_id from added) as woken;
    return null;
  end
  $$;

  create trigger delivery_wakes_endpoint
    after insert on delivery
    referencing new table as added
    for each statement execute function wake_endpoints();
`

/** The condition stands in the trigger: a message without an address costs a look at its own row. */
const CALLBACK = `
  alter table message add column callback_url text;

  -- an address can name a person; it goes with the content when they are erased
  create function forget_callback_url() returns trigger
  language plpgsql
  as $$
  begin
    new.callback_url := null;
    return new;
  end
  $$;

  create trigger message_callback_url_is_forgotten before update of content on message
  for each row
  when (new.callback_url is not null and new.content is null and old.content is not null)
  execute function forget_callback_url();

  create function deliver_message_result() returns trigger
  language plpgsql
  as $$
  begin
    insert into delivery (endpoint_id, message_id)
    select endpoint.id, new.id
    from endpoint
    where endpoint.application_id = new.application_id and endpoint.purpose = 'callbacks'
      and endpoint.disabled_at is null;
    return null;
  end
  $$;

  create trigger message_result_is_delivered
    after update on message
    for each row when (
      new.callback_url is not null and new.status is distinct from old.status
      and new.status not in ('scheduled', 'queued', 'sending')
    )
    execute function deliver_message_result();
`

const REPLY = `
  create table reply (
    account_id integer not null,
    event_id bigint not null,
    state text not null default 'asked',
    sealed text,
    asked_at timestamptz not null default clock_timestamp(),
    primary key (account_id, event_id),
    constraint reply_state_check check (state in ('asked', 'given', 'none')),
    constraint reply_sealed_check check ((state = 'given') = (sealed is not null))
  );

  comment on table reply is
    'Who has inserted the row asks the application; everybody else waits for what it says.';

  create index reply_asked_at_idx on reply (asked_at);
`
