import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { migrate, rollback } from '../../src/database/migrate.ts'
import { dumpSchema } from '../../src/database/schema-dump.ts'
import { useTestDatabase } from '../support/database.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/schema.sql')

const database = useTestDatabase()
const empty = useTestDatabase({ empty: true })

describe('dumpSchema', () => {
  it('gives what docs/schema.sql shows (UPDATE_SCHEMA=1 writes it)', async () => {
    const dump = await dumpSchema(database().db)
    if (process.env['UPDATE_SCHEMA'] === '1') await writeFile(PAGE, dump)
    expect(await readFile(PAGE, 'utf8')).toBe(dump)
  })

  it('gives the same text after everything was rolled back and migrated again', async () => {
    const { db } = database()
    const before = await dumpSchema(db)
    await rollback(db, { all: true })
    expect(await dumpSchema(db)).toBe(await dumpSchema(empty().db))
    await migrate(db)
    expect(await dumpSchema(db)).toBe(before)
  })

  it('shows columns, constraints, indexes, functions, triggers and views', async () => {
    const { db } = empty()
    await db.raw(`
      create table zebra (
        id bigint generated always as identity primary key,
        name text not null default 'x' constraint zebra_name_check check (name <> ''),
        twice text generated always as (name || name) stored
      );
      create unlogged table ant (zebra_id bigint references zebra on delete cascade);
      create index ant_zebra_id_idx on ant (zebra_id) where zebra_id > 5;
      create function touch() returns trigger language plpgsql as 'begin return new; end';
      create trigger zebra_touch before update on zebra for each row execute function touch();
      create view zebra_count as select count(*) from zebra;
      comment on table ant is 'it''s small';
    `)
    expect(withoutHeading(await dumpSchema(db))).toBe(`
create unlogged table ant (
  zebra_id bigint,
  constraint ant_zebra_id_fkey FOREIGN KEY (zebra_id) REFERENCES zebra(id) ON DELETE CASCADE
);

create table zebra (
  id bigint not null generated always as identity,
  name text not null default 'x'::text,
  twice text generated always as ((name || name)) stored,
  constraint zebra_pkey PRIMARY KEY (id),
  constraint zebra_name_check CHECK ((name <> ''::text))
);

create view zebra_count as
 SELECT count(*) AS count
   FROM zebra;

CREATE INDEX ant_zebra_id_idx ON public.ant USING btree (zebra_id) WHERE (zebra_id > 5);

CREATE OR REPLACE FUNCTION public.touch()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$begin return new; end$function$;

CREATE TRIGGER zebra_touch BEFORE UPDATE ON public.zebra FOR EACH ROW EXECUTE FUNCTION touch();

comment on table ant is 'it''s small';
`)
  })
})

function withoutHeading(dump: string): string {
  return dump.replace(/^--.*\n/gm, '')
}
