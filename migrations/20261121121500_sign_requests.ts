import type { Knex } from 'knex'

/**
 * What an application signs its requests with, whether it has to, and the nonces that have been used.
 *
 * A nonce names its application without a foreign key: it is written for every signed request, and
 * applications are never removed.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table application
      add column signatures text not null default 'off',
      add column sealed_signing_secret text,
      add column previous_signing_secret text,
      add column previous_until timestamptz,
      add constraint application_signatures_check
        check (signatures in ('off', 'optional', 'required')),
      add constraint application_signing_secret_check check (
        (signatures = 'off') = (sealed_signing_secret is null)
        and (previous_signing_secret is null) = (previous_until is null)
        and (previous_signing_secret is null or sealed_signing_secret is not null)
      );

    comment on column application.signatures is
      'optional: a signature that is sent must be right; required: every request must have one.';
    comment on column application.previous_signing_secret is
      'Is accepted beside the current one until previous_until, so that the application can change over.';

    create table request_nonce (
      application_id uuid not null,
      nonce text not null,
      expires_at timestamptz not null,
      primary key (application_id, nonce)
    );

    comment on table request_nonce is
      'Nonces of signed requests, kept until the time beside them is too old to be accepted anyway.';

    -- serves the forgetting
    create index request_nonce_expires_at_idx on request_nonce (expires_at);
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop table request_nonce;
    alter table application
      drop column signatures,
      drop column sealed_signing_secret,
      drop column previous_signing_secret,
      drop column previous_until;
  `)
}
