import type { Knex } from 'knex'

/**
 * Tokens of agency-developed apps (代开发). The release before this one asks for those of the same corps
 * elsewhere, and writes none of the new kind.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table access_token
      drop constraint access_token_kind_check,
      add constraint access_token_kind_check check (kind in (
        'stable', 'classic', 'component', 'authorizer', 'wecom', 'suite', 'wecom_corp', 'wecom_agency'
      ));
  `)
}

/** A token of the new kind is fetched again; the older release does not know what it is. */
export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    delete from access_token where kind = 'wecom_agency';
    alter table access_token
      drop constraint access_token_kind_check,
      add constraint access_token_kind_check check (kind in (
        'stable', 'classic', 'component', 'authorizer', 'wecom', 'suite', 'wecom_corp'
      ));
  `)
}
