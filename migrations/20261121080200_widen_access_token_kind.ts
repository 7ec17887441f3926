import type { Knex } from 'knex'

/**
 * Tokens of third-party platforms, of the merchants behind them, and of WeCom. The rows of today
 * stay as they are, and the release before this one writes none of the new kinds.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table access_token
      drop constraint access_token_kind_check,
      add constraint access_token_kind_check check (kind in (
        'stable', 'classic', 'component', 'authorizer', 'wecom', 'suite', 'wecom_corp'
      ));
  `)
}

/** A token of a new kind is fetched again; the older release does not know what it is. */
export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    delete from access_token where kind not in ('stable', 'classic');
    alter table access_token
      drop constraint access_token_kind_check,
      add constraint access_token_kind_check check (kind in ('stable', 'classic'));
  `)
}
