import { Logger, runMigrations } from 'graphile-worker'
import type { Knex } from 'knex'

/**
 * The job engine's own tables and functions, in its own schema `graphile_worker`. They come from the
 * package, over a connection of its own, so this runs outside a transaction; doing it twice changes
 * nothing. A newer version of the package that brings more of them gets a migration like this one.
 */
export const config = { transaction: false }

export async function up(db: Knex): Promise<void> {
  const client = db.client as { config: { connection: { connectionString: string } } }
  await runMigrations({
    connectionString: client.config.connection.connectionString,
    // two: one for the migrations, one in hand, as it demands
    maxPoolSize: 2,
    logger: new Logger(() => () => undefined),
  })
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`drop schema graphile_worker cascade`)
}
