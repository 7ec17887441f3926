-- The schema of the gateway, as the migrations leave it. Made from the system catalogs by
-- src/database/schema-dump.ts; a test compares it with a migrated database. To read, not to run.

create table access_token (
  account_id integer not null,
  kind text not null,
  sealed text,
  key_id text,
  version bigint not null default 0,
  fetched_at timestamp with time zone,
  expires_at timestamp with time zone,
  rejected_version bigint,
  lease_owner text,
  leased_until timestamp with time zone,
  breaker_until timestamp with time zone,
  breaker_errcode bigint,
  breaker_reason text,
  failures integer not null default 0,
  forced_at timestamp with time zone,
  forced_count integer not null default 0,
  forced_day date,
  constraint access_token_pkey PRIMARY KEY (account_id),
  constraint access_token_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint access_token_kind_check CHECK ((kind = ANY (ARRAY['stable'::text, 'classic'::text, 'component'::text, 'authorizer'::text, 'wecom'::text, 'suite'::text, 'wecom_corp'::text, 'wecom_agency'::text])))
);

create table account (
  id integer not null generated always as identity,
  name text not null,
  kind text not null,
  app_id text not null,
  original_id text,
  mode text not null,
  settings jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  disabled_at timestamp with time zone,
  agent_id text,
  provider_corp_id text,
  parent_id integer,
  serves text,
  body_format text not null default 'xml'::text,
  permission_sets integer[],
  permission_sets_at timestamp with time zone,
  constraint account_pkey PRIMARY KEY (id),
  constraint account_name_key UNIQUE (name),
  constraint account_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES account(id),
  constraint account_agent_id_check CHECK (
CASE kind
    WHEN 'wecom_app'::text THEN (agent_id IS NOT NULL)
    WHEN 'wecom_authorizer'::text THEN true
    ELSE (agent_id IS NULL)
END),
  constraint account_body_format_check CHECK (((body_format = 'xml'::text) OR ((body_format = 'json'::text) AND (kind = 'mini_program'::text)))),
  constraint account_kind_check CHECK ((kind = ANY (ARRAY['official_account'::text, 'mini_program'::text, 'component'::text, 'authorizer'::text, 'wecom_app'::text, 'wecom_suite'::text, 'wecom_authorizer'::text, 'wecom_kf'::text]))),
  constraint account_kind_mode_check CHECK (((mode = 'safe'::text) OR (kind = ANY (ARRAY['official_account'::text, 'mini_program'::text])))),
  constraint account_mode_check CHECK ((mode = ANY (ARRAY['safe'::text, 'compatible'::text, 'plain'::text]))),
  constraint account_original_id_check CHECK (((original_id IS NOT NULL) = (kind = ANY (ARRAY['official_account'::text, 'mini_program'::text, 'authorizer'::text])))),
  constraint account_parent_id_check CHECK (((parent_id IS NOT NULL) = (kind = ANY (ARRAY['authorizer'::text, 'wecom_authorizer'::text])))),
  constraint account_provider_corp_id_check CHECK (((provider_corp_id IS NOT NULL) = (kind = 'wecom_suite'::text))),
  constraint account_serves_check CHECK (
CASE kind
    WHEN 'authorizer'::text THEN ((serves IS NOT NULL) AND (serves = ANY (ARRAY['official_account'::text, 'mini_program'::text])))
    ELSE (serves IS NULL)
END)
);

create table account_secret (
  account_id integer not null,
  name text not null,
  sealed text not null,
  key_id text not null,
  updated_at timestamp with time zone not null default now(),
  effective_at timestamp with time zone,
  constraint account_secret_pkey PRIMARY KEY (account_id, name),
  constraint account_secret_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint account_secret_effective_at_check CHECK (((effective_at IS NOT NULL) = (name = ANY (ARRAY['ticket'::text, 'previous_ticket'::text])))),
  constraint account_secret_name_check CHECK ((name = ANY (ARRAY['app_secret'::text, 'callback_token'::text, 'callback_aes_key'::text, 'previous_callback_token'::text, 'previous_callback_aes_key'::text, 'provider_secret'::text, 'refresh_token'::text, 'permanent_code'::text, 'ticket'::text, 'previous_ticket'::text])))
);

create table aliased_message (
  message_id uuid not null,
  alias text not null,
  step integer not null,
  reason text,
  asked_data jsonb,
  tried text[] not null default '{}'::text[],
  fallback_of uuid,
  no_fallback text,
  constraint aliased_message_pkey PRIMARY KEY (message_id),
  constraint aliased_message_fallback_of_key UNIQUE (fallback_of),
  constraint aliased_message_reason_check CHECK ((reason = ANY (ARRAY['withdrawn'::text, 'banned'::text, 'refused'::text]))),
  constraint aliased_message_step_check CHECK ((step >= 0))
);

create table api_call_count (
  account_id integer not null,
  day date not null,
  path text not null,
  calls bigint not null,
  cleared bigint not null default 0,
  elsewhere bigint not null default 0,
  refused_used bigint,
  constraint api_call_count_pkey PRIMARY KEY (account_id, day, path),
  constraint api_call_count_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint api_call_count_calls_check CHECK ((calls >= 0)),
  constraint api_call_count_check CHECK (((cleared >= 0) AND (cleared <= calls))),
  constraint api_call_count_elsewhere_check CHECK ((elsewhere >= 0)),
  constraint api_call_count_refused_used_check CHECK ((refused_used >= 0))
);

create table api_quota (
  account_id integer not null,
  path text not null,
  daily_limit bigint not null,
  read_at timestamp with time zone not null,
  constraint api_quota_pkey PRIMARY KEY (account_id, path),
  constraint api_quota_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint api_quota_daily_limit_check CHECK ((daily_limit >= 0))
);

create table application (
  id uuid not null,
  name text not null,
  key_hash bytea not null,
  key_hint text not null,
  created_at timestamp with time zone not null default now(),
  revoked_at timestamp with time zone,
  signatures text not null default 'off'::text,
  sealed_signing_secret text,
  previous_signing_secret text,
  previous_until timestamp with time zone,
  constraint application_pkey PRIMARY KEY (id),
  constraint application_key_hash_key UNIQUE (key_hash),
  constraint application_name_key UNIQUE (name),
  constraint application_signatures_check CHECK ((signatures = ANY (ARRAY['off'::text, 'optional'::text, 'required'::text]))),
  constraint application_signing_secret_check CHECK ((((signatures = 'off'::text) = (sealed_signing_secret IS NULL)) AND ((previous_signing_secret IS NULL) = (previous_until IS NULL)) AND ((previous_signing_secret IS NULL) OR (sealed_signing_secret IS NOT NULL))))
);

create table application_account (
  application_id uuid not null,
  account_id integer not null,
  constraint application_account_pkey PRIMARY KEY (application_id, account_id),
  constraint application_account_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint application_account_application_id_fkey FOREIGN KEY (application_id) REFERENCES application(id)
);

create table archive_room (
  account_id integer not null,
  chat_id text not null,
  told_at timestamp with time zone not null,
  dismissed boolean not null default false,
  asked_at timestamp with time zone,
  constraint archive_room_pkey PRIMARY KEY (account_id, chat_id),
  constraint archive_room_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id)
);

create table attempt (
  id bigint not null generated always as identity,
  message_id uuid not null,
  account_id integer not null,
  number integer not null,
  started_at timestamp with time zone not null,
  finished_at timestamp with time zone,
  outcome text,
  cause text,
  errcode bigint,
  errmsg text,
  http_status integer,
  rid text,
  msgid text,
  evidence bigint[] not null,
  process text not null,
  constraint attempt_pkey PRIMARY KEY (id),
  constraint attempt_message_id_number_key UNIQUE (message_id, number),
  constraint attempt_outcome_check CHECK ((outcome = ANY (ARRAY['sent'::text, 'refused'::text, 'retry'::text, 'failed'::text, 'unknown'::text])))
) with (fillfactor=60);

create table broadcast (
  id uuid not null,
  account_id integer not null,
  application_id uuid,
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
  send_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  lines_read bigint not null default 0,
  lines_digest bytea not null,
  expanded_after text,
  accepted bigint not null default 0,
  duplicates bigint not null default 0,
  bad bigint not null default 0,
  received_at timestamp with time zone,
  fed_line bigint not null default 0,
  skipped bigint not null default 0,
  fed_at timestamp with time zone,
  queued_then integer not null default 0,
  feed_window integer not null default 0,
  rate double precision,
  paused_at timestamp with time zone,
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  template_alias text,
  callback_url text,
  tells_each boolean not null default false,
  consent_scope text,
  constraint broadcast_pkey PRIMARY KEY (id),
  constraint broadcast_application_id_idempotency_key_key UNIQUE (application_id, idempotency_key),
  constraint broadcast_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint broadcast_application_id_fkey FOREIGN KEY (application_id) REFERENCES application(id),
  constraint broadcast_phase_check CHECK ((phase = ANY (ARRAY['receiving'::text, 'expanding'::text, 'running'::text, 'completed'::text, 'cancelled'::text])))
);

create table broadcast_bad_line (
  broadcast_id uuid not null,
  line bigint not null,
  reason text not null,
  constraint broadcast_bad_line_pkey PRIMARY KEY (broadcast_id, line),
  constraint broadcast_bad_line_broadcast_id_fkey FOREIGN KEY (broadcast_id) REFERENCES broadcast(id)
);

create table broadcast_recipient (
  broadcast_id uuid not null,
  line bigint not null,
  recipient text,
  data jsonb,
  constraint broadcast_recipient_pkey PRIMARY KEY (broadcast_id, line),
  constraint broadcast_recipient_broadcast_id_recipient_key UNIQUE (broadcast_id, recipient),
  constraint broadcast_recipient_broadcast_id_fkey FOREIGN KEY (broadcast_id) REFERENCES broadcast(id)
);

create table call_breaker (
  account_id integer not null,
  host text not null,
  opened_at timestamp with time zone not null,
  until timestamp with time zone not null,
  rests integer not null,
  reason text not null,
  constraint call_breaker_pkey PRIMARY KEY (account_id, host),
  constraint call_breaker_owner_check CHECK (((account_id = 0) = (host = ANY (ARRAY['wechat'::text, 'wecom'::text]))))
);

create table channel_pace (
  account_id integer not null,
  channel text not null,
  per_second double precision,
  slowed_from double precision,
  slowed_to double precision,
  slowed_at timestamp with time zone,
  tokens double precision not null default 0,
  counted_at timestamp with time zone not null default clock_timestamp(),
  constraint channel_pace_pkey PRIMARY KEY (account_id, channel),
  constraint channel_pace_per_second_check CHECK ((per_second > (0)::double precision))
);

create table code_override (
  id bigint not null generated always as identity,
  account_id integer not null,
  code integer not null,
  class text not null,
  actor text not null,
  reason text not null,
  created_at timestamp with time zone not null default now(),
  removed_at timestamp with time zone,
  removed_by text,
  removal_reason text,
  constraint code_override_pkey PRIMARY KEY (id),
  constraint code_override_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint code_override_check CHECK (((removed_at IS NULL) = (removed_by IS NULL))),
  constraint code_override_class_check CHECK ((class <> 'ok'::text)),
  constraint code_override_code_check CHECK ((code <> 0))
);

create table consent (
  account_id integer not null,
  subject text not null,
  scope text not null,
  state text not null,
  effective_at timestamp with time zone not null,
  ledger_id bigint not null,
  credits integer,
  expires_at timestamp with time zone,
  refused boolean not null default false,
  updated_at timestamp with time zone not null default clock_timestamp(),
  template_id text,
  constraint consent_pkey PRIMARY KEY (account_id, subject, scope),
  constraint consent_credits_check CHECK ((credits >= 0)),
  constraint consent_state_check CHECK ((state = ANY (ARRAY['granted'::text, 'revoked'::text, 'suppressed'::text])))
);

create table consent_ledger (
  account_id integer not null,
  id bigint not null generated always as identity,
  subject text not null,
  scope text not null,
  change text not null,
  effective_at timestamp with time zone not null,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  evidence text not null,
  event_id bigint,
  attempt_id bigint,
  actor text,
  reason text not null,
  credits integer,
  expires_at timestamp with time zone,
  template_id text,
  constraint consent_ledger_pkey PRIMARY KEY (id, account_id),
  constraint consent_ledger_change_check CHECK ((change = ANY (ARRAY['granted'::text, 'revoked'::text, 'suppressed'::text, 'reserved'::text, 'spent'::text, 'returned'::text]))),
  constraint consent_ledger_evidence_check CHECK (
CASE evidence
    WHEN 'event'::text THEN (event_id IS NOT NULL)
    WHEN 'attempt'::text THEN (attempt_id IS NOT NULL)
    WHEN 'api'::text THEN (actor IS NOT NULL)
    WHEN 'operator'::text THEN (actor IS NOT NULL)
    WHEN 'import'::text THEN (actor IS NOT NULL)
    WHEN 'report'::text THEN (actor IS NOT NULL)
    WHEN 'sync'::text THEN true
    ELSE false
END)
);

create table delivery (
  endpoint_id uuid not null,
  id uuid not null default new_message_id(),
  event_id bigint,
  event_occurred_at timestamp with time zone,
  message_id uuid,
  status text not null default 'waiting'::text,
  due_at timestamp with time zone not null default clock_timestamp(),
  attempt_count integer not null default 0,
  http_status integer,
  reason text,
  created_at timestamp with time zone not null default clock_timestamp(),
  finished_at timestamp with time zone,
  broadcast_id uuid,
  constraint delivery_pkey PRIMARY KEY (endpoint_id, id),
  constraint delivery_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES endpoint(id),
  constraint delivery_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'delivered'::text, 'failed'::text, 'dropped'::text]))),
  constraint delivery_subject_check CHECK ((num_nonnulls(event_id, message_id, broadcast_id) = 1))
);

create table endpoint (
  id uuid not null,
  application_id uuid not null,
  account_id integer,
  purpose text not null,
  url text,
  kinds text[] not null,
  sealed_secret text not null,
  previous_secret text,
  previous_until timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  disabled_at timestamp with time zone,
  disabled_reason text,
  removed_at timestamp with time zone,
  failing_since timestamp with time zone,
  paused_at timestamp with time zone,
  paused_reason text,
  constraint endpoint_pkey PRIMARY KEY (id),
  constraint endpoint_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint endpoint_application_id_fkey FOREIGN KEY (application_id) REFERENCES application(id),
  constraint endpoint_paused_check CHECK (((paused_at IS NULL) = (paused_reason IS NULL))),
  constraint endpoint_place_check CHECK ((((purpose = 'callbacks'::text) = (account_id IS NULL)) AND ((purpose = 'callbacks'::text) = (url IS NULL)))),
  constraint endpoint_purpose_check CHECK ((purpose = ANY (ARRAY['events'::text, 'reply'::text, 'callbacks'::text]))),
  constraint endpoint_removed_check CHECK (((removed_at IS NULL) OR (disabled_at IS NOT NULL)))
);

create table erasure (
  id bigint not null generated always as identity,
  account_id integer not null,
  subject_hash bytea not null,
  effective_at timestamp with time zone not null,
  erased_at timestamp with time zone not null default clock_timestamp(),
  actor text not null,
  reason text not null,
  ledger_rows integer not null,
  events integer not null,
  messages integer not null,
  constraint erasure_pkey PRIMARY KEY (id),
  constraint erasure_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id)
);

create table event (
  account_id integer not null,
  id bigint not null default nextval('event_id_seq'::regclass),
  repeat_key bytea not null,
  kind text not null,
  name text not null,
  subject text,
  occurred_at timestamp with time zone not null,
  received_at timestamp with time zone not null default now(),
  document text not null,
  erased_at timestamp with time zone,
  constraint event_pkey PRIMARY KEY (account_id, occurred_at, repeat_key),
  constraint event_repeat_key_check CHECK ((octet_length(repeat_key) = 32))
) partition by RANGE (occurred_at);

create table event_other partition of event (
  account_id integer not null,
  id bigint not null default nextval('event_id_seq'::regclass),
  repeat_key bytea not null,
  kind text not null,
  name text not null,
  subject text,
  occurred_at timestamp with time zone not null,
  received_at timestamp with time zone not null default now(),
  document text not null,
  erased_at timestamp with time zone,
  constraint event_other_pkey PRIMARY KEY (account_id, occurred_at, repeat_key),
  constraint event_repeat_key_check CHECK ((octet_length(repeat_key) = 32))
) DEFAULT;

create table follower_sync (
  id bigint not null generated always as identity,
  account_id integer not null,
  status text not null default 'running'::text,
  phase text not null default 'list'::text,
  began_at timestamp with time zone,
  cursor text not null default ''::text,
  pages integer not null default 0,
  total bigint,
  listed bigint not null default 0,
  applied bigint not null default 0,
  at_page integer not null default 1,
  at_offset integer not null default 0,
  granted bigint not null default 0,
  revoked bigint not null default 0,
  suppressed bigint not null default 0,
  lifted bigint not null default 0,
  lease_owner text,
  leased_until timestamp with time zone,
  resume_at timestamp with time zone,
  reason text,
  started_at timestamp with time zone not null default clock_timestamp(),
  updated_at timestamp with time zone not null default clock_timestamp(),
  finished_at timestamp with time zone,
  constraint follower_sync_pkey PRIMARY KEY (id),
  constraint follower_sync_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint follower_sync_phase_check CHECK ((phase = ANY (ARRAY['list'::text, 'apply'::text, 'leave'::text, 'block_list'::text, 'block'::text]))),
  constraint follower_sync_status_check CHECK ((status = ANY (ARRAY['running'::text, 'paused'::text, 'done'::text, 'failed'::text])))
);

create table follower_sync_page (
  sync_id bigint not null,
  kind text not null,
  number integer not null,
  subjects text[] not null,
  constraint follower_sync_page_pkey PRIMARY KEY (sync_id, kind, number),
  constraint follower_sync_page_sync_id_fkey FOREIGN KEY (sync_id) REFERENCES follower_sync(id) ON DELETE CASCADE,
  constraint follower_sync_page_kind_check CHECK ((kind = ANY (ARRAY['follower'::text, 'missing'::text, 'blocked'::text])))
);

