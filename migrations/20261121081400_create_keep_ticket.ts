import type { Knex } from 'knex'

/**
 * Keeps the two newest tickets of a component or suite by the platform's time, in whatever order they
 * arrive; the one before stays, because the platform goes on taking it until it expires. Both are
 * sealed to the same place, so that the newest can become the one before as it is. Answers whether
 * this one is now the newest.
 */
export async function up(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'; set local statement_timeout = '60s'`)
  await db.raw(`
    create function keep_ticket(
      p_account_id integer, p_sealed text, p_key_id text, p_effective_at timestamptz
    ) returns boolean
    language plpgsql
    as $$
    declare
      v_newest timestamptz;
      v_before timestamptz;
    begin
      -- the account's lock, so that of two tickets at once the newer one stays
      perform from account where account.id = p_account_id for no key update;
      select effective_at into v_newest from account_secret
      where account_id = p_account_id and name = 'ticket';
      select effective_at into v_before from account_secret
      where account_id = p_account_id and name = 'previous_ticket';

      if p_effective_at > v_newest or v_newest is null then
        insert into account_secret as kept (account_id, name, sealed, key_id, effective_at)
        select newest.account_id, 'previous_ticket', newest.sealed, newest.key_id, newest.effective_at
        from account_secret as newest
        where newest.account_id = p_account_id and newest.name = 'ticket'
        on conflict (account_id, name) do update
        set sealed = excluded.sealed, key_id = excluded.key_id,
          effective_at = excluded.effective_at, updated_at = now();

        insert into account_secret as kept (account_id, name, sealed, key_id, effective_at)
        values (p_account_id, 'ticket', p_sealed, p_key_id, p_effective_at)
        on conflict (account_id, name) do update
        set sealed = excluded.sealed, key_id = excluded.key_id,
          effective_at = excluded.effective_at, updated_at = now();
        return true;
      end if;
      if p_effective_at < v_newest and (p_effective_at > v_before or v_before is null) then
        insert into account_secret as kept (account_id, name, sealed, key_id, effective_at)
        values (p_account_id, 'previous_ticket', p_sealed, p_key_id, p_effective_at)
        on conflict (account_id, name) do update
        set sealed = excluded.sealed, key_id = excluded.key_id,
          effective_at = excluded.effective_at, updated_at = now();
      end if;
      return false;
    end
    $$;
  `)
}

export async function down(db: Knex): Promise<void> {
  await db.raw(`set local lock_timeout = '5s'`)
  await db.raw(`drop function keep_ticket(integer, text, text, timestamptz)`)
}
