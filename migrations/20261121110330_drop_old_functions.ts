import type { Knex } from 'knex'

/**
 * The functions of the version before `record_pushes`, `begin_sends`, `finish_sends` and `judge_send`
 * (ADR 0016): no process of the release before this one calls them, and no other function does.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function record_events(integer[], text[], json, json, json);
    drop function finish_attempts(jsonb);
    drop function begin_attempts(text, interval, uuid[]);
    drop function decide_send(integer, text, text, text, timestamptz);
  `)
}

/**
 * Their names alone, so that the migrations before this one can be undone as well. The 430 lines of
 * their bodies stay out: the release before this one, to which one rolls back, does not call them.
 */
export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    create function decide_send(integer, text, text, text, timestamptz) returns void
    language plpgsql as $$ begin raise exception 'decide_send is no longer there'; end $$;
    create function begin_attempts(text, interval, uuid[]) returns void
    language plpgsql as $$ begin raise exception 'begin_attempts is no longer there'; end $$;
    create function finish_attempts(jsonb) returns void
    language plpgsql as $$ begin raise exception 'finish_attempts is no longer there'; end $$;
    create function record_events(integer[], text[], json, json, json) returns void
    language plpgsql as $$ begin raise exception 'record_events is no longer there'; end $$;
  `)
}