create table job_process (
  worker text not null,
  process text not null,
  started_at timestamp with time zone not null default clock_timestamp(),
  seen_at timestamp with time zone not null default clock_timestamp(),
  constraint job_process_pkey PRIMARY KEY (worker)
);

create table kf_cursor (
  account_id integer not null,
  open_kfid text not null,
  cursor text not null,
  updated_at timestamp with time zone not null default now(),
  constraint kf_cursor_pkey PRIMARY KEY (account_id, open_kfid),
  constraint kf_cursor_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id)
);

create table message (
  id uuid not null,
  account_id integer not null,
  application_id uuid,
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
  send_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  due_at timestamp with time zone not null,
  lease_owner text,
  leased_until timestamp with time zone,
  attempt_count integer not null default 0,
  msgid text,
  receipt_status text,
  receipt_reason text,
  receipt_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  consent_scope text,
  broadcast_id uuid,
  broadcast_line bigint,
  sealed_secret text,
  callback_url text,
  lane smallint not null default 0,
  plan jsonb,
  counted_at timestamp with time zone,
  quiet_until timestamp with time zone,
  held_due_at timestamp with time zone,
  constraint message_pkey PRIMARY KEY (id),
  constraint message_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint message_application_id_fkey FOREIGN KEY (application_id) REFERENCES application(id),
  constraint message_broadcast_id_fkey FOREIGN KEY (broadcast_id) REFERENCES broadcast(id),
  constraint message_lane_check CHECK ((lane = ANY (ARRAY[0, 1]))),
  constraint message_receipt_status_check CHECK ((receipt_status = ANY (ARRAY['delivered'::text, 'not_delivered'::text]))),
  constraint message_status_check CHECK ((status = ANY (ARRAY['scheduled'::text, 'queued'::text, 'sending'::text, 'sent'::text, 'delivered'::text, 'not_delivered'::text, 'blocked'::text, 'refused'::text, 'failed'::text, 'expired'::text, 'cancelled'::text, 'unknown'::text])))
) with (fillfactor=50);

create table one_time_link (
  digest bytea not null,
  account_id integer not null,
  template_id text not null,
  scene text not null,
  subject_hash bytea,
  actor text not null,
  return_url text,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  used_at timestamp with time zone,
  action text,
  subject text,
  constraint one_time_link_pkey PRIMARY KEY (digest),
  constraint one_time_link_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint one_time_link_action_check CHECK ((action = ANY (ARRAY['confirm'::text, 'cancel'::text])))
);

create table parked_push (
  id bigint not null generated always as identity,
  parent_id integer not null,
  tenant text not null,
  repeat_key bytea not null,
  source text,
  subject_hash bytea,
  sealed text,
  received_at timestamp with time zone not null,
  dropped_at timestamp with time zone,
  dropped_reason text,
  constraint parked_push_pkey PRIMARY KEY (id),
  constraint parked_push_parent_id_tenant_repeat_key_key UNIQUE (parent_id, tenant, repeat_key),
  constraint parked_push_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES account(id),
  constraint parked_push_dropped_check CHECK (((sealed IS NULL) = (dropped_at IS NOT NULL))),
  constraint parked_push_repeat_key_check CHECK ((octet_length(repeat_key) = 32))
);

create table provider_token (
  account_id integer not null,
  kind text not null,
  sealed text,
  key_id text,
  version bigint not null default 0,
  fetched_at timestamp with time zone,
  expires_at timestamp with time zone,
  rejected_version bigint,
  lease_owner text,
  leased_until timestamp with time zone,
  breaker_until timestamp with time zone,
  breaker_errcode bigint,
  breaker_reason text,
  failures integer not null default 0,
  forced_at timestamp with time zone,
  forced_count integer not null default 0,
  forced_day date,
  constraint provider_token_pkey PRIMARY KEY (account_id),
  constraint provider_token_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint provider_token_kind_check CHECK ((kind = 'provider'::text))
);

create table push_aside (
  id bigint not null generated always as identity,
  account_id integer not null,
  repeat_key bytea not null,
  subject_hash bytea,
  kind text not null,
  document bytea not null,
  reason text not null,
  times integer not null default 1,
  first_at timestamp with time zone not null default now(),
  last_at timestamp with time zone not null default now(),
  constraint push_aside_pkey PRIMARY KEY (id),
  constraint push_aside_account_id_repeat_key_key UNIQUE (account_id, repeat_key)
);

create table quota_clear (
  id bigint not null generated always as identity,
  account_id integer not null,
  cleared_at timestamp with time zone not null,
  interface text not null,
  actor text not null,
  constraint quota_clear_pkey PRIMARY KEY (id),
  constraint quota_clear_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint quota_clear_interface_check CHECK ((interface = ANY (ARRAY['clear_quota'::text, 'clear_quota/v2'::text])))
);

create table receipt (
  account_id integer not null,
  msgid text not null,
  status text not null,
  reason text not null,
  occurred_at timestamp with time zone not null,
  event_id bigint not null,
  constraint receipt_pkey PRIMARY KEY (account_id, msgid),
  constraint receipt_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint receipt_status_check CHECK ((status = ANY (ARRAY['delivered'::text, 'not_delivered'::text])))
);

create table reply (
  account_id integer not null,
  event_id bigint not null,
  state text not null default 'asked'::text,
  sealed text,
  asked_at timestamp with time zone not null default clock_timestamp(),
  constraint reply_pkey PRIMARY KEY (account_id, event_id),
  constraint reply_sealed_check CHECK (((state = 'given'::text) = (sealed IS NOT NULL))),
  constraint reply_state_check CHECK ((state = ANY (ARRAY['asked'::text, 'given'::text, 'none'::text])))
);

create table request_nonce (
  application_id uuid not null,
  nonce text not null,
  expires_at timestamp with time zone not null,
  constraint request_nonce_pkey PRIMARY KEY (application_id, nonce)
);

create table robot_message (
  message_id uuid not null,
  robot bytea not null,
  called_at timestamp with time zone,
  constraint robot_message_pkey PRIMARY KEY (message_id)
);

create table send_pace (
  account_id integer not null,
  per_second double precision,
  slowed_from double precision,
  slowed_to double precision,
  slowed_at timestamp with time zone,
  tokens double precision not null default 0,
  counted_at timestamp with time zone not null default clock_timestamp(),
  constraint send_pace_pkey PRIMARY KEY (account_id),
  constraint send_pace_per_second_check CHECK ((per_second > (0)::double precision))
);

create table send_policy (
  account_id integer not null,
  quiet_begins time without time zone,
  quiet_ends time without time zone,
  marketing_per_day integer,
  recipient_per_minute jsonb,
  changed_at timestamp with time zone,
  constraint send_policy_pkey PRIMARY KEY (account_id),
  constraint send_policy_marketing_per_day_check CHECK ((marketing_per_day > 0)),
  constraint send_policy_quiet_check CHECK (((quiet_begins IS NULL) = (quiet_ends IS NULL)))
);

create table sending_pause (
  account_id integer not null,
  channel text not null,
  until timestamp with time zone not null,
  errcode bigint,
  reason text not null,
  constraint sending_pause_pkey PRIMARY KEY (account_id, channel),
  constraint sending_pause_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id)
);

create table template (
  account_id integer not null,
  channel text not null,
  template_id text not null,
  title text not null,
  content text not null,
  example text not null,
  type text,
  choices jsonb not null,
  status text not null,
  status_at timestamp with time zone not null,
  first_seen_at timestamp with time zone not null,
  last_seen_at timestamp with time zone not null,
  changed_at timestamp with time zone,
  constraint template_pkey PRIMARY KEY (account_id, channel, template_id),
  constraint template_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint template_channel_check CHECK ((channel = ANY (ARRAY['template_message'::text, 'subscription_message'::text]))),
  constraint template_status_check CHECK ((status = ANY (ARRAY['live'::text, 'withdrawn'::text, 'banned'::text]))),
  constraint template_type_check CHECK ((type = ANY (ARRAY['one_time'::text, 'long_term'::text])))
);

create table template_alias (
  account_id integer not null,
  name text not null,
  channel text not null,
  steps jsonb not null,
  actor text not null,
  updated_at timestamp with time zone not null default now(),
  constraint template_alias_pkey PRIMARY KEY (account_id, name),
  constraint template_alias_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint template_alias_channel_check CHECK ((channel = ANY (ARRAY['template_message'::text, 'subscription_message'::text]))),
  constraint template_alias_steps_check CHECK ((jsonb_array_length(steps) > 0))
);

create table template_sync (
  account_id integer not null,
  began_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  doubted text[] not null default '{}'::text[],
  constraint template_sync_pkey PRIMARY KEY (account_id),
  constraint template_sync_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id)
);

create table token_death (
  account_id integer not null,
  version bigint not null,
  kind text not null,
  fetched_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  died_at timestamp with time zone not null,
  cause text not null,
  constraint token_death_pkey PRIMARY KEY (account_id, version),
  constraint token_death_account_id_fkey FOREIGN KEY (account_id) REFERENCES account(id),
  constraint token_death_cause_check CHECK ((cause = ANY (ARRAY['classic_elsewhere'::text, 'forced_elsewhere'::text, 'replaced_elsewhere'::text, 'secret_reset'::text])))
);

create table welcome_code (
  event_id bigint not null,
  account_id integer not null,
  sealed text not null,
  effective_at timestamp with time zone not null,
  constraint welcome_code_pkey PRIMARY KEY (event_id)
);

CREATE UNIQUE INDEX account_identity_key ON public.account USING btree (kind, app_id, COALESCE(parent_id, 0), (
CASE
    WHEN (kind = 'wecom_app'::text) THEN agent_id
    ELSE ''::text
END));

CREATE INDEX archive_room_asked_at_idx ON public.archive_room USING btree (account_id, asked_at NULLS FIRST, chat_id) WHERE (NOT dismissed);

CREATE INDEX broadcast_account_id_idx ON public.broadcast USING btree (account_id, id);

CREATE INDEX broadcast_unfinished_idx ON public.broadcast USING btree (fed_at) WHERE (finished_at IS NULL);

CREATE UNIQUE INDEX code_override_live_key ON public.code_override USING btree (account_id, code) WHERE (removed_at IS NULL);

CREATE INDEX consent_member_idx ON public.consent USING btree (account_id, lower(subject)) WHERE ((scope = ANY (ARRAY['member'::text, 'everything'::text])) AND (lower(subject) IS NOT NULL));

CREATE INDEX consent_ledger_attempt_idx ON public.consent_ledger USING btree (attempt_id) WHERE (attempt_id IS NOT NULL);

CREATE INDEX consent_ledger_subject_idx ON public.consent_ledger USING btree (account_id, subject, scope, effective_at);

CREATE INDEX consent_ledger_tenant_idx ON public.consent_ledger USING btree (account_id, event_id) WHERE ((scope = 'tenant'::text) AND (event_id IS NOT NULL));

CREATE INDEX delivery_due_idx ON public.delivery USING btree (endpoint_id, due_at) WHERE (status = 'waiting'::text);

CREATE INDEX delivery_ended_idx ON public.delivery USING btree (endpoint_id, status, finished_at) WHERE (finished_at IS NOT NULL);

CREATE UNIQUE INDEX delivery_event_key ON public.delivery USING btree (endpoint_id, event_id) WHERE (event_id IS NOT NULL);

CREATE INDEX delivery_waiting_age_idx ON public.delivery USING btree (endpoint_id, created_at) WHERE (status = 'waiting'::text);

CREATE INDEX endpoint_application_id_idx ON public.endpoint USING btree (application_id, id);

CREATE UNIQUE INDEX endpoint_callbacks_key ON public.endpoint USING btree (application_id) WHERE ((purpose = 'callbacks'::text) AND (removed_at IS NULL));

CREATE INDEX endpoint_events_idx ON public.endpoint USING btree (account_id) WHERE ((purpose = 'events'::text) AND (disabled_at IS NULL));

CREATE UNIQUE INDEX endpoint_reply_key ON public.endpoint USING btree (account_id) WHERE ((purpose = 'reply'::text) AND (removed_at IS NULL));

CREATE INDEX erasure_subject_hash_idx ON public.erasure USING btree (account_id, subject_hash);

CREATE INDEX event_id_idx ON ONLY public.event USING btree (id);

CREATE INDEX event_subject_idx ON ONLY public.event USING btree (account_id, subject, id) WHERE (subject IS NOT NULL);

CREATE INDEX event_other_account_id_subject_id_idx ON public.event_other USING btree (account_id, subject, id) WHERE (subject IS NOT NULL);

CREATE INDEX event_other_id_idx ON public.event_other USING btree (id);

CREATE INDEX follower_sync_account_id_idx ON public.follower_sync USING btree (account_id, id);

CREATE UNIQUE INDEX follower_sync_open_key ON public.follower_sync USING btree (account_id) WHERE (finished_at IS NULL);

CREATE INDEX message_account_id_idx ON public.message USING btree (account_id, id);

CREATE INDEX message_broadcast_ended_idx ON public.message USING btree (broadcast_id, status) WHERE ((broadcast_id IS NOT NULL) AND (status <> ALL (ARRAY['scheduled'::text, 'queued'::text, 'sending'::text])));

CREATE UNIQUE INDEX message_broadcast_line_idx ON public.message USING btree (broadcast_id, broadcast_line) WHERE (broadcast_id IS NOT NULL);

CREATE INDEX message_broadcast_queue_idx ON public.message USING btree (broadcast_id, status) WHERE ((broadcast_id IS NOT NULL) AND (status = ANY (ARRAY['scheduled'::text, 'queued'::text, 'sending'::text])));

CREATE INDEX message_channel_idx ON public.message USING btree (account_id, lane, channel, due_at) WHERE (status = ANY (ARRAY['scheduled'::text, 'queued'::text]));

CREATE INDEX message_counted_idx ON public.message USING btree (account_id, recipient, counted_at) WHERE ((counted_at IS NOT NULL) AND (recipient IS NOT NULL));

CREATE UNIQUE INDEX message_idempotency_key_idx ON public.message USING btree (application_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX message_msgid_idx ON public.message USING btree (account_id, msgid) WHERE (msgid IS NOT NULL);

CREATE INDEX message_recipient_idx ON public.message USING btree (account_id, recipient) WHERE (recipient IS NOT NULL);

CREATE INDEX message_sending_idx ON public.message USING btree (account_id, recipient) WHERE (status = 'sending'::text);

CREATE INDEX one_time_link_expires_at_idx ON public.one_time_link USING btree (expires_at);

CREATE INDEX one_time_link_person_idx ON public.one_time_link USING btree (subject_hash(account_id, subject)) WHERE (subject IS NOT NULL);

CREATE INDEX parked_push_received_at_idx ON public.parked_push USING btree (received_at);

CREATE INDEX parked_push_subject_hash_idx ON public.parked_push USING btree (subject_hash);

CREATE INDEX parked_push_waiting_idx ON public.parked_push USING btree (parent_id, tenant, id) WHERE (dropped_at IS NULL);

CREATE INDEX push_aside_last_at_idx ON public.push_aside USING btree (last_at);

CREATE INDEX push_aside_subject_hash_idx ON public.push_aside USING btree (account_id, subject_hash);

CREATE INDEX quota_clear_account_idx ON public.quota_clear USING btree (account_id, cleared_at);

CREATE INDEX receipt_occurred_at_idx ON public.receipt USING btree (occurred_at);

CREATE INDEX reply_asked_at_idx ON public.reply USING btree (asked_at);

CREATE INDEX request_nonce_expires_at_idx ON public.request_nonce USING btree (expires_at);

CREATE INDEX robot_message_robot_idx ON public.robot_message USING btree (robot, called_at) WHERE (called_at IS NOT NULL);

CREATE INDEX token_death_died_idx ON public.token_death USING btree (account_id, died_at);

CREATE INDEX welcome_code_effective_at_idx ON public.welcome_code USING btree (effective_at);

CREATE OR REPLACE FUNCTION public.add_broadcast_lines(p_broadcast_id uuid, p_before bigint, p_digest_before bytea, p_after bigint, p_digest_after bytea, p_recipients json, p_bad json, p_is_last boolean)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
  declare
    v_broadcast broadcast;
    v_given bigint;
    v_stored bigint;
    v_bad bigint;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.id = p_broadcast_id for no key update;

    if v_broadcast.received_at is null and v_broadcast.phase <> 'receiving' then
      return 'ended';
    end if;
    if v_broadcast.received_at is not null
      or v_broadcast.lines_read <> p_before
      or v_broadcast.lines_digest <> p_digest_before
    then
      return case
        when v_broadcast.lines_read > p_after and not p_is_last then 'known'
        when v_broadcast.lines_read = p_after and v_broadcast.lines_digest = p_digest_after then 'known'
        else 'differs'
      end;
    end if;

    with given as (
      select entry.line, entry.recipient, entry.data
      from json_to_recordset(p_recipients) as entry (line bigint, recipient text, data jsonb)
    ), stored as (
      insert into broadcast_recipient (broadcast_id, line, recipient, data)
      select p_broadcast_id, given.line, given.recipient, given.data
      from given order by given.line
      on conflict (broadcast_id, recipient) do nothing
      returning 1
    )
    select (select count(*) from given), (select count(*) from stored) into v_given, v_stored;

    insert into broadcast_bad_line (broadcast_id, line, reason)
    select p_broadcast_id, entry.line, entry.reason
    from json_to_recordset(p_bad) as entry (line bigint, reason text);
    get diagnostics v_bad = row_count;

    update broadcast set
      lines_read = p_after, lines_digest = p_digest_after,
      accepted = accepted + v_stored,
      duplicates = duplicates + v_given - v_stored,
      bad = bad + v_bad,
      received_at = case when p_is_last then clock_timestamp() end,
      phase = case when p_is_last then 'running' else phase end,
      updated_at = clock_timestamp()
    where id = p_broadcast_id;
    if p_is_last then
      perform pg_notify('broadcast_changed', '');
    end if;
    return 'stored';
  end
  $function$;

CREATE OR REPLACE FUNCTION public.apply_blacklist(p_sync_id bigint, p_owner text, p_page integer, p_offset integer, p_size integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_listed text[];
    v_subjects text[];
    v_count integer := 0;
  begin
    select page.subjects[p_offset + 1 : p_offset + p_size] into v_listed
    from follower_sync_page as page
    where page.sync_id = p_sync_id and page.kind = 'blocked' and page.number = p_page;
    if coalesce(cardinality(v_listed), 0) = 0 then
      return 0;
    end if;
    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(v_listed)]), v_listed
    );
    select array_agg(told.subject) into v_subjects
    from unnest(v_listed) as told (subject)
    left join lateral (
      select known.state, known.effective_at from consent as known
      where known.account_id = v_sync.account_id
        and known.subject = told.subject and known.scope = 'everything'
      limit 1
    ) as held on true
    where (held.state is null or (held.state = 'granted' and held.effective_at < v_sync.began_at)) and told.subject is not null;

    if v_subjects is not null then
      v_count := write_consents(
        v_sync.account_id, v_subjects,
        array_fill('everything'::text, array[cardinality(v_subjects)]),
        array_fill('suppressed'::text, array[cardinality(v_subjects)]),
        array_fill(v_sync.began_at, array[cardinality(v_subjects)]),
        array_fill('sync_blacklisted'::text, array[cardinality(v_subjects)]),
        array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
      );
    end if;
    update follower_sync set
      suppressed = suppressed + v_count,
      at_page = p_page, at_offset = p_offset + cardinality(v_listed), updated_at = clock_timestamp()
    where id = p_sync_id;
    return cardinality(v_listed);
  end
  $function$;

