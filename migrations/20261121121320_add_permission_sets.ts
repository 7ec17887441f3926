import type { Knex } from 'knex'

/**
 * Which sets of permissions (权限集) a merchant has given to the component, as the platform answered
 * last, and when that was. Null: nobody has asked since they are kept, and then they stop nothing.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    alter table account
      add column permission_sets integer[],
      add column permission_sets_at timestamptz
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    alter table account drop column permission_sets_at, drop column permission_sets
  `)
}
