import type { Knex } from 'knex'

/**
 * How a link for a one-time subscription was answered, and for whom it was made: a redirect that
 * declines names nobody. Whoever is erased is erased here too.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    alter table one_time_link
      add column action text
        constraint one_time_link_action_check check (action in ('confirm', 'cancel')),
      add column subject text;

    create function forget_one_time_links() returns trigger
    language plpgsql
    as $$
    begin
      -- the links of an account are those of a day
      delete from one_time_link as link
      where link.account_id = new.account_id and link.subject is not null
        and subject_hash(link.account_id, link.subject) = new.subject_hash;
      return new;
    end
    $$;

    create trigger erasure_forgets_one_time_links
      after insert on erasure
      for each row execute function forget_one_time_links();
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop trigger erasure_forgets_one_time_links on erasure;
    drop function forget_one_time_links();
    alter table one_time_link drop column subject, drop column action;
  `)
}