CREATE OR REPLACE FUNCTION public.apply_consent_changes(p_changes jsonb)
 RETURNS integer
 LANGUAGE plpgsql
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
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
        credits integer, expires_at timestamptz, template_id text
      )
    ), written as (
      insert into consent_ledger (
        account_id, subject, scope, change, effective_at, evidence, event_id, attempt_id, actor,
        reason, credits, expires_at, template_id
      )
      select
        account_id, subject, scope, change, effective_at, evidence, event_id, attempt_id, actor,
        reason, credits, expires_at, template_id
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
  $function$;

CREATE OR REPLACE FUNCTION public.apply_followers(p_sync_id bigint, p_owner text, p_page integer, p_offset integer, p_size integer, p_few integer, p_times json, OUT asked text[], OUT people integer)
 RETURNS record
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_listed text[];
    v_any_erasure boolean := exists (select from erasure where erasure.account_id = v_sync.account_id);
    v_unknown text[];
    v_in_doubt text[];
    v_subjects text[];
    v_times timestamptz[];
    v_granted integer := 0;
  begin
    select page.subjects[p_offset + 1 : p_offset + p_size] into v_listed
    from follower_sync_page as page
    where page.sync_id = p_sync_id and page.kind = 'follower' and page.number = p_page;
    asked := array[]::text[];
    people := coalesce(cardinality(v_listed), 0);
    if people = 0 then
      return;
    end if;

    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(v_listed)]), v_listed
    );

    with listed as (
      select told.subject, held.state, held.effective_at,
        v_any_erasure and exists (
          select from erasure
          where erasure.account_id = v_sync.account_id
            and erasure.subject_hash = subject_hash(v_sync.account_id, told.subject)
        ) as erased
      from unnest(v_listed) as told (subject)
      left join lateral (
        select known.state, known.effective_at from consent as known
        where known.account_id = v_sync.account_id
          and known.subject = told.subject and known.scope = 'follow'
        limit 1
      ) as held on true
      where held.state is distinct from 'granted' and told.subject is not null
    )
    select
      array_agg(subject) filter (where not erased and (
        state is null or (state = 'suppressed' and effective_at < v_sync.began_at)
      )),
      array_agg(subject) filter (where erased or state = 'revoked')
    into v_unknown, v_in_doubt
    from listed;

    if p_times is null and coalesce(cardinality(v_unknown), 0) <= p_few then
      v_in_doubt := v_in_doubt || v_unknown;
      v_unknown := null;
    end if;
    if p_times is null then
      v_subjects := v_unknown;
      v_times := array_fill(v_sync.began_at, array[coalesce(cardinality(v_unknown), 0)]);
    else
      -- a follower whose time the platform does not say follows since the run began at the latest
      select
        array_agg(told.subject),
        array_agg(case held.state
          when 'suppressed' then v_sync.began_at else coalesce(told.at, v_sync.began_at) end)
      into v_subjects, v_times
      from json_to_recordset(p_times) as told (subject text, at timestamptz)
      left join lateral (
        select known.state, known.effective_at from consent as known
        where known.account_id = v_sync.account_id
          and known.subject = told.subject and known.scope = 'follow'
        limit 1
      ) as held on true
      where told.subject = any (v_listed)
        and case coalesce(held.state, 'unknown')
          when 'unknown' then told.at is not null or not (v_any_erasure and exists (
            select from erasure
            where erasure.account_id = v_sync.account_id
              and erasure.subject_hash = subject_hash(v_sync.account_id, told.subject)
          ))
          when 'suppressed' then held.effective_at < v_sync.began_at
          when 'revoked' then held.effective_at < told.at
          else false
        end;
      v_in_doubt := null;
    end if;

    if v_subjects is not null then
      v_granted := write_consents(
        v_sync.account_id, v_subjects,
        array_fill('follow'::text, array[cardinality(v_subjects)]),
        array_fill('granted'::text, array[cardinality(v_subjects)]),
        v_times,
        array_fill('sync_following'::text, array[cardinality(v_subjects)]),
        array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
      );
    end if;

    update follower_sync set
      granted = granted + v_granted,
      applied = applied + case when v_in_doubt is null then cardinality(v_listed) else 0 end,
      at_page = p_page,
      at_offset = p_offset + case when v_in_doubt is null then cardinality(v_listed) else 0 end,
      updated_at = clock_timestamp()
    where id = p_sync_id;
    asked := coalesce(v_in_doubt, asked);
  end
  $function$;

