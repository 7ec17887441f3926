import type { Knex } from 'knex'

/**
 * The customer groups of accounts whose archive is asked about, as events tell of them: who of a group
 * agrees to the chat archive can only be asked for group by group.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table archive_room (
      account_id integer not null references account,
      chat_id text not null,
      told_at timestamptz not null,
      dismissed boolean not null default false,
      asked_at timestamptz,
      primary key (account_id, chat_id)
    );
    comment on column archive_room.told_at is
      'Of the latest event about the group, by the platform''s clock.';
    comment on column archive_room.asked_at is 'Whoever was not asked for longest is next.';

    create index archive_room_asked_at_idx on archive_room (account_id, asked_at nulls first, chat_id)
      where not dismissed;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop table archive_room`)
}
