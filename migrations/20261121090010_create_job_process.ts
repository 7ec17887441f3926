import type { Knex } from 'knex'

/**
 * Who runs jobs and still lives. The engine gives a dead worker's jobs back after four hours; with
 * these rows the others do it within seconds.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create table job_process (
      worker text not null primary key,
      process text not null,
      started_at timestamptz not null default clock_timestamp(),
      seen_at timestamptz not null default clock_timestamp()
    );

    comment on column job_process.worker is
      'The name under which the engine locks the jobs of this process.';

    -- p_thorough also looks through all jobs for locks of workers that never had a row here; it
    -- reads the whole queue, so it is for now and then.
    create function unlock_dead_jobs(p_dead_after interval, p_thorough boolean) returns text[]
    language plpgsql
    as $$
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
    $$;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`
    drop function unlock_dead_jobs(interval, boolean);
    drop table job_process;
  `)
}