CREATE OR REPLACE FUNCTION public.apply_receipt(p_account_id integer, p_subject text, p_event_id bigint, p_receipt jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  declare
    v_status text := p_receipt ->> 'status';
    v_reason text := p_receipt ->> 'reason';
    v_msgid text := p_receipt ->> 'msgid';
    v_channel text := p_receipt ->> 'channel';
    v_template_id text := p_receipt ->> 'template_id';
    v_occurred_at timestamptz := (p_receipt ->> 'occurred_at')::timestamptz;
    v_message message;
    v_attempt_id bigint;
  begin
    if v_msgid is not null then
      select * into v_message from message as wanted
      where wanted.account_id = p_account_id and wanted.msgid = v_msgid for update;
      if v_message.receipt_at > v_occurred_at then
        return v_message.id; -- a later word about it is known
      end if;
    end if;

    if v_message.id is null and v_channel = 'subscription_message' then
      -- the answer of bizsend names no id. What the platform has taken waits for a receipt, the oldest
      -- first; then what it is being asked to take; of the others nobody knows whether they arrived.
      select * into v_message from message as wanted
      where wanted.account_id = p_account_id and wanted.recipient = p_subject
        and wanted.channel = v_channel and wanted.template_id = v_template_id
        and wanted.status in ('sending', 'sent', 'unknown') and wanted.receipt_at is null
        -- a send whose id is known has another receipt: that id was looked for above
        and (wanted.msgid is null or v_msgid is null)
        and wanted.updated_at > v_occurred_at - interval '1 day'
      order by array_position(array['sent', 'sending', 'unknown'], wanted.status), wanted.id
      limit 1 for update;
      if v_message.status in ('sending', 'unknown') and exists (
        select from message as other
        where other.account_id = p_account_id and other.recipient = p_subject
          and other.channel = v_channel and other.template_id = v_template_id
          and other.status = 'unknown' and other.receipt_at is null and other.msgid is null
          and other.updated_at > v_occurred_at - interval '1 day' and other.id <> v_message.id
      ) then
        -- it can be for either; both have spent their credit. Where it names an id, an answer may still
        -- tell whose it is.
        if v_msgid is not null then
          insert into receipt (account_id, msgid, status, reason, occurred_at, event_id)
          values (p_account_id, v_msgid, v_status, v_reason, v_occurred_at, p_event_id)
          on conflict do nothing;
        end if;
        return null;
      end if;
    end if;

    if v_message.id is null and v_channel = 'template_message' then
      -- the only message to this person whose answer was lost, and none whose answer may still come
      select * into v_message from message as wanted
      where wanted.account_id = p_account_id and wanted.recipient = p_subject
        and wanted.channel = v_channel and wanted.msgid is null and wanted.receipt_at is null
        and wanted.status = 'unknown'
        and wanted.updated_at between v_occurred_at - interval '15 minutes' and v_occurred_at + interval '15 minutes'
        and not exists (
          select from message as other
          where other.account_id = p_account_id and other.recipient = p_subject
            and other.channel = v_channel and other.receipt_at is null and other.id <> wanted.id
            and (
              other.status = 'sending' or (other.status = 'unknown' and other.msgid is null)
              or (other.status = 'queued' and other.attempt_count > 0 and exists (
                select from attempt as lost
                where lost.message_id = other.id and lost.outcome = 'unknown'
              ))
            )
        )
      limit 1 for update;
    end if;

    if v_message.id is null then
      if v_channel = 'template_message' and v_msgid is not null then
        insert into receipt (account_id, msgid, status, reason, occurred_at, event_id)
        values (p_account_id, v_msgid, v_status, v_reason, v_occurred_at, p_event_id)
        on conflict do nothing;
      elsif v_channel = 'subscription_message' and v_status = 'delivered' then
        -- somebody else sent with this person's credit
        perform apply_consent_changes(jsonb_build_array(jsonb_build_object(
          'account_id', p_account_id, 'subject', p_subject, 'scope', 'template:' || v_template_id,
          'change', 'spent', 'effective_at', v_occurred_at, 'evidence', 'event',
          'event_id', p_event_id, 'reason', 'sent_elsewhere'
        )));
      end if;
      return null;
    end if;

    -- while the call is under way its end decides the status, knowing the receipt
    update message as told set
      receipt_status = v_status, receipt_reason = v_reason, receipt_at = v_occurred_at,
      msgid = coalesce(told.msgid, v_msgid),
      status = case when told.status in ('sent', 'unknown', 'delivered', 'not_delivered')
        then v_status else told.status end,
      reason = case when told.status = 'unknown' then null else told.reason end,
      updated_at = clock_timestamp()
    where told.id = v_message.id;

    if v_message.status = 'unknown' then
      -- of several attempts without an answer it can be any; the message was sent by one of them
      update attempt as told set outcome = 'sent', msgid = coalesce(told.msgid, v_msgid)
      where told.id = (
        select max(unanswered.id) from attempt as unanswered
        where unanswered.message_id = v_message.id and unanswered.outcome = 'unknown'
      );
    end if;
    if v_channel = 'subscription_message' and v_status = 'not_delivered' then
      -- the platform does not take the credit for a message it could not deliver
      select told.id into v_attempt_id from attempt as told
      where told.message_id = v_message.id and told.number = v_message.attempt_count;
      perform settle_credit(v_attempt_id, 'returned', v_reason);
    end if;
    return v_message.id;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.begin_sends(p_process text, p_lease interval, p_message_ids uuid[], OUT message_ids uuid[], OUT decisions text[], OUT reasons text[], OUT scopes text[], OUT attempt_ids bigint[], OUT numbers integer[])
 RETURNS record
 LANGUAGE sql
AS $function$
    select
      begun.message_ids, array_replace(begun.decisions, 'later', 'busy'), begun.reasons, begun.scopes,
      begun.attempt_ids, begun.numbers
    from begin_sends(p_process, p_lease, p_message_ids, '{}', '{}', '{}') as begun
  $function$;

CREATE OR REPLACE FUNCTION public.begin_sends(p_process text, p_lease interval, p_message_ids uuid[], p_channels text[], p_per_minutes integer[], p_per_hours integer[], OUT message_ids uuid[], OUT decisions text[], OUT reasons text[], OUT scopes text[], OUT attempt_ids bigint[], OUT numbers integer[], OUT untils timestamp with time zone[])
 RETURNS record
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
  declare
    v_now timestamptz;
    v_reservations jsonb;
    v_settled jsonb;
  begin
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from message as wanted where wanted.id = any (p_message_ids);
    v_now := clock_timestamp();

    with wanted as materialized (
      select * from message where message.id = any (p_message_ids) order by message.id for update
    ), judged as materialized (
      select
        wanted.id, wanted.account_id, wanted.recipient, wanted.channel, wanted.attempt_count,
        case
          when wanted.status not in ('queued', 'scheduled')
            or wanted.lease_owner is distinct from p_process
            or wanted.leased_until <= v_now then 'lost'
          when wanted.attempt_count > 0 and wanted.receipt_status is not null then 'told'
          when wanted.expires_at <= v_now
            or (
              wanted.attempt_count > 0
              and repeat_is_late(wanted.id, wanted.attempt_count, v_now)
            ) then 'expired'
          when limits.reason = 'quiet_hours' then 'later'
          when exists (
            select from message as other
            where other.account_id = wanted.account_id and other.recipient = wanted.recipient
              and other.status = 'sending'
            offset 0 -- each by its key, or it may read every call under way
          ) then 'busy'
          when not gate.allowed or limits.reason = 'person_cap' then 'blocked'
          when limits.reason = 'recipient_pace' then 'later'
          else 'allowed'
        end as verdict,
        case
          when gate.allowed or limits.reason = 'quiet_hours' then limits.reason else answer.reason
        end as reason,
        case when not gate.allowed then answer.scope end as missing,
        limits.until, limits.is_counted, answer.scope, answer.evidence, coalesce(
          answer.reserves_at,
          case when gate.allowed and not answer.allowed then greatest(v_now, kept.effective_at) end
        ) as reserves_at,
        kept.attempt_id as kept_attempt_id, kept.scope as kept_scope,
        kept.effective_at as kept_effective_at
      from wanted
      left join unnest(p_channels, p_per_minutes, p_per_hours) as usual (channel, per_minute, per_hour)
        on usual.channel = wanted.channel
      cross join lateral judge_send(
        wanted.account_id, wanted.recipient, wanted.channel, wanted.template_id,
        wanted.consent_scope, v_now
      ) as answer
      cross join lateral judge_limits(
        wanted.account_id, wanted.recipient, wanted.channel, wanted.lane, wanted.id, v_now,
        usual.per_minute, nullif(usual.per_hour, 0)
      ) as limits
      left join lateral (
        select reserved.attempt_id, reserved.scope, reserved.effective_at, (
          select held.effective_at <= reserved.effective_at from consent as held
          where held.account_id = wanted.account_id and held.subject = wanted.recipient
            and held.scope = reserved.scope
        ) as counts
        from attempt as tried
        cross join lateral (
          select entry.attempt_id, entry.scope, entry.effective_at
          from consent_ledger as entry
          where entry.attempt_id = tried.id and entry.change = 'reserved'
          offset 0 -- each by its key, or it may read every entry of an attempt
        ) as reserved
        where wanted.attempt_count > 0 and tried.message_id = wanted.id
          and tried.number <= wanted.attempt_count
          and not exists (
            select from consent_ledger as settled
            where settled.attempt_id = tried.id and settled.change in ('spent', 'returned')
            offset 0
          )
        limit 1
      ) as kept on true
      cross join lateral (
        -- the window is used up also by this very message: its repeat needs no other credit
        select answer.allowed
          or coalesce(kept.counts and right(answer.reason, 8) = '_used_up', false) as allowed
      ) as gate
    ), placed as materialized (
      -- of several messages to one person the first goes now
      select judged.*,
        case
          when judged.verdict <> 'allowed' then judged.verdict
          when row_number() over (
            partition by judged.verdict, judged.account_id, judged.recipient order by judged.id
          ) = 1 then 'begun'
          else 'busy'
        end as decision
      from judged
    ), numbered as materialized (
      select placed.*,
        case when placed.decision = 'begun' then nextval('attempt_id_seq') end as attempt_id
      from placed
    ), begun as (
      insert into attempt (id, message_id, account_id, number, started_at, evidence, process)
      overriding system value
      select
        numbered.attempt_id, numbered.id, numbered.account_id, numbered.attempt_count + 1, v_now,
        numbered.evidence, p_process
      from numbered where numbered.decision = 'begun'
    ), moved as (
      update message as moving set
        status = case
          when numbered.decision = 'begun' then 'sending'
          when numbered.decision = 'later' then moving.status
          -- the platform has said what became of the call whose answer was lost
          when numbered.decision = 'told' then moving.receipt_status
          -- an earlier attempt whose answer was lost may have been delivered: that stays the truth
          when moving.attempt_count > 0 and exists (
            select from attempt as tried
            where tried.message_id = moving.id and tried.outcome = 'unknown'
              -- true of all; without it there is a plan that reads every attempt there is
              and tried.number <= moving.attempt_count
          ) then 'unknown'
          else numbered.decision
        end,
        reason = case numbered.decision
          when 'begun' then case
            when moving.reason not in ('quiet_hours', 'recipient_pace') then moving.reason
          end
          when 'expired' then 'expired'
          when 'told' then null
          else numbered.reason
        end,
        missing_scope = case when numbered.decision = 'blocked'
          then numbered.missing else moving.missing_scope end,
        due_at = case when numbered.decision = 'later' then least(
          numbered.until, moving.expires_at,
          -- a repeat that may not be called for by then is to end soon (repeat_is_late)
          case when moving.attempt_count > 0 then v_now + interval '9 minutes' end
        ) else moving.due_at end,
        counted_at = case when numbered.decision = 'begun' and numbered.is_counted
          then v_now else moving.counted_at end,
        -- what the platform calls it: our own name, without hyphens
        msgid = case when numbered.decision = 'begun' and moving.channel = 'wecom_kf_message'
          then coalesce(moving.msgid, replace(moving.id::text, '-', '')) else moving.msgid end,
        attempt_count = moving.attempt_count + (numbered.decision = 'begun')::integer,
        lease_owner = case when numbered.decision = 'begun' then moving.lease_owner end,
        leased_until = case when numbered.decision = 'begun' then v_now + p_lease end,
        updated_at = v_now,
        finished_at = case when numbered.decision in ('begun', 'later')
          then moving.finished_at else v_now end
      from numbered
      where moving.id = numbered.id
        and numbered.decision in ('begun', 'blocked', 'expired', 'later', 'told')
    )
    select
      array_agg(numbered.id), array_agg(replace(numbered.decision, 'told', 'lost')),
      array_agg(case numbered.decision
        when 'expired' then 'expired' when 'blocked' then numbered.reason
        when 'later' then numbered.reason end),
      array_agg(case when numbered.decision = 'blocked' then numbered.missing end),
      array_agg(numbered.attempt_id), array_agg(numbered.attempt_count + 1),
      array_agg(numbered.until),
      jsonb_agg(jsonb_build_object(
        'account_id', numbered.account_id, 'subject', numbered.recipient,
        'scope', numbered.scope, 'change', 'reserved', 'effective_at', numbered.reserves_at,
        'evidence', 'attempt', 'attempt_id', numbered.attempt_id, 'reason', numbered.channel
      )) filter (where numbered.decision = 'begun' and numbered.reserves_at is not null),
      jsonb_agg(jsonb_build_object(
        'account_id', numbered.account_id, 'subject', numbered.recipient,
        'scope', numbered.kept_scope,
        'change', case numbered.decision when 'begun' then 'returned' else 'spent' end,
        'effective_at', numbered.kept_effective_at, 'evidence', 'attempt',
        'attempt_id', numbered.kept_attempt_id,
        'reason', case numbered.decision when 'begun' then 'repeated' else 'unknown' end
      )) filter (
        where numbered.kept_attempt_id is not null
          and numbered.decision in ('begun', 'blocked', 'expired', 'told')
      )
    into message_ids, decisions, reasons, scopes, attempt_ids, numbers, untils, v_reservations,
      v_settled
    from numbered;

    if v_reservations is not null or v_settled is not null then
      perform apply_consent_changes(coalesce(v_settled, '[]') || coalesce(v_reservations, '[]'));
    end if;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.cancel_broadcast_messages(p_broadcast_id uuid)
 RETURNS void
 LANGUAGE sql
 SET enable_seqscan TO 'off'
AS $function$
    with queue as materialized (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued', 'sending')
    ), waiting as materialized (
      select message.id from message
      where message.id = any (array(select queue.id from queue))
        and message.status <> 'sending' and message.finished_at is null
        and (message.leased_until is null or message.leased_until < clock_timestamp())
        and not exists (
          select from attempt where attempt.message_id = message.id and attempt.outcome = 'unknown'
          offset 0
        )
      order by message.id
      for no key update skip locked
    )
    update message set
      status = 'cancelled', reason = 'broadcast_cancelled', lease_owner = null, leased_until = null,
      updated_at = clock_timestamp(), finished_at = clock_timestamp()
    where message.id = any (array(select waiting.id from waiting))
$function$;

CREATE OR REPLACE FUNCTION public.carry_consents(p_account_id integer, p_event_id bigint, p_ended_at timestamp with time zone, p_reason text, p_from_subjects text[], p_from_scopes text[], p_to_subjects text[], p_to_scopes text[])
 RETURNS integer
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
  $function$;

CREATE OR REPLACE FUNCTION public.change_consents(p_changes jsonb)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
  begin
    perform lock_subjects(array_agg(change.account_id), array_agg(change.subject))
    from jsonb_to_recordset(p_changes) as change (account_id integer, subject text);
    -- a refusal that is told to us now comes after all that is on record, also where the platform's
    -- clock is ahead of ours
    return apply_consent_changes((
      select jsonb_agg(
        case when change ->> 'change' = 'revoked' and change ->> 'evidence' in ('api', 'operator')
          then change || jsonb_build_object('effective_at', greatest(
            (change ->> 'effective_at')::timestamptz,
            (
              select max(held.effective_at) from consent as held
              where held.account_id = (change ->> 'account_id')::integer
                and held.subject = change ->> 'subject'
            )
          ))
          else change
        end
      )
      from jsonb_array_elements(p_changes) as change
    ));
  end
  $function$;

CREATE OR REPLACE FUNCTION public.claim_messages(p_process text, p_lease interval, p_limit integer)
 RETURNS TABLE(id uuid, account_id integer, recipient text, channel text, template_id text, content jsonb, consent_scope text, sealed_secret text, expires_at timestamp with time zone, due_at timestamp with time zone, earlier jsonb)
 LANGUAGE sql
AS $function$
    select
      id, account_id, recipient, channel, template_id, content, consent_scope, sealed_secret,
      expires_at, due_at, earlier
    from claim_messages(p_process, p_lease, p_limit, '{}', '{}', '{}', p_limit)
  $function$;

CREATE OR REPLACE FUNCTION public.claim_messages(p_process text, p_lease interval, p_limit integer, p_account_ids integer[], p_rooms integer[], p_held integer[], p_other_room integer)
 RETURNS TABLE(id uuid, account_id integer, recipient text, channel text, template_id text, content jsonb, consent_scope text, sealed_secret text, expires_at timestamp with time zone, due_at timestamp with time zone, earlier jsonb, on_trial boolean, is_paced boolean, has_more boolean, lane smallint)
 LANGUAGE sql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
    with recursive ends as materialized (
      select
        (
          select head.account_id from message as head where head.status in ('scheduled', 'queued')
          order by head.account_id, head.lane, head.channel, head.due_at limit 1
        ) as first,
        (
          select head.account_id from message as head where head.status in ('scheduled', 'queued')
          order by head.account_id desc, head.lane desc, head.channel desc, head.due_at desc limit 1
        ) as last
    ), start as materialized (
      select ends.first + floor(random() * (ends.last - ends.first + 1))::integer as account_id
      from ends
    ), later as (
      (
        select head.account_id, head.lane, head.channel, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued') and head.account_id >= (select start.account_id from start)
        order by head.account_id, head.lane, head.channel, head.due_at
        limit 1
      )
      union all
      select after.account_id, after.lane, after.channel, after.due_at
      from later
      cross join lateral (
        select head.account_id, head.lane, head.channel, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
          and (head.account_id, head.lane, head.channel)
            > (later.account_id, later.lane, later.channel)
        order by head.account_id, head.lane, head.channel, head.due_at
        limit 1
      ) as after
      
    ),
    earlier as (
      (
        select head.account_id, head.lane, head.channel, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
        order by head.account_id, head.lane, head.channel, head.due_at
        limit 1
      )
      union all
      select after.account_id, after.lane, after.channel, after.due_at
      from earlier
      cross join lateral (
        select head.account_id, head.lane, head.channel, head.due_at
        from message as head
        where head.status in ('scheduled', 'queued')
          and (head.account_id, head.lane, head.channel)
            > (earlier.account_id, earlier.lane, earlier.channel)
        order by head.account_id, head.lane, head.channel, head.due_at
        limit 1
      ) as after
      where earlier.account_id < (select start.account_id from start)
    ),
    most as materialized (
      select case when not exists (select from call_breaker where call_breaker.account_id = 0)
        then greatest(256, 4 * p_limit) end as lanes
    ), lane as materialized (
      -- no more of the walk is done than this takes of it
      select * from later where later.due_at <= now()
      union all
      select * from earlier
      where earlier.due_at <= now() and earlier.account_id < (select start.account_id from start)
      limit (select most.lanes from most)
    ), bucket as materialized (
      select pace.account_id, filled.tokens
      from send_pace as pace
      cross join lateral (
        select pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) as per_second
      ) as allowed
      cross join lateral (
        -- no more than a second's, so that a rest is not made up for in one burst
        select least(
          greatest(2, allowed.per_second),
          pace.tokens + allowed.per_second * greatest(0, extract(epoch from now() - pace.counted_at))
        ) as tokens
      ) as filled
      where allowed.per_second is not null
      for update of pace skip locked
    ), paced as materialized (
      select pace.account_id, floor(coalesce(bucket.tokens, 0))::integer as room
      from send_pace as pace
      left join bucket on bucket.account_id = pace.account_id
      where pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) is not null
    ), channel_bucket as materialized (
      select pace.account_id, pace.channel, filled.tokens
      from channel_pace as pace
      cross join lateral (
        select pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) as per_second
      ) as allowed
      cross join lateral (
        select least(
          greatest(2, allowed.per_second),
          pace.tokens + allowed.per_second * greatest(0, extract(epoch from now() - pace.counted_at))
        ) as tokens
      ) as filled
      where allowed.per_second is not null
      for update of pace skip locked
    ), channel_paced as materialized (
      select pace.account_id, pace.channel, floor(coalesce(bucket.tokens, 0))::integer as room
      from channel_pace as pace
      left join channel_bucket as bucket
        on bucket.account_id = pace.account_id and bucket.channel = pace.channel
      where pace_now(pace.per_second, pace.slowed_from, pace.slowed_to, pace.slowed_at) is not null
    ), quiet as materialized (
      select policy.account_id from send_policy as policy
      where quiet_until(policy.quiet_begins, policy.quiet_ends, now()) is not null
    ), found as materialized (
      select
        lane.account_id, lane.lane, lane.channel, coalesce(known.held, 0) as held,
        coalesce(own.until, theirs.until) is not null as on_trial,
        paced.room is not null or channel_paced.room is not null as is_paced,
        channel_paced.room as channel_room,
        lane.lane = 1 and quiet.account_id is not null as is_quiet,
        coalesce(count(*) over () >= (select most.lanes from most), false) as is_cut,
        least(paced.room, case
          when own.until > now() or theirs.until > now() then 0
          when theirs.until is not null and lane.account_id > min(lane.account_id)
            filter (where own.until is null or own.until <= now())
            over (partition by theirs.host) then 0
          when own.until is not null or theirs.until is not null
            then 1 - coalesce(known.held, 0)
          else coalesce(known.room, p_other_room)
        end) as room
      from lane
      -- the process names a few hundred accounts: a join would compare each with each
      cross join lateral (
        select array_position(p_account_ids, lane.account_id) as place offset 0
      ) as named
      cross join lateral (
        select p_rooms[named.place] as room, p_held[named.place] as held
      ) as known
      -- row by row by the key: a join may read every account there is for each lane
      left join lateral (
        select open.until from call_breaker as open
        where open.account_id = lane.account_id and open.host = '' offset 0
      ) as own on true
      left join lateral (
        select open.host, open.until from call_breaker as open
        where open.account_id = 0 and open.host = (
          select case when owner.kind like 'wecom%' then 'wecom' else 'wechat' end
          from account as owner where owner.id = lane.account_id
        ) offset 0
      ) as theirs on true
      left join paced on paced.account_id = lane.account_id
      left join channel_paced
        on channel_paced.account_id = lane.account_id and channel_paced.channel = lane.channel
      left join quiet on quiet.account_id = lane.account_id
      
    ), wanted as materialized (
      select found.*,
        greatest(1, (2 * p_limit + count(*) over () - 1) / count(*) over ())::integer as share,
        random() * 7 as luck
      from found where least(found.room, found.channel_room) > 0
    ), taken as materialized (
      select
        waiting.id, wanted.account_id, wanted.lane, wanted.channel, wanted.held, wanted.room,
        wanted.channel_room, wanted.on_trial, wanted.is_paced, wanted.share, wanted.luck,
        wanted.is_cut,
        -- what is due at the same moment goes as it came, not by the names of the channels
        row_number() over (
          partition by wanted.account_id, wanted.lane order by waiting.due_at, waiting.id
        ) as place,
        row_number() over (
          partition by wanted.account_id, wanted.lane, wanted.channel
          order by waiting.due_at, waiting.id
        ) as channel_place
      from wanted
      cross join lateral (
        select next.id, next.due_at
        from message as next
        where next.account_id = wanted.account_id and next.lane = wanted.lane
          and next.channel = wanted.channel
          and next.status in ('scheduled', 'queued')
          and next.due_at <= now()
          and (next.leased_until is null or next.leased_until < now())
          and (
            not wanted.is_quiet and not exists (
              select from sending_pause as pause
              where pause.account_id = next.account_id and pause.channel = next.channel
                and pause.until > now()
            )
            -- no call is made for it: the gate ends it, and nobody waits for that until the rest is over
            or next.expires_at <= now() or repeat_is_late(next.id, next.attempt_count, now())
          )
        order by next.due_at
        limit least(wanted.room, wanted.channel_room, wanted.share)
        for update skip locked
      ) as waiting
    ), turned as materialized (
      select taken.*,
        -- one draw for a lane, however many channels it has
        case taken.lane when 0 then taken.place else 7 * taken.place - min(taken.luck)
          over (partition by taken.account_id, taken.lane) end as turn
      from taken
    ), due as materialized (
      select
        fitting.id, fitting.account_id, fitting.channel, fitting.on_trial, fitting.is_paced,
        fitting.is_cut or (
          fitting.channel_place = fitting.share
          and fitting.share < least(fitting.room, fitting.channel_room)
        ) as has_more
      from (
        select turned.*,
          row_number() over (partition by turned.account_id order by turned.turn, turned.lane)
            as account_place
        from (
          select turned.*,
            row_number() over (
              partition by turned.account_id, turned.channel order by turned.turn, turned.lane
            ) as both_lanes_place
          from turned
        ) as turned
        where turned.channel_room is null or turned.both_lanes_place <= turned.channel_room
      ) as fitting
      where fitting.account_place <= fitting.room
      order by fitting.held + fitting.turn, fitting.lane, random()
      limit least(p_limit, (select paced.room from paced where paced.account_id = 0))
    ), spent as (
      update send_pace as pace set tokens = bucket.tokens - used.count, counted_at = now()
      from bucket
      cross join lateral (
        select count(*) as count from due where bucket.account_id in (0, due.account_id)
      ) as used
      where pace.account_id = bucket.account_id and used.count > 0
    ), channel_spent as (
      update channel_pace as pace set tokens = bucket.tokens - used.count, counted_at = now()
      from channel_bucket as bucket
      cross join lateral (
        select count(*) as count from due
        where due.account_id = bucket.account_id and due.channel = bucket.channel
      ) as used
      where pace.account_id = bucket.account_id and pace.channel = bucket.channel and used.count > 0
    )
    update message as claimed set lease_owner = p_process, leased_until = now() + p_lease
    from due
    where claimed.id = due.id
    returning
      claimed.id, claimed.account_id, claimed.recipient, claimed.channel, claimed.template_id,
      claimed.content, claimed.consent_scope, claimed.sealed_secret, claimed.expires_at, claimed.due_at,
      case when claimed.attempt_count > 0 then (
        select jsonb_agg(
          jsonb_build_object('started_at', attempt.started_at, 'cause', attempt.cause)
          order by attempt.number
        )
        from attempt where attempt.message_id = claimed.id
      ) end,
      due.on_trial, due.is_paced, due.has_more, claimed.lane
  $function$;

CREATE OR REPLACE FUNCTION public.consent_severity(p_change text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
RETURN CASE p_change WHEN 'revoked'::text THEN 2 WHEN 'suppressed'::text THEN 1 ELSE 0 END;

CREATE OR REPLACE FUNCTION public.create_event_partitions(p_from timestamp with time zone, p_until timestamp with time zone)
 RETURNS SETOF text
 LANGUAGE plpgsql
AS $function$
  declare
    v_month timestamp;
    v_name text;
    v_begin timestamptz;
    v_end timestamptz;
  begin
    for v_month in
      select generate_series(
        date_trunc('month', p_from at time zone 'UTC'),
        date_trunc('month', p_until at time zone 'UTC'), '1 month'
      )
    loop
      v_name := 'event_' || to_char(v_month, 'YYYYMM');
      if to_regclass(v_name) is not null then
        continue;
      end if;
      -- several processes notice a new month at once: the others wait here and then find it made
      perform pg_advisory_xact_lock(hashtextextended('event partitions', 0));
      if to_regclass(v_name) is not null then
        continue;
      end if;
      v_begin := v_month at time zone 'UTC';
      v_end := (v_month + interval '1 month') at time zone 'UTC';
      execute format(
        'create table %I (like event including defaults including constraints)', v_name);
      -- what came before its month was made
      execute format(
        'with moved as (
           delete from event_other where occurred_at >= %1$L and occurred_at < %2$L returning *
         )
         insert into %3$I select * from moved', v_begin, v_end, v_name);
      execute format(
        'alter table event attach partition %I for values from (%L) to (%L)', v_name, v_begin, v_end);
      return next v_name;
    end loop;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.deliver_broadcast_end()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    insert into delivery (endpoint_id, broadcast_id)
    select endpoint.id, new.id
    from endpoint
    where endpoint.application_id = new.application_id and endpoint.purpose = 'callbacks'
      and endpoint.disabled_at is null;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.deliver_message_result()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    insert into delivery (endpoint_id, message_id)
    select endpoint.id, new.id
    from endpoint
    where endpoint.application_id = new.application_id and endpoint.purpose = 'callbacks'
      and endpoint.disabled_at is null;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.disable_endpoints_of_application()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    update endpoint set
      disabled_at = clock_timestamp(), disabled_reason = 'application_revoked',
      updated_at = clock_timestamp()
    where endpoint.application_id = new.id and endpoint.disabled_at is null;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.drop_event_partitions(p_before timestamp with time zone)
 RETURNS SETOF text
 LANGUAGE plpgsql
AS $function$
  declare
    v_part record;
  begin
    for v_part in
      select part.name
      from (
        select
          child.relname as name,
          case
            when child.relname ~ '^event_[0-9]{6}$'
              then (to_date(right(child.relname, 6), 'YYYYMM') + interval '1 month') at time zone 'UTC'
            when child.relname ~ '^event_before_[0-9]{6}$'
              then to_date(right(child.relname, 6), 'YYYYMM')::timestamp at time zone 'UTC'
          end as until
        from pg_inherits
        join pg_class as child on child.oid = pg_inherits.inhrelid
        where pg_inherits.inhparent = 'event'::regclass
      ) as part
      where part.until <= p_before
      order by part.until
    loop
      execute format('drop table %I', v_part.name);
      return next v_part.name;
    end loop;
    delete from event_other where event_other.occurred_at < p_before;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.erase_account_people(p_account_id integer, p_effective_at timestamp with time zone, p_reason text, p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
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
          select listed.recipient
          from broadcast
          cross join lateral (
            select place.recipient from broadcast_recipient as place
            where place.broadcast_id = broadcast.id and place.recipient is not null
            order by place.recipient limit p_limit
          ) as listed
          where broadcast.account_id = p_account_id
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
    $function$;

CREATE OR REPLACE FUNCTION public.erase_account_rest(p_account_id integer, p_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
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
    $function$;

CREATE OR REPLACE FUNCTION public.erase_subject(p_account_id integer, p_subject text, p_effective_at timestamp with time zone, p_actor text, p_reason text)
 RETURNS bigint
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
  declare
    v_ledger_rows integer;
    v_events integer;
    v_messages integer;
    v_erasure_id bigint;
  begin
    perform lock_subjects(array[p_account_id], array[p_subject]);

    -- first where lists and messages are made from, so that nothing is made behind our back: the
    -- expansion of an audience locks the consent, the feeder the place in a list
    delete from consent as held
    where held.account_id = p_account_id and held.subject = p_subject;
    update broadcast_recipient as listed set recipient = null, data = null
    from broadcast
    where broadcast.account_id = p_account_id
      and listed.broadcast_id = broadcast.id and listed.recipient = p_subject;

    
    update follower_sync_page as page set subjects = array_replace(page.subjects, p_subject, null)
    from follower_sync as run
    where run.account_id = p_account_id and run.finished_at is null
      and page.sync_id = run.id and p_subject = any (page.subjects);
    with again as (
      update follower_sync as run set
        cursor = '', pages = 0, listed = case run.phase when 'list' then 0 else run.listed end,
        lease_owner = null, leased_until = null, updated_at = clock_timestamp()
      where run.account_id = p_account_id and run.finished_at is null and run.cursor = p_subject
      returning run.id, case run.phase when 'list' then 'follower' else 'blocked' end as kind
    )
    delete from follower_sync_page as page using again
    where page.sync_id = again.id and page.kind = again.kind;
    update broadcast set expanded_after = (
      select max(listed.recipient) from broadcast_recipient as listed
      where listed.broadcast_id = broadcast.id and listed.recipient < p_subject
    )
    where broadcast.account_id = p_account_id and broadcast.expanded_after = p_subject;

    -- what the platform or the application wrote about a message may name its person
    update attempt as forgotten set errmsg = null
    from message
    where message.account_id = p_account_id and message.recipient = p_subject
      and forgotten.message_id = message.id and forgotten.errmsg is not null;

    -- what is under way keeps its status but not its person; what waits is not sent
    update message as forgotten set
      recipient = null, content = null, purpose = null, request_digest = null,
      idempotency_key = null,
      status = case when status in ('scheduled', 'queued') then 'cancelled' else status end,
      reason = case when status in ('scheduled', 'queued') then 'erased' else reason end,
      finished_at = case when status in ('scheduled', 'queued') then clock_timestamp() else finished_at end,
      updated_at = clock_timestamp()
    where forgotten.account_id = p_account_id and forgotten.recipient = p_subject;
    get diagnostics v_messages = row_count;

    update event set subject = null, document = '', erased_at = clock_timestamp()
    where event.account_id = p_account_id and event.subject = p_subject;
    get diagnostics v_events = row_count;

    perform set_config('wcg.erasing', 'on', true);
    delete from consent_ledger as entry
    where entry.account_id = p_account_id and entry.subject = p_subject;
    get diagnostics v_ledger_rows = row_count;
    perform set_config('wcg.erasing', 'off', true);

    insert into erasure (
      account_id, subject_hash, effective_at, actor, reason, ledger_rows, events, messages
    )
    values (
      p_account_id, subject_hash(p_account_id, p_subject), p_effective_at, p_actor, p_reason,
      v_ledger_rows, v_events, v_messages
    )
    returning id into v_erasure_id;
    return v_erasure_id;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.expand_broadcast(p_limit integer)
 RETURNS TABLE(broadcast_id uuid, account_id integer, added bigint, accepted bigint, done boolean)
 LANGUAGE plpgsql
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
  declare
    v_broadcast broadcast;
    c_read constant integer := 10 * p_limit;
    v_read integer;
    v_end text;
    v_last text;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.phase = 'expanding' and wanted.finished_at is null and wanted.paused_at is null
    order by wanted.id limit 1
    for no key update skip locked;
    if not found then
      return;
    end if;

    -- a step reads so much, however few of them belong to the audience
    select count(*), max(slice.subject) into v_read, v_end from (
      select held.subject from consent as held
      where held.account_id = v_broadcast.account_id
        and held.subject > coalesce(v_broadcast.expanded_after, '')
      order by held.subject limit c_read
    ) as slice;

    begin
      with person as materialized (
        select held.subject
        from consent as held
        where held.account_id = v_broadcast.account_id
          and held.subject > coalesce(v_broadcast.expanded_after, '') and held.subject <= v_end
          and held.scope = v_broadcast.audience_scope
          and held.state = 'granted'
          and (held.expires_at is null or held.expires_at > clock_timestamp())
          and held.credits is distinct from 0
        order by held.subject
        limit p_limit
        for key share nowait
      ), stored as (
        insert into broadcast_recipient (broadcast_id, line, recipient)
        select v_broadcast.id,
          v_broadcast.lines_read + row_number() over (order by person.subject), person.subject
        from person
        returning 1
      )
      select (select count(*) from stored), max(person.subject) into added, v_last from person;
    exception when lock_not_available then
      return;
    end;

    broadcast_id := v_broadcast.id; account_id := v_broadcast.account_id;
    accepted := v_broadcast.accepted + added;
    done := added < p_limit and v_read < c_read;
    update broadcast as wanted set
      expanded_after = coalesce(case when added < p_limit then v_end else v_last end, wanted.expanded_after),
      lines_read = wanted.lines_read + added,
      accepted = expand_broadcast.accepted,
      phase = case when done then 'running' else wanted.phase end,
      received_at = case when done then clock_timestamp() end,
      updated_at = clock_timestamp()
    where wanted.id = v_broadcast.id;
    return next;
  end
$function$;

CREATE OR REPLACE FUNCTION public.feed_broadcast()
 RETURNS TABLE(broadcast_id uuid, account_id integer, state text, fed bigint, accepted bigint, reason text)
 LANGUAGE plpgsql
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
  declare
    c_least constant integer := 20;
    c_most constant integer := 1000;
    c_ahead_seconds constant double precision := 0.25;
    c_rate_seconds constant double precision := 5;
    v_now timestamptz;
    v_quiet_until timestamptz;
    v_broadcast broadcast;
    v_waiting integer;
    v_sending integer;
    v_seconds double precision;
    v_taken double precision;
    v_limit integer;
    v_picked bigint := 0;
    v_last bigint;
  begin
    select * into v_broadcast from broadcast as wanted
    where wanted.finished_at is null
      and (wanted.phase = 'cancelled' or (wanted.phase = 'running' and wanted.send_at <= clock_timestamp()))
      and (wanted.fed_at is null or wanted.fed_at <= clock_timestamp() - case
        when wanted.phase = 'running' and wanted.paused_at is null and (
          select quiet_until(policy.quiet_begins, policy.quiet_ends, clock_timestamp())
          from send_policy as policy where policy.account_id = wanted.account_id
        ) is null then interval '50 milliseconds'
        else interval '1 second'
      end)
    order by wanted.fed_at nulls first limit 1
    for no key update skip locked;
    if not found then
      return;
    end if;

    v_now := clock_timestamp();
    broadcast_id := v_broadcast.id; account_id := v_broadcast.account_id;
    accepted := v_broadcast.accepted; fed := 0; reason := null;
    select quiet_until(policy.quiet_begins, policy.quiet_ends, v_now) into v_quiet_until
    from send_policy as policy where policy.account_id = v_broadcast.account_id;

    if v_broadcast.phase = 'cancelled' then
      state := 'cancelled';
      perform cancel_broadcast_messages(v_broadcast.id);
    elsif v_broadcast.paused_at is not null and v_now < v_broadcast.expires_at then
      state := 'paused';
      perform hold_broadcast_messages(v_broadcast.id);
    elsif v_quiet_until is not null and v_now < v_broadcast.expires_at then
      state := 'resting';
    else
      state := 'running';
    end if;

    select
      count(*) filter (where queue.status <> 'sending'), count(*) filter (where queue.status = 'sending')
    into v_waiting, v_sending
    from message as queue
    where queue.broadcast_id = v_broadcast.id and queue.status in ('scheduled', 'queued', 'sending');

    if state <> 'running' then
      if state = 'cancelled' and v_waiting + v_sending = 0 then
        state := 'ended';
        reason := v_broadcast.reason;
      end if;
      update broadcast as wanted set
        fed_at = v_now, queued_then = v_waiting, feed_window = c_least,
        finished_at = case when state = 'ended' then v_now end
      where wanted.id = v_broadcast.id;
      return next;
      return;
    end if;

    v_seconds := greatest(0.001, extract(epoch from v_now - coalesce(v_broadcast.fed_at, v_now)));
    v_taken := greatest(0, v_broadcast.queued_then - v_waiting) / v_seconds;
    v_broadcast.feed_window := least(c_most, greatest(
      c_least, ceil(v_taken * c_ahead_seconds), ceil(v_broadcast.feed_window * 0.7)
    ));
    v_limit := case when v_now < v_broadcast.expires_at
      then greatest(0, v_broadcast.feed_window - v_waiting) else 0 end;

    if v_limit > 0 then
      begin
        with picked as materialized (
          select listed.line, listed.recipient, listed.data
          from broadcast_recipient as listed
          where listed.broadcast_id = v_broadcast.id and listed.line > v_broadcast.fed_line
          order by listed.line
          limit v_limit
          for key share nowait
        ), queued as (
          insert into message (
            id, account_id, application_id, recipient, channel, template_id, content, purpose, status,
            send_at, expires_at, due_at, created_at, updated_at, broadcast_id, broadcast_line, lane, callback_url, consent_scope
          )
          select
            new_message_id(), v_broadcast.account_id, v_broadcast.application_id, picked.recipient,
            v_broadcast.channel, v_broadcast.template_id,
            case when picked.data is null then v_broadcast.content
              else jsonb_set(
                v_broadcast.content, '{data}', (v_broadcast.content -> 'data') || picked.data
              ) end,
            v_broadcast.purpose, 'queued', v_now, v_broadcast.expires_at, v_now, v_now, v_now,
            v_broadcast.id, picked.line, 1, case when v_broadcast.tells_each then v_broadcast.callback_url end, v_broadcast.consent_scope
          from picked
          where picked.recipient is not null -- a person erased before their turn
          order by picked.line
          returning 1
        )
        select (select count(*) from queued), count(*), max(picked.line)
        into fed, v_picked, v_last
        from picked;
      exception when lock_not_available then
        fed := 0; v_picked := v_limit;
      end;
    end if;

    if v_waiting + v_sending + fed = 0 and v_picked < greatest(v_limit, 1) then
      state := 'ended';
      reason := case when v_limit = 0 and exists (
        select from broadcast_recipient as listed
        where listed.broadcast_id = v_broadcast.id and listed.line > v_broadcast.fed_line
          and listed.recipient is not null
      ) then 'expired' end;
    end if;

    update broadcast as wanted set
      fed_line = coalesce(v_last, wanted.fed_line),
      skipped = wanted.skipped + case when v_last is null then 0 else v_picked - fed end,
      fed_at = v_now, queued_then = v_waiting + fed, feed_window = v_broadcast.feed_window,
      rate = case
        when wanted.fed_at is null then null
        when wanted.rate is null then nullif(v_taken, 0)
        else wanted.rate + (v_taken - wanted.rate) * (1 - exp(- v_seconds / c_rate_seconds))
      end,
      started_at = coalesce(wanted.started_at, v_now),
      phase = case when state = 'ended' then 'completed' else wanted.phase end,
      reason = coalesce(feed_broadcast.reason, wanted.reason),
      finished_at = case when state = 'ended' then v_now end,
      updated_at = case when fed > 0 or state = 'ended' then v_now else wanted.updated_at end
    where wanted.id = v_broadcast.id;
    if fed > 0 then
      perform pg_notify('message_queued', '');
    end if;
    return next;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.finish_sends(p_ends json, OUT attempt_ids bigint[], OUT statuses text[])
 RETURNS record
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
  declare
    v_now timestamptz;
    v_settled jsonb;
    v_refusals jsonb;
  begin
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from json_to_recordset(p_ends) as ending (attempt_id bigint)
    join attempt on attempt.id = ending.attempt_id
    join message as wanted on wanted.id = attempt.message_id;
    v_now := clock_timestamp();

    with ended as materialized (
      -- the message first, then its attempt, as everybody does: an erased message has no person to lock
      select
        ending.*, tried.number, tried.evidence, coalesce(tried.outcome = 'unknown', false) as was_unknown,
        told.id as message_id, told.account_id, told.recipient, told.channel,
        told.status as status_before, told.receipt_status as receipt_before,
        told.attempt_count = tried.number as is_newest,
        -- not a condition of the join: it would invite a plan that reads every attempt there is
        tried.outcome is null or tried.outcome = 'unknown' as is_open
      from json_to_recordset(p_ends) as ending (
        attempt_id bigint, outcome text, cause text, errcode bigint, errmsg text, http_status integer,
        rid text, msgid text, credit text, status text, reason text, due_at timestamptz, changes jsonb
      )
      join attempt as tried on tried.id = ending.attempt_id
      join message as told on told.id = tried.message_id
      order by told.id
      for update of told
    ), judged as materialized (
      select
        ended.*,
        early.status as early_status, early.reason as early_reason, early.occurred_at as early_at,
        -- a newer attempt, or a receipt, has already said more than this one can. What waits to be
        -- called again because this answer was missing, or was cancelled then, is told the truth.
        ended.is_newest and (
          ended.status_before in ('sending', 'unknown')
          or (ended.was_unknown and ended.status_before = 'queued' and ended.outcome <> 'unknown')
          or (ended.was_unknown and ended.status_before = 'cancelled' and ended.outcome = 'sent')
        ) as decides,
        case
          when ended.outcome in ('sent', 'unknown')
            then coalesce(early.status, ended.receipt_before, ended.status)
          when lost.known = 'sent' or (ended.status <> 'queued' and lost.known is not null)
            then coalesce(ended.receipt_before, lost.known)
          else ended.status
        end as status_after,
        case
          when ended.outcome in ('sent', 'unknown') or lost.known is null then ended.credit
          when lost.known = 'sent' or ended.status <> 'queued' then 'spent'
        end as credit_after
      from ended
      left join receipt as early
        on ended.outcome = 'sent' and early.account_id = ended.account_id
        and early.msgid = ended.msgid
      left join lateral (
        select case when bool_or(other.outcome = 'sent') then 'sent'
          when bool_or(other.outcome = 'unknown') then 'unknown' end as known
        from attempt as other
        where ended.number > 1 and ended.outcome not in ('sent', 'unknown')
          and other.message_id = ended.message_id and other.id <> ended.attempt_id
      ) as lost on true
      where ended.is_open
    ), closed as (
      update attempt as closing set
        finished_at = v_now, outcome = judged.outcome, cause = judged.cause,
        errcode = judged.errcode,
        -- the platform's words may name the person, and this one has been erased
        errmsg = case when judged.recipient is not null then judged.errmsg end,
        http_status = judged.http_status, rid = judged.rid, msgid = judged.msgid
      from judged
      where closing.id = judged.attempt_id
    ), moved as (
      update message as moving set
        status = judged.status_after,
        reason = case
          when judged.status_after in ('sent', 'delivered', 'not_delivered')
            and judged.outcome <> 'sent' then null else judged.reason
        end,
        msgid = coalesce(judged.msgid, moving.msgid),
        receipt_status = coalesce(judged.early_status, moving.receipt_status),
        receipt_reason = coalesce(judged.early_reason, moving.receipt_reason),
        receipt_at = coalesce(judged.early_at, moving.receipt_at),
        due_at = coalesce(judged.due_at, moving.due_at),
        lease_owner = null, leased_until = null, updated_at = v_now,
        finished_at = case when judged.status_after = 'queued' then null else v_now end
      from judged
      where moving.id = judged.message_id and judged.decides
    ), forgotten as (
      delete from receipt as early
      using judged
      where judged.early_status is not null and judged.decides
        and early.account_id = judged.account_id and early.msgid = judged.msgid
    )
    select
      array_agg(judged.attempt_id),
      array_agg(case when judged.decides then judged.status_after else judged.status_before end),
      -- a template message draws on no credit
      jsonb_agg(jsonb_build_object(
        'attempt_id', judged.attempt_id, 'change', judged.credit_after, 'reason', judged.outcome
      )) filter (
        where judged.credit_after in ('spent', 'returned') and judged.channel <> 'template_message'
      ),
      -- a person erased meanwhile is not written about again
      jsonb_agg(jsonb_build_object(
        'account_id', judged.account_id, 'evidence', to_jsonb(judged.evidence),
        'changes', judged.changes
      )) filter (
        where judged.recipient is not null and jsonb_array_length(judged.changes) > 0
      )
    into attempt_ids, statuses, v_settled, v_refusals
    from judged;

    if v_settled is not null then
      perform settle_credit(settled.attempt_id, settled.change, settled.reason)
      from jsonb_to_recordset(v_settled) as settled (attempt_id bigint, change text, reason text);
    end if;
    if v_refusals is not null then
      -- the platform knew what the call relied on when it refused: a clock that is a second behind
      -- must not date the refusal before it
      perform apply_consent_changes(jsonb_agg(change || jsonb_build_object(
        'effective_at', greatest((change ->> 'effective_at')::timestamptz, (
          select max(relied_on.effective_at)
          from jsonb_array_elements_text(refusal.evidence) as named (id)
          cross join lateral (
            select entry.effective_at from consent_ledger as entry
            where entry.id = named.id::bigint and entry.account_id = refusal.account_id
            offset 0 -- row by row by the key: a join may read the whole ledger
          ) as relied_on
        ))
      )))
      from jsonb_to_recordset(v_refusals) as refusal (account_id integer, evidence jsonb, changes jsonb)
      cross join lateral jsonb_array_elements(refusal.changes) as change;
    end if;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.follow_group_message()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      perform graphile_worker.add_job(
        'read_group_result',
        json_build_object('account_id', new.account_id, 'message_id', new.id, 'asked', 0),
        run_at => clock_timestamp() + interval '1 minute',
        job_key => 'read_group_result/' || new.id
      );
      return null;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.forget_asked_data()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      update aliased_message as named set asked_data = null
      where named.message_id = new.id and named.asked_data is not null;
      return null;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.forget_callback_url()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    new.callback_url := null;
    return new;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.forget_message_plan()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    new.plan := null;
    return new;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.forget_message_secret()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      new.sealed_secret := null;
      return new;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.forget_one_time_links()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      -- the links of an account are those of a day
      delete from one_time_link as link
      where link.account_id = new.account_id and link.subject is not null
        and subject_hash(link.account_id, link.subject) = new.subject_hash;
      return new;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.forget_parked_pushes()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      -- the account is in the hash
      delete from parked_push where parked_push.subject_hash = new.subject_hash;
      return new;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.forget_pushes_aside()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      delete from push_aside
      where push_aside.account_id = new.account_id and push_aside.subject_hash = new.subject_hash;
      return new;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.hold_broadcast_messages(p_broadcast_id uuid)
 RETURNS void
 LANGUAGE sql
 SET enable_seqscan TO 'off'
AS $function$
    with queue as materialized (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued', 'sending')
    ), waiting as materialized (
      select message.id from message
      where message.id = any (array(select queue.id from queue))
        and message.status <> 'sending' and message.finished_at is null
        and message.due_at < message.expires_at
        and (message.leased_until is null or message.leased_until < clock_timestamp())
      order by message.id
      for no key update skip locked
    )
    update message set held_due_at = message.due_at,
      due_at = message.expires_at, lease_owner = null, leased_until = null
    where message.id = any (array(select waiting.id from waiting))
$function$;

CREATE OR REPLACE FUNCTION public.hold_follower_sync(p_sync_id bigint, p_owner text)
 RETURNS follower_sync
 LANGUAGE plpgsql
AS $function$
  declare
    v_sync follower_sync;
  begin
    select * into v_sync from follower_sync
    where id = p_sync_id and lease_owner = p_owner and finished_at is null
    for update;
    if not found then
      raise exception 'the follower sync is held by another process'
        using errcode = 'WCG02', hint = 'Nothing was written; the other process goes on with it.';
    end if;
    return v_sync;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.import_consents(p_account_id integer, p_subjects text[], p_scopes text[], p_changes text[], p_effective_ats timestamp with time zone[], p_reasons text[], p_credits integer[], p_actor text)
 RETURNS integer
 LANGUAGE plpgsql
AS $function$
  begin
    perform lock_subjects(array_fill(p_account_id, array[cardinality(p_subjects)]), p_subjects);
    return write_consents(
      p_account_id, p_subjects, p_scopes, p_changes, p_effective_ats, p_reasons, p_credits, 'import',
      p_actor
    );
  end
  $function$;

CREATE OR REPLACE FUNCTION public.judge_limits(p_account_id integer, p_subject text, p_channel text, p_lane smallint, p_message_id uuid, p_at timestamp with time zone, p_per_minute integer, p_per_hour integer)
 RETURNS TABLE(reason text, until timestamp with time zone, is_counted boolean)
 LANGUAGE sql
 STABLE
AS $function$
    select
      case
        when found.quiet_until is not null then 'quiet_hours'
        when found.is_capped then 'person_cap'
        when found.pace_until is not null then 'recipient_pace'
      end,
      case
        when found.quiet_until is not null then found.quiet_until
        when found.is_capped then (rule.day + 1)::timestamp at time zone 'Asia/Shanghai'
        else found.pace_until
      end,
      rule.per_day is not null or rule.per_minute is not null or p_per_hour is not null
    from (select) as asked
    left join send_policy as policy on policy.account_id = p_account_id
    cross join lateral (
      select
        case when p_lane = 1 then policy.marketing_per_day end as per_day,
        coalesce((policy.recipient_per_minute ->> p_channel)::integer, p_per_minute) as per_minute,
        (p_at at time zone 'Asia/Shanghai')::date as day
    ) as rule
    cross join lateral (
      select
        case when p_lane = 1 then quiet_until(policy.quiet_begins, policy.quiet_ends, p_at)
          end as quiet_until,
        case when rule.per_day is not null then (
          select count(*) >= rule.per_day
          from message as counted
          where counted.account_id = p_account_id and counted.recipient = p_subject
            and counted.counted_at >= rule.day::timestamp at time zone 'Asia/Shanghai'
            and counted.counted_at < (rule.day + 1)::timestamp at time zone 'Asia/Shanghai'
            and counted.lane = 1 and counted.id is distinct from p_message_id
            and counted.status not in ('blocked', 'refused', 'failed', 'expired', 'cancelled')
        ) end as is_capped,
        case when p_channel = 'wecom_robot_message' and p_message_id is not null then case
          when rule.per_minute is not null
            then take_robot_place(p_message_id, p_at, rule.per_minute)
        end when rule.per_minute is not null or p_per_hour is not null then greatest(
          (
            select recent.counted_at + interval '1 minute'
            from message as recent
            where recent.account_id = p_account_id and recent.recipient = p_subject
              and recent.counted_at > p_at - interval '1 minute'
              and recent.channel = p_channel and recent.id is distinct from p_message_id
            order by recent.counted_at desc
            offset rule.per_minute - 1 limit case when rule.per_minute is null then 0 else 1 end
          ),
          (
            select recent.counted_at + interval '1 hour'
            from message as recent
            where recent.account_id = p_account_id and recent.recipient = p_subject
              and recent.counted_at > p_at - interval '1 hour'
              and recent.channel = p_channel and recent.id is distinct from p_message_id
            order by recent.counted_at desc
            offset p_per_hour - 1 limit case when p_per_hour is null then 0 else 1 end
          )
        ) end as pace_until
      offset 0 -- looked for once, however often it is used above
    ) as found
  $function$;

CREATE OR REPLACE FUNCTION public.judge_send(p_account_id integer, p_subject text, p_channel text, p_template_id text, p_scope text, p_at timestamp with time zone)
 RETURNS TABLE(allowed boolean, reason text, scope text, evidence bigint[], reserves_at timestamp with time zone)
 LANGUAGE sql
 STABLE
AS $function$
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
        held.effective_at desc,
        -- what one answer ended has one moment: the same window is named every time
        held.scope = 'conversation' desc
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
  $function$;

CREATE OR REPLACE FUNCTION public.keep_channel_pace()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  declare
    v_paces jsonb := coalesce(new.settings -> 'sends_per_second_by_channel', '{}');
  begin
    update channel_pace as pace set per_second = null
    where pace.account_id = new.id and pace.per_second is not null
      and v_paces ->> pace.channel is null;
    insert into channel_pace (account_id, channel, per_second)
    select new.id, wanted.key, wanted.value::double precision
    from jsonb_each_text(v_paces) as wanted
    on conflict (account_id, channel) do update set per_second = excluded.per_second;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.keep_send_pace()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  declare
    v_per_second double precision :=
      nullif((new.settings ->> 'sends_per_second')::double precision, 0);
  begin
    if v_per_second is null then
      update send_pace set per_second = null
      where account_id = new.id and per_second is not null;
    else
      insert into send_pace (account_id, per_second) values (new.id, v_per_second)
      on conflict (account_id) do update set per_second = excluded.per_second;
    end if;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.keep_send_policy()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  declare
    v_begins time := split_part(new.settings ->> 'quiet_hours', '-', 1)::time;
    v_ends time := split_part(new.settings ->> 'quiet_hours', '-', 2)::time;
    v_per_day integer := nullif((new.settings ->> 'marketing_per_person_per_day')::integer, 0);
    v_per_minute jsonb := nullif(new.settings -> 'recipient_per_minute', '{}');
  begin
    update send_policy as policy set
      quiet_begins = v_begins, quiet_ends = v_ends,
      marketing_per_day = v_per_day, recipient_per_minute = v_per_minute,
      changed_at = case
        when (policy.quiet_begins, policy.quiet_ends) is distinct from (v_begins, v_ends)
          then clock_timestamp()
        else policy.changed_at
      end
    where policy.account_id = new.id;
    if not found and (v_begins, v_per_day, v_per_minute) is distinct from (null, null, null) then
      insert into send_policy (
        account_id, quiet_begins, quiet_ends, marketing_per_day, recipient_per_minute
      ) values (new.id, v_begins, v_ends, v_per_day, v_per_minute);
    end if;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.keep_ticket(p_account_id integer, p_sealed text, p_key_id text, p_effective_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
    declare
      v_newest timestamptz;
      v_before timestamptz;
    begin
      -- the account's lock, so that of two tickets at once the newer one stays
      perform from account where account.id = p_account_id for no key update;
      select effective_at into v_newest from account_secret
      where account_id = p_account_id and name = 'ticket';
      select effective_at into v_before from account_secret
      where account_id = p_account_id and name = 'previous_ticket';

      if p_effective_at > v_newest or v_newest is null then
        insert into account_secret as kept (account_id, name, sealed, key_id, effective_at)
        select newest.account_id, 'previous_ticket', newest.sealed, newest.key_id, newest.effective_at
        from account_secret as newest
        where newest.account_id = p_account_id and newest.name = 'ticket'
        on conflict (account_id, name) do update
        set sealed = excluded.sealed, key_id = excluded.key_id,
          effective_at = excluded.effective_at, updated_at = now();

        insert into account_secret as kept (account_id, name, sealed, key_id, effective_at)
        values (p_account_id, 'ticket', p_sealed, p_key_id, p_effective_at)
        on conflict (account_id, name) do update
        set sealed = excluded.sealed, key_id = excluded.key_id,
          effective_at = excluded.effective_at, updated_at = now();
        return true;
      end if;
      if p_effective_at < v_newest and (p_effective_at > v_before or v_before is null) then
        insert into account_secret as kept (account_id, name, sealed, key_id, effective_at)
        values (p_account_id, 'previous_ticket', p_sealed, p_key_id, p_effective_at)
        on conflict (account_id, name) do update
        set sealed = excluded.sealed, key_id = excluded.key_id,
          effective_at = excluded.effective_at, updated_at = now();
      end if;
      return false;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.leave_followers(p_sync_id bigint, p_owner text, p_page integer, p_offset integer, p_subjects text[], p_change text, p_also text[])
 RETURNS integer
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_left text[];
    v_subjects text[];
    v_scopes text[];
    v_count integer := 0;
  begin
    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(p_subjects)]), p_subjects
    );
    select array_agg(held.subject) into v_left
    from unnest(p_subjects) as told (subject)
    cross join lateral (
      select known.subject, known.state, known.effective_at from consent as known
      where known.account_id = v_sync.account_id
        and known.subject = told.subject and known.scope = 'follow'
      limit 1
    ) as held
    where held.state = 'granted' and held.effective_at < v_sync.began_at;

    if v_left is not null then
      v_count := cardinality(v_left);
      select array_agg(gone.subject), array_agg(ended.scope) into v_subjects, v_scopes
      from unnest(v_left) as gone (subject)
      cross join unnest(array['follow'] || p_also) as ended (scope);
      perform write_consents(
        v_sync.account_id, v_subjects, v_scopes,
        array_fill(p_change, array[cardinality(v_subjects)]),
        array_fill(v_sync.began_at, array[cardinality(v_subjects)]),
        array_fill('sync_not_following'::text, array[cardinality(v_subjects)]),
        array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
      );
    end if;

    update follower_sync set
      revoked = revoked + case p_change when 'revoked' then v_count else 0 end,
      suppressed = suppressed + case p_change when 'suppressed' then v_count else 0 end,
      at_page = p_page, at_offset = p_offset, updated_at = clock_timestamp()
    where id = p_sync_id;
    return v_count;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.lift_blacklisted(p_sync_id bigint, p_owner text, p_size integer)
 RETURNS integer
 LANGUAGE plpgsql
 SET enable_hashagg TO 'off'
 SET statement_timeout TO '10min'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_subjects text[];
    v_count integer := 0;
  begin
    select array_agg(free.subject) into v_subjects
    from (
      select held.subject collate "C" as subject
      from consent as held
      cross join lateral (
        select entry.evidence, entry.reason from consent_ledger as entry
        where entry.account_id = held.account_id and entry.id = held.ledger_id
        limit 1
      ) as said
      where held.account_id = v_sync.account_id and held.scope = 'everything'
        and lower(held.subject) is not null
        and held.state = 'suppressed' and held.effective_at < v_sync.began_at
        and said.evidence = 'sync' and said.reason = 'sync_blacklisted'
      except
      select unnest(page.subjects) collate "C"
      from follower_sync_page as page
      where page.sync_id = p_sync_id and page.kind = 'blocked'
      limit p_size
    ) as free;
    if v_subjects is null then
      return 0;
    end if;
    perform lock_subjects(
      array_fill(v_sync.account_id, array[cardinality(v_subjects)]), v_subjects
    );
    -- a stop that came while we waited for the lock is later, and wins
    v_count := write_consents(
      v_sync.account_id, v_subjects,
      array_fill('everything'::text, array[cardinality(v_subjects)]),
      array_fill('granted'::text, array[cardinality(v_subjects)]),
      array_fill(v_sync.began_at, array[cardinality(v_subjects)]),
      array_fill('sync_not_blacklisted'::text, array[cardinality(v_subjects)]),
      array_fill(null::integer, array[cardinality(v_subjects)]), 'sync', null
    );
    update follower_sync set lifted = lifted + v_count, updated_at = clock_timestamp()
    where id = p_sync_id;
    return v_count;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.list_missing_followers(p_sync_id bigint, p_owner text, p_size integer)
 RETURNS bigint
 LANGUAGE plpgsql
 SET enable_hashagg TO 'off'
 SET statement_timeout TO '10min'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  declare
    v_sync follower_sync := hold_follower_sync(p_sync_id, p_owner);
    v_missing bigint;
  begin
    -- 'except' sorts both sides, whatever their sizes are believed to be, and on disk if need be
    with missing as (
      select gone.subject, row_number() over (order by gone.subject) - 1 as place
      from (
        select held.subject collate "C" as subject
        from consent as held
        where held.account_id = v_sync.account_id and held.scope = 'follow'
          and held.state = 'granted' and held.effective_at < v_sync.began_at
        except
        select unnest(page.subjects) collate "C"
        from follower_sync_page as page
        where page.sync_id = p_sync_id and page.kind = 'follower'
      ) as gone
    ), made as (
      insert into follower_sync_page (sync_id, kind, number, subjects)
      select p_sync_id, 'missing', missing.place / p_size + 1, array_agg(missing.subject order by missing.place)
      from missing
      group by missing.place / p_size
      on conflict (sync_id, kind, number) do update set subjects = excluded.subjects
      returning cardinality(subjects) as people
    )
    select coalesce(sum(people), 0) into v_missing from made;
    update follower_sync set
      phase = 'leave', pages = (v_missing + p_size - 1) / p_size, at_page = 1, at_offset = 0,
      updated_at = clock_timestamp()
    where id = p_sync_id;
    return v_missing;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.lock_subjects(p_account_ids integer[], p_subjects text[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
  begin
    perform pg_advisory_xact_lock(wanted.key)
    from (
      select distinct hashtextextended(pair.subject, pair.account_id) as key
      from unnest(p_account_ids, p_subjects) as pair (account_id, subject)
      where pair.subject is not null
      order by key
    ) as wanted;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.new_message_id()
 RETURNS uuid
 LANGUAGE sql
AS $function$
    select (
      lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
      || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14)
    )::uuid
  $function$;

CREATE OR REPLACE FUNCTION public.next_channels(p_message_ids uuid[], p_decisions text[])
 RETURNS text[]
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
  begin
    if 'blocked' = any (p_decisions) then
      return (
        select array_agg(
          case when taken.plan is not null and taken.status <> 'blocked' then taken.channel end
          order by asked.place
        )
        from unnest(p_message_ids, p_decisions) with ordinality as asked (id, decision, place)
        left join message as taken on asked.decision = 'blocked' and taken.id = asked.id
      );
    end if;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.notify_endpoint_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    perform pg_notify('endpoint_changed', '');
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.notify_token_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      perform pg_notify('token_changed', new.account_id::text);
      return new;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.pace_now(p_per_second double precision, p_from double precision, p_to double precision, p_at timestamp with time zone)
 RETURNS double precision
 LANGUAGE sql
 STABLE
AS $function$
    select case
      when p_at is null or now() - p_at >= interval '5 minutes' then p_per_second
      else least(
        p_per_second,
        p_to + (p_from - p_to) * greatest(0, extract(epoch from now() - p_at)) / 300
      )
    end
  $function$;

CREATE OR REPLACE FUNCTION public.park_push(p_parent_id integer, p_tenant text, p_effective_at timestamp with time zone, p_repeat_key bytea, p_source text, p_subject text, p_sealed text, p_received_at timestamp with time zone, p_most_of_tenant integer, p_most_of_parent integer, OUT outcome text, OUT account_id integer)
 RETURNS record
 LANGUAGE plpgsql
AS $function$
    declare
      v_kind text;
      v_state text;
      v_since timestamptz;
      v_after timestamptz;
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
      v_after := greatest(v_since, clock_timestamp() - interval '1 hour');
      if v_state = 'revoked' and not (p_effective_at > v_since and exists (
        select from event
        where event.account_id = p_parent_id
          and event.occurred_at > v_after
          and event.kind in ('suite.create_auth', 'suite.reset_permanent_code')
          and not exists (
            select from consent_ledger as entry
            where entry.account_id = p_parent_id and entry.scope = 'tenant'
              and entry.event_id = event.id
            offset 0
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
    $function$;

CREATE OR REPLACE FUNCTION public.project_consents(p_account_ids integer[], p_subjects text[], p_scopes text[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
  begin
    -- 'follow', 'conversation', 'conversation:action', 'template:*': the latest word stands. A
    -- window's cap is what its opening gave, less what has been reserved in it and not returned.
    insert into consent as held (
      account_id, subject, scope, state, effective_at, ledger_id, credits, expires_at, updated_at, template_id
    )
    select
      wanted.account_id, wanted.subject, wanted.scope,
      latest.change, latest.effective_at, latest.id,
      case when latest.change = 'granted' and latest.credits is not null
        then greatest(0, latest.credits + used.balance) end,
      case when latest.change = 'granted' then latest.expires_at end,
      clock_timestamp(), latest.template_id
    from unnest(p_account_ids, p_subjects, p_scopes) as wanted (account_id, subject, scope)
    cross join lateral (
      select entry.id, entry.change, entry.effective_at, entry.credits, entry.expires_at, entry.template_id
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
        updated_at = excluded.updated_at,
        template_id = excluded.template_id;

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
  $function$;

CREATE OR REPLACE FUNCTION public.quiet_until(p_begins time without time zone, p_ends time without time zone, p_at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE
AS $function$
    select case
      when case when p_begins < p_ends
        then (p_at at time zone 'Asia/Shanghai')::time >= p_begins
          and (p_at at time zone 'Asia/Shanghai')::time < p_ends
        else (p_at at time zone 'Asia/Shanghai')::time >= p_begins
          or (p_at at time zone 'Asia/Shanghai')::time < p_ends
      end
      then ((p_at at time zone 'Asia/Shanghai')::date + p_ends + case
        when (p_at at time zone 'Asia/Shanghai')::time >= p_ends then interval '1 day'
        else interval '0'
      end) at time zone 'Asia/Shanghai'
    end
  $function$;

CREATE OR REPLACE FUNCTION public.record_pushes(p_lock_names text[], p_account_ids integer[], p_repeat_keys bytea, p_kinds text[], p_names text[], p_subjects text[], p_occurred_at bigint[], p_effective_at bigint[], p_documents text[], c_pushes integer[], c_scopes text[], c_changes text[], c_effective_at bigint[], c_reasons text[], c_credits integer[], c_expires_at bigint[], c_latest boolean[], p_extras json, OUT event_ids bigint[], OUT is_new boolean[], OUT call_under_way boolean[])
 RETURNS record
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
  declare
    v_first timestamptz;
    v_last timestamptz;
    v_any_erasure boolean;
    v_erased boolean[];
    v_ledger_ids bigint[];
    v_account_ids integer[];
    v_subjects text[];
    v_scopes text[];
    v_extra record;
    v_ending integer[];
    v_receipt jsonb;
  begin
    perform lock_subjects(p_account_ids, p_lock_names);

    -- known before the statement begins, they leave the months out that cannot hold a repeat
    select to_timestamp(min(at)), to_timestamp(max(at)) into v_first, v_last
    from unnest(p_occurred_at) as at;

    select array_agg(coalesce(push.known, nextval('event_id_seq')) order by push.n),
      array_agg(push.known is null order by push.n)
    into event_ids, is_new
    from (
      select incoming.n, (
        select known.id from event as known
        where known.account_id = incoming.account_id
          and known.occurred_at = to_timestamp(incoming.occurred_at)
          and known.occurred_at between v_first and v_last
          and known.repeat_key = substring(p_repeat_keys from incoming.n::integer * 32 - 31 for 32)
      ) as known
      from unnest(p_account_ids, p_occurred_at) with ordinality as incoming (account_id, occurred_at, n)
      offset 0
    ) as push;

    -- what reaches us after a person was erased, but was said before, is kept without the person;
    -- most databases have no tombstones, and then nobody is looked up
    v_any_erasure := exists (select from erasure);
    if v_any_erasure then
      select array_agg(exists (
        select from erasure
        where erasure.account_id = push.account_id
          and erasure.subject_hash = subject_hash(push.account_id, push.subject)
          and erasure.effective_at >= to_timestamp(push.effective_at)
      ) order by push.n)
      into v_erased
      from unnest(p_account_ids, p_subjects, p_effective_at) with ordinality
        as push (account_id, subject, effective_at, n);
    end if;

    insert into event (
      account_id, id, repeat_key, kind, name, subject, occurred_at, document, erased_at
    ) overriding system value
    select
      push.account_id, event_ids[push.n],
      substring(p_repeat_keys from push.n::integer * 32 - 31 for 32), push.kind, push.name,
      case when v_any_erasure and v_erased[push.n] then null else push.subject end,
      to_timestamp(push.occurred_at),
      case when v_any_erasure and v_erased[push.n] then '' else push.document end,
      case when v_any_erasure and v_erased[push.n] then clock_timestamp() end
    from unnest(p_account_ids, p_kinds, p_names, p_subjects, p_occurred_at, p_documents)
      with ordinality as push (account_id, kind, name, subject, occurred_at, document, n)
    where is_new[push.n];

    if cardinality(c_pushes) > 0 then
      select array_agg(nextval('consent_ledger_id_seq')) into v_ledger_ids
      from generate_series(1, cardinality(c_pushes));

      insert into consent_ledger (
        account_id, id, subject, scope, change, effective_at, evidence, event_id, reason, credits,
        expires_at
      ) overriding system value
      select
        p_account_ids[change.push], v_ledger_ids[change.n], p_subjects[change.push], change.scope,
        change.change, to_timestamp(change.effective_at), 'event', event_ids[change.push],
        change.reason, change.credits, to_timestamp(change.expires_at)
      from unnest(c_pushes, c_scopes, c_changes, c_effective_at, c_reasons, c_credits, c_expires_at)
        with ordinality
        as change (push, scope, change, effective_at, reason, credits, expires_at, n)
      where is_new[change.push] and not (v_any_erasure and v_erased[change.push]);

      -- where the latest word stands, the new words are enough to know it
      insert into consent as held (
        account_id, subject, scope, state, effective_at, ledger_id, credits, expires_at
      )
      select
        p_account_ids[change.push], p_subjects[change.push], change.scope, change.change,
        to_timestamp(change.effective_at), v_ledger_ids[change.n],
        case when change.change = 'granted' then change.credits end,
        case when change.change = 'granted' then to_timestamp(change.expires_at) end
      from unnest(c_pushes, c_scopes, c_changes, c_effective_at, c_credits, c_expires_at, c_latest)
        with ordinality as change (push, scope, change, effective_at, credits, expires_at, latest, n)
      where change.latest and is_new[change.push] and not (v_any_erasure and v_erased[change.push])
      on conflict (account_id, subject, scope) do update
      set state = excluded.state,
          effective_at = excluded.effective_at,
          ledger_id = excluded.ledger_id,
          credits = case when excluded.credits is not null then greatest(0, excluded.credits + (
            select coalesce(sum(case entry.change when 'reserved' then -1 else 1 end), 0)::integer
            from consent_ledger as entry
            where entry.account_id = excluded.account_id and entry.subject = excluded.subject
              and entry.scope = excluded.scope and entry.effective_at >= excluded.effective_at
              and entry.change in ('reserved', 'returned')
          )) end,
          expires_at = excluded.expires_at,
          updated_at = clock_timestamp()
      where (excluded.effective_at, consent_severity(excluded.state))
        > (held.effective_at, consent_severity(held.state));

      -- the others are projected from all their rows
      select array_agg(touched.account_id), array_agg(touched.subject), array_agg(touched.scope)
      into v_account_ids, v_subjects, v_scopes
      from (
        select p_account_ids[change.push], p_subjects[change.push], change.scope
        from unnest(c_pushes, c_scopes) as change (push, scope)
        where is_new[change.push]
          and (change.scope = 'everything'
            or (change.scope like 'template:%' and change.scope <> 'template:*'))
        union
        -- the end of all template rights touches every template the person has
        select held.account_id, held.subject, held.scope
        from unnest(c_pushes, c_scopes) as change (push, scope)
        join consent as held on held.account_id = p_account_ids[change.push]
          and held.subject = p_subjects[change.push] and held.scope like 'template:%'
        where change.scope = 'template:*' and is_new[change.push] and held.scope <> 'template:*'
        union
        -- a new follow or acceptance may lift a stop
        select held.account_id, held.subject, held.scope
        from unnest(c_pushes, c_scopes, c_changes) as change (push, scope, change)
        join consent as held on held.account_id = p_account_ids[change.push]
          and held.subject = p_subjects[change.push] and held.scope = 'everything'
        where change.change = 'granted' and is_new[change.push]
          and (change.scope = 'follow' or change.scope like 'template:%')
      ) as touched (account_id, subject, scope);
      if v_account_ids is not null then
        perform project_consents(v_account_ids, v_subjects, v_scopes);
      end if;
    end if;

    -- before an erasure takes the person's name from the messages
    if exists (select from message where message.status = 'sending') then
      select coalesce(array_agg(change.push), '{}') into v_ending
      from unnest(c_pushes, c_changes) as change (push, change)
      where change.change = 'revoked';

      select array_agg(push.n = any (v_ending) and (
        exists (
          select from message as sending
          where sending.account_id = push.account_id and sending.recipient = push.subject
            and sending.status = 'sending'
          offset 0
        )
        -- a call whose person has been erased may be to this person; it stands last in the index
        or coalesce((
          select sending.recipient is null from message as sending
          where sending.account_id = push.account_id and sending.status = 'sending'
          order by sending.recipient desc nulls first limit 1
        ), false)
      ) order by push.n)
      into call_under_way
      from unnest(p_account_ids, p_subjects) with ordinality as push (account_id, subject, n);
    end if;

    for v_extra in
      select extra.*
      from json_to_recordset(p_extras) as extra (
        push integer, kind text, receipts jsonb, erase boolean, ticket jsonb, job jsonb
      )
      where is_new[extra.push]
      order by extra.push
    loop
      if v_extra.erase then
        perform erase_subject(
          p_account_ids[v_extra.push], p_subjects[v_extra.push],
          to_timestamp(p_effective_at[v_extra.push]), 'platform', v_extra.kind
        );
      else
        for v_receipt in select value from jsonb_array_elements(v_extra.receipts) loop
          perform apply_receipt(
            p_account_ids[v_extra.push], p_subjects[v_extra.push], event_ids[v_extra.push], v_receipt
          );
        end loop;
      end if;
      if v_extra.ticket is not null then
        perform keep_ticket(
          p_account_ids[v_extra.push], v_extra.ticket ->> 'sealed', v_extra.ticket ->> 'key_id',
          to_timestamp(p_effective_at[v_extra.push])
        );
      end if;
      if v_extra.job is not null then
        perform graphile_worker.add_job(
          v_extra.job ->> 'task',
          ((v_extra.job -> 'payload') || jsonb_build_object('event_id', event_ids[v_extra.push]))::json
        );
      end if;
    end loop;

    if exists (
      select from endpoint
      where endpoint.account_id = any (p_account_ids) and endpoint.purpose = 'events'
        and endpoint.disabled_at is null
    ) then
      insert into delivery (endpoint_id, event_id, event_occurred_at)
      select endpoint.id, event_ids[push.n], to_timestamp(push.occurred_at)
      from unnest(p_account_ids, p_kinds, p_occurred_at)
        with ordinality as push (account_id, kind, occurred_at, n)
      join endpoint on endpoint.account_id = push.account_id and endpoint.purpose = 'events'
        and endpoint.disabled_at is null
        and endpoint.kinds && array['*', push.kind]
      where is_new[push.n] and not (v_any_erasure and v_erased[push.n]);
    end if;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.recover_messages(p_deduplicated text[], p_within interval, p_limit integer)
 RETURNS TABLE(message_id uuid, account_id integer, channel text, status text)
 LANGUAGE plpgsql
AS $function$
  declare
    v_ids uuid[];
    v_message message;
    v_attempt attempt;
    v_first timestamptz;
    v_now timestamptz;
  begin
    select array_agg(left_behind.id) into v_ids from (
      select wanted.id from message as wanted
      where wanted.status = 'sending' and wanted.leased_until < clock_timestamp()
      order by wanted.id limit p_limit
    ) as left_behind;
    if v_ids is null then
      return;
    end if;
    perform lock_subjects(array_agg(wanted.account_id), array_agg(wanted.recipient))
    from message as wanted where wanted.id = any (v_ids);

    for v_message in
      select * from message as wanted
      where wanted.id = any (v_ids) and wanted.status = 'sending' and wanted.leased_until < clock_timestamp()
      order by wanted.id for update
    loop
      v_now := clock_timestamp();
      select min(tried.started_at) into v_first from attempt as tried where tried.message_id = v_message.id;
      update attempt as tried set
        outcome = case when v_message.receipt_status is null then 'unknown' else 'sent' end,
        cause = 'unclear', finished_at = v_now,
        errmsg = 'the process ended before the answer was recorded'
      where tried.message_id = v_message.id and tried.number = v_message.attempt_count
        and tried.outcome is null
      returning * into v_attempt;

      message_id := v_message.id; account_id := v_message.account_id; channel := v_message.channel;
      if v_message.channel = any (p_deduplicated) and v_first > v_now - p_within
        and v_message.receipt_status is null
      then
        status := 'queued';
      else
        status := coalesce(v_message.receipt_status, 'unknown');
        perform settle_credit(v_attempt.id, 'spent', 'unknown');
      end if;

      update message as ended set
        status = recover_messages.status,
        reason = case when recover_messages.status = 'unknown' then 'process_ended' end,
        due_at = case when recover_messages.status = 'queued' then v_now else ended.due_at end,
        lease_owner = null, leased_until = null, updated_at = v_now,
        finished_at = case when recover_messages.status = 'queued' then null else v_now end
      where ended.id = v_message.id;
      return next;
    end loop;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.refuse_account_removal()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    if exists (select from event where event.account_id = old.id)
      or exists (select from consent where consent.account_id = old.id)
    then
      raise exception 'account % has events or consents and cannot be removed', old.name
        using errcode = 'WCG02', hint = 'Disable it: update account set disabled_at = now() …';
    end if;
    return old;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.refuse_ledger_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    if tg_op = 'DELETE' and current_setting('wcg.erasing', true) = 'on' then
      return old;
    end if;
    raise exception 'consent_ledger is append-only: a row is never changed or removed'
      using errcode = 'WCG01', hint = 'To erase a person use erase_subject(), which leaves a tombstone.';
  end
  $function$;

CREATE OR REPLACE FUNCTION public.repeat_is_late(p_message_id uuid, p_attempt_count integer, p_now timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
    select p_attempt_count > 0 and exists (
      select from attempt as tried
      where tried.message_id = p_message_id and tried.number <= p_attempt_count
        and tried.outcome = 'unknown' and tried.started_at < p_now - interval '9 minutes'
    )
  $function$;

CREATE OR REPLACE FUNCTION public.rest_in_quiet_hours(p_limit integer)
 RETURNS bigint
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
  declare
    v_policy send_policy;
    v_now timestamptz;
    v_until timestamptz;
    v_count bigint;
    v_moved bigint := 0;
  begin
    for v_policy in
      select * from send_policy as policy
      where policy.changed_at is not null
        or quiet_until(policy.quiet_begins, policy.quiet_ends, clock_timestamp()) is not null
      order by policy.account_id
      for no key update skip locked
    loop
      v_now := clock_timestamp();
      v_until := quiet_until(v_policy.quiet_begins, v_policy.quiet_ends, v_now);

      if v_policy.changed_at is not null then
        with resting as (
          select waiting.id from message as waiting
          where waiting.account_id = v_policy.account_id and waiting.lane = 1
            and waiting.status in ('scheduled', 'queued') and waiting.due_at > v_now
            and waiting.reason = 'quiet_hours' and waiting.attempt_count = 0
            and waiting.due_at is distinct from least(v_until, waiting.expires_at)
            and (waiting.leased_until is null or waiting.leased_until < v_now)
            -- what is paused is held by its broadcast
            and not exists (
              select from broadcast as held
              where held.id = waiting.broadcast_id and held.paused_at is not null
            )
          limit p_limit for no key update skip locked
        )
        update message as moving set
          due_at = greatest(moving.send_at, v_now), reason = null, updated_at = v_now
        from resting where moving.id = resting.id;
        get diagnostics v_count = row_count;
        v_moved := v_moved + v_count;
        if v_count > 0 then
          perform pg_notify('message_queued', '');
        elsif v_policy.changed_at < v_now - interval '15 seconds' then
          update send_policy as policy set changed_at = null
          where policy.account_id = v_policy.account_id;
          delete from send_policy as policy
          where policy.account_id = v_policy.account_id
            and policy.quiet_begins is null and policy.marketing_per_day is null
            and policy.recipient_per_minute is null;
        end if;
      end if;

      if v_until is not null then
        with due as (
          select waiting.id from message as waiting
          where waiting.account_id = v_policy.account_id and waiting.lane = 1
            and waiting.status in ('scheduled', 'queued') and waiting.due_at <= v_now
            and waiting.expires_at > v_now
            and not repeat_is_late(waiting.id, waiting.attempt_count, v_now)
            and (waiting.leased_until is null or waiting.leased_until < v_now)
          limit p_limit for no key update skip locked
        )
        update message as moving set
          due_at = least(
            v_until, moving.expires_at,
            -- a repeat that may not be called for by then is to end soon
            case when moving.attempt_count > 0 then v_now + interval '9 minutes' end
          ),
          reason = 'quiet_hours', updated_at = v_now
        from due where moving.id = due.id;
        get diagnostics v_count = row_count;
        v_moved := v_moved + v_count;
      end if;
    end loop;
    return v_moved;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.resume_broadcast_messages(p_broadcast_id uuid)
 RETURNS void
 LANGUAGE sql
 SET enable_seqscan TO 'off'
AS $function$
    with queue as materialized (
      select message.id from message
      where message.broadcast_id = p_broadcast_id
        and message.status in ('scheduled', 'queued', 'sending')
    ), held as materialized (
      select message.id from message
      where message.id = any (array(select queue.id from queue))
        and message.status <> 'sending' and message.finished_at is null
        and message.due_at = message.expires_at
      order by message.id
      for no key update skip locked
    )
    update message set
      due_at = case when message.reason in ('quiet_hours', 'recipient_pace')
        then greatest(message.send_at, clock_timestamp())
        else greatest(message.held_due_at, clock_timestamp()) end,
      held_due_at = null
    where message.id = any (array(select held.id from held)) and message.expires_at > clock_timestamp()
$function$;

CREATE OR REPLACE FUNCTION public.seek_fallback()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
    begin
      if exists (select from aliased_message as named where named.message_id = new.id)
        or exists (
          select from broadcast
          where broadcast.id = new.broadcast_id and broadcast.template_alias is not null
        )
      then
        perform graphile_worker.add_job(
          'send-fallback', payload => json_build_object('message_id', new.id)
        );
      end if;
      return null;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.settle_credit(p_attempt_id bigint, p_change text, p_reason text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
  begin
    perform apply_consent_changes(jsonb_build_array(jsonb_build_object(
      'account_id', reserved.account_id, 'subject', reserved.subject, 'scope', reserved.scope,
      'change', p_change, 'effective_at', reserved.effective_at,
      'evidence', 'attempt', 'attempt_id', p_attempt_id, 'reason', p_reason
    )))
    from consent_ledger as reserved
    where reserved.attempt_id = p_attempt_id
      and reserved.change = 'reserved'
      and not exists (
        select from consent_ledger as settled
        where settled.attempt_id = p_attempt_id
          and (settled.change = 'returned' or settled.change = p_change)
      );
  end
  $function$;

CREATE OR REPLACE FUNCTION public.spend_kept_credits(p_message_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  begin
    perform lock_subjects(array_agg(ended.account_id), array_agg(ended.recipient))
    from message as ended where ended.id = any (p_message_ids);
    perform settle_credit(tried.id, 'spent', 'unknown')
    from message as ended
    join attempt as tried on tried.message_id = ended.id
    where ended.id = any (p_message_ids)
      and ended.status in ('unknown', 'delivered', 'not_delivered');
  end
  $function$;

CREATE OR REPLACE FUNCTION public.subject_hash(p_account_id integer, p_subject text)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE
RETURN sha256(convert_to(((p_account_id || ':'::text) || p_subject), 'UTF8'::name));

CREATE OR REPLACE FUNCTION public.take_next_channel()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  declare
    v_way jsonb;
  begin
    -- it holds for every channel
    if new.reason = 'person_cap' then
      return new;
    end if;
    select listed.way into v_way
    from jsonb_array_elements(new.plan -> 'ways') with ordinality as listed (way, place)
    cross join lateral judge_send(
      new.account_id, new.recipient, listed.way ->> 'channel', listed.way ->> 'template_id', null,
      clock_timestamp()
    ) as answer
    where listed.way ->> 'channel' <> new.channel and answer.allowed
    order by listed.place
    limit 1;
    if found then
      new.channel := v_way ->> 'channel';
      new.template_id := v_way ->> 'template_id';
      new.content := v_way -> 'content';
      new.status := 'queued';
      new.reason := null;
      new.missing_scope := null;
      new.due_at := clock_timestamp();
      new.finished_at := null;
      perform pg_notify('message_queued', '');
    end if;
    return new;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.take_robot_place(p_message_id uuid, p_at timestamp with time zone, p_per_minute integer)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
  declare
    v_robot bytea;
    v_in_the_way timestamptz;
  begin
    select asked.robot into v_robot from robot_message as asked
    where asked.message_id = p_message_id;
    -- accepted by the version before
    if not found then
      return null;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('robot', 0));
    select recent.called_at into v_in_the_way from robot_message as recent
    where recent.robot = v_robot and recent.called_at > p_at - interval '1 minute'
      and recent.message_id <> p_message_id
    order by recent.called_at desc
    offset p_per_minute - 1 limit 1;
    if found then
      return v_in_the_way + interval '1 minute';
    end if;
    update robot_message as taken set called_at = p_at where taken.message_id = p_message_id;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.unlock_dead_jobs(p_dead_after interval, p_thorough boolean)
 RETURNS text[]
 LANGUAGE plpgsql
AS $function$
    declare
      v_dead text[];
    begin
      select array_agg(silent.worker) into v_dead
      from (
        select known.worker from job_process as known
        where known.seen_at < clock_timestamp() - p_dead_after
        union
        select job.locked_by from graphile_worker.jobs as job
        where p_thorough
          and job.locked_at < clock_timestamp() - p_dead_after
          and not exists (select from job_process as known where known.worker = job.locked_by)
      ) as silent (worker);
      if v_dead is null then
        return array[]::text[];
      end if;
      perform graphile_worker.force_unlock_workers(v_dead);
      delete from job_process as known where known.worker = any (v_dead);
      return v_dead;
    end
    $function$;

CREATE OR REPLACE FUNCTION public.wake_endpoints()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
  begin
    perform graphile_worker.add_job('deliver', json_build_object('endpoint_id', woken.endpoint_id))
    from (select distinct added.endpoint_id from added) as woken;
    return null;
  end
  $function$;

CREATE OR REPLACE FUNCTION public.write_consents(p_account_id integer, p_subjects text[], p_scopes text[], p_changes text[], p_effective_ats timestamp with time zone[], p_reasons text[], p_credits integer[], p_evidence text, p_actor text)
 RETURNS integer
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
  declare
    v_any_erasure boolean := exists (select from erasure where erasure.account_id = p_account_id);
    v_subjects text[];
    v_scopes text[];
    v_written integer;
  begin
    with written as (
      insert into consent_ledger (
        account_id, subject, scope, change, effective_at, evidence, actor, reason, credits
      )
      select distinct
        p_account_id, told.subject, told.scope, told.change, told.effective_at, p_evidence, p_actor,
        told.reason, told.credits
      from unnest(p_subjects, p_scopes, p_changes, p_effective_ats, p_reasons, p_credits)
        as told (subject, scope, change, effective_at, reason, credits)
      where not (v_any_erasure and exists (
          select from erasure
          where erasure.account_id = p_account_id
            and erasure.subject_hash = subject_hash(p_account_id, told.subject)
            and erasure.effective_at >= told.effective_at
        ))
        -- a sync writes news only; a file may be imported again
        and not (p_evidence = 'import' and exists (
          select from consent_ledger as entry
          where entry.account_id = p_account_id
            and entry.subject = told.subject
            and entry.scope = told.scope
            and entry.effective_at = told.effective_at
            and entry.change = told.change
            and entry.evidence = p_evidence
            and entry.reason = told.reason
          offset 0
        ))
      returning id, account_id, subject, scope, change, effective_at, credits
    ), projected as (
      -- where the latest word stands, the new words are enough to know it
      insert into consent as held (account_id, subject, scope, state, effective_at, ledger_id, credits)
      select distinct on (written.subject, written.scope)
        written.account_id, written.subject, written.scope, written.change, written.effective_at,
        written.id, case when written.change = 'granted' then written.credits end
      from written
      where written.scope <> 'everything'
        and (written.scope not like 'template:%' or written.scope = 'template:*')
      order by
        written.subject, written.scope,
        written.effective_at desc, consent_severity(written.change) desc, written.id desc
      on conflict (account_id, subject, scope) do update
      set state = excluded.state,
          effective_at = excluded.effective_at,
          ledger_id = excluded.ledger_id,
          credits = excluded.credits,
          expires_at = null,
          updated_at = clock_timestamp()
      where (excluded.effective_at, consent_severity(excluded.state))
        > (held.effective_at, consent_severity(held.state))
    ), touched as (
      -- the others are projected from all their rows
      select written.subject, written.scope from written
      where written.scope = 'everything'
        or (written.scope like 'template:%' and written.scope <> 'template:*')
      union
      -- the end of all template rights touches every template the person has
      select held.subject, held.scope
      from written
      cross join lateral (
        select known.subject, known.scope from consent as known
        where known.account_id = written.account_id and known.subject = written.subject
          and known.scope like 'template:%' and known.scope <> 'template:*'
        offset 0
      ) as held
      where written.scope = 'template:*'
    )
    select array_agg(touched.subject), array_agg(touched.scope), (select count(*) from written)
    into v_subjects, v_scopes, v_written
    from touched;

    if v_subjects is not null then
      perform project_consents(
        array_fill(p_account_id, array[cardinality(v_subjects)]), v_subjects, v_scopes
      );
    end if;
    return v_written;
  end
  $function$;

CREATE TRIGGER access_token_changed AFTER UPDATE OF version, rejected_version ON public.access_token FOR EACH ROW WHEN (((old.version IS DISTINCT FROM new.version) OR (old.rejected_version IS DISTINCT FROM new.rejected_version))) EXECUTE FUNCTION notify_token_change();

CREATE TRIGGER account_channel_pace AFTER INSERT OR UPDATE OF settings ON public.account FOR EACH ROW EXECUTE FUNCTION keep_channel_pace();

CREATE TRIGGER account_is_kept BEFORE DELETE ON public.account FOR EACH ROW EXECUTE FUNCTION refuse_account_removal();

CREATE TRIGGER account_send_pace AFTER INSERT OR UPDATE OF settings ON public.account FOR EACH ROW EXECUTE FUNCTION keep_send_pace();

CREATE TRIGGER account_send_policy AFTER INSERT OR UPDATE OF settings ON public.account FOR EACH ROW EXECUTE FUNCTION keep_send_policy();

CREATE TRIGGER application_leaves_endpoints AFTER UPDATE ON public.application FOR EACH ROW WHEN (((old.revoked_at IS NULL) AND (new.revoked_at IS NOT NULL))) EXECUTE FUNCTION disable_endpoints_of_application();

CREATE TRIGGER broadcast_end_is_delivered AFTER UPDATE ON public.broadcast FOR EACH ROW WHEN (((new.callback_url IS NOT NULL) AND (old.finished_at IS NULL) AND (new.finished_at IS NOT NULL))) EXECUTE FUNCTION deliver_broadcast_end();

CREATE TRIGGER consent_ledger_append_only BEFORE DELETE OR UPDATE ON public.consent_ledger FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change();

CREATE TRIGGER consent_ledger_no_truncate BEFORE TRUNCATE ON public.consent_ledger FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

CREATE TRIGGER delivery_wakes_endpoint AFTER INSERT ON public.delivery REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION wake_endpoints();

CREATE TRIGGER endpoint_changed AFTER INSERT OR DELETE OR UPDATE ON public.endpoint FOR EACH ROW EXECUTE FUNCTION notify_endpoint_change();

CREATE TRIGGER erasure_forgets_one_time_links AFTER INSERT ON public.erasure FOR EACH ROW EXECUTE FUNCTION forget_one_time_links();

CREATE TRIGGER erasure_forgets_parked_pushes AFTER INSERT ON public.erasure FOR EACH ROW EXECUTE FUNCTION forget_parked_pushes();

CREATE TRIGGER erasure_forgets_pushes_aside AFTER INSERT ON public.erasure FOR EACH ROW EXECUTE FUNCTION forget_pushes_aside();

CREATE TRIGGER group_message_is_followed AFTER UPDATE OF status ON public.message FOR EACH ROW WHEN (((new.channel = 'wecom_group_message'::text) AND (new.status = 'sent'::text) AND (old.status <> 'sent'::text) AND (new.msgid IS NOT NULL) AND (new.recipient IS NOT NULL))) EXECUTE FUNCTION follow_group_message();

CREATE TRIGGER message_asked_data_is_forgotten AFTER UPDATE OF content ON public.message FOR EACH ROW WHEN (((new.content IS NULL) AND (old.content IS NOT NULL))) EXECUTE FUNCTION forget_asked_data();

CREATE TRIGGER message_callback_url_is_forgotten BEFORE UPDATE OF content ON public.message FOR EACH ROW WHEN (((new.callback_url IS NOT NULL) AND (new.content IS NULL) AND (old.content IS NOT NULL))) EXECUTE FUNCTION forget_callback_url();

CREATE TRIGGER message_plan_is_forgotten BEFORE UPDATE OF content ON public.message FOR EACH ROW WHEN (((new.plan IS NOT NULL) AND (new.content IS NULL))) EXECUTE FUNCTION forget_message_plan();

CREATE TRIGGER message_result_is_delivered AFTER UPDATE ON public.message FOR EACH ROW WHEN (((new.callback_url IS NOT NULL) AND (new.status IS DISTINCT FROM old.status) AND (new.status <> ALL (ARRAY['scheduled'::text, 'queued'::text, 'sending'::text])))) EXECUTE FUNCTION deliver_message_result();

CREATE TRIGGER message_secret_is_forgotten BEFORE UPDATE OF status ON public.message FOR EACH ROW WHEN (((new.sealed_secret IS NOT NULL) AND ((new.recipient IS NULL) OR (new.status <> ALL (ARRAY['scheduled'::text, 'queued'::text, 'sending'::text]))))) EXECUTE FUNCTION forget_message_secret();

CREATE TRIGGER message_takes_next_channel BEFORE UPDATE OF status ON public.message FOR EACH ROW WHEN (((new.plan IS NOT NULL) AND (new.status = 'blocked'::text) AND (new.recipient IS NOT NULL))) EXECUTE FUNCTION take_next_channel();

CREATE TRIGGER message_template_refused AFTER UPDATE OF status ON public.message FOR EACH ROW WHEN (((new.status = 'failed'::text) AND (new.reason = 'template'::text) AND (old.status <> 'failed'::text) AND (new.recipient IS NOT NULL))) EXECUTE FUNCTION seek_fallback();

CREATE TRIGGER provider_token_changed AFTER UPDATE OF version, rejected_version ON public.provider_token FOR EACH ROW WHEN (((old.version IS DISTINCT FROM new.version) OR (old.rejected_version IS DISTINCT FROM new.rejected_version))) EXECUTE FUNCTION notify_token_change();

comment on column api_call_count.refused_used is 'What counted towards the limit when the platform first said 45009 on that day; null: it has not.';

comment on column application.signatures is 'optional: a signature that is sent must be right; required: every request must have one.';

comment on column application.previous_signing_secret is 'Is accepted beside the current one until previous_until, so that the application can change over.';

comment on column archive_room.told_at is 'Of the latest event about the group, by the platform''s clock.';

comment on column archive_room.asked_at is 'Whoever was not asked for longest is next.';

comment on column broadcast.tells_each is 'Its messages have the address too, so that the result of each is told.';

comment on column call_breaker.until is 'Nobody calls before it; after it one call tries, and its answer removes the row.';

comment on column delivery.id is 'The webhook-id: the same at every try.';

comment on column delivery.due_at is 'When it is tried next. Whoever takes it moves this ahead, so that nobody else takes it meanwhile and somebody does when that process dies.';

comment on table endpoint is 'callbacks: the results of an application''s messages; the address stands in each message.';

comment on column endpoint.previous_secret is 'Signs beside the current one until previous_until, so that a receiver can change over.';

comment on column endpoint.failing_since is 'The first failure behind its last success; null while it takes what it is given.';

comment on table erasure is 'Tombstones: that a person was erased, when and why; the person only as a digest.';

comment on column follower_sync.began_at is 'A second of the platform''s clock before anything was listed: what the run found held after it.';

comment on table follower_sync_page is 'The lists of a run, until the run has ended.';

comment on column job_process.worker is 'The name under which the engine locks the jobs of this process.';

comment on column kf_cursor.cursor is 'Everything before it has been recorded: it moves after the items of its page are committed.';

comment on column message.plan is 'Of a message with several channels: the one planned at first, and all of them in their order.';

comment on column message.counted_at is 'When its last call began, where a cap or a pace per person counts it.';

comment on column message.quiet_until is 'Of one that was accepted for quiet hours: their end, as it was known then.';

comment on column message.held_due_at is 'While its broadcast is paused: when it was to be tried.';

comment on column parked_push.tenant is 'What the platform calls the merchant or corp: its appid or corpid.';

comment on column parked_push.source is 'The list of events it is looked up in; null where that follows from what the merchant is.';

comment on column parked_push.subject_hash is 'Of the person, where the account was here before; an erasure of the person takes it along.';

comment on column parked_push.sealed is 'The document and the timestamp of its query; null once it was dropped.';

comment on table provider_token is 'As access_token; the account is the suite.';

comment on table reply is 'Who has inserted the row asks the application; everybody else waits for what it says.';

comment on table request_nonce is 'Nonces of signed requests, kept until the time beside them is too old to be accepted anyway.';

comment on table robot_message is 'Messages of group robots that wait or were called for lately; the row outlives its message for some minutes.';

comment on column robot_message.robot is 'SHA-256 of the robot''s key.';

comment on column robot_message.called_at is 'When its last call began.';

comment on column send_pace.slowed_to is 'The pace after the platform said that it is too much; it is back at slowed_from after five minutes.';

comment on column send_policy.quiet_begins is 'Time of day in China.';

comment on column send_policy.recipient_per_minute is 'By channel: messages a minute to one recipient, in place of what the channel has.';

comment on column send_policy.changed_at is 'The quiet hours changed, and what waits by the ones before is not due anew yet.';

comment on table welcome_code is 'Written by the statement that records the event; forgotten about an hour after it.';
