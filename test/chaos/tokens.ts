import { fetchSurely } from '../support/send-road.ts'
import type { ChaosAccount, Ground } from './ground.ts'
import type { Verdict } from './judge-chaos.ts'

/** What somebody else did with the AppSecret of an account. */
export interface TokenDeath {
  /** Requests of theirs that asked, and that forced. */
  asked: number
  forced: number
  /** Tokens that died of it. */
  deaths: number
}
/** By the name of the account. */
export type TokenDeaths = ReadonlyMap<string, TokenDeath>

/**
 * Another system forces a token with the same AppSecret. Within half a minute of a force the platform
 * gives the old token again, and nothing dies.
 */
export async function killToken(
  sandboxUrl: string,
  account: Pick<ChaosAccount, 'appId' | 'secret'>,
  noted: TokenDeath,
): Promise<void> {
  const tokenOf = async (force: boolean) => {
    const answer = await fetchSurely(`${sandboxUrl}/cgi-bin/stable_token`, {
      method: 'POST',
      body: JSON.stringify({
        grant_type: 'client_credential',
        appid: account.appId,
        secret: account.secret,
        force_refresh: force,
      }),
    })
    return ((await answer.json()) as { access_token?: string }).access_token
  }
  const before = await tokenOf(false)
  const after = await tokenOf(true)
  noted.asked += 1
  noted.forced += 1
  if (after !== before) noted.deaths += 1
}

/**
 * P7. The budget of an account: one request for the first token, one for each that died, one for each
 * working token that the platform refused, one for each process that may have been killed while it
 * asked. Forced: only what was refused although it worked.
 */
export function judgeTokens(ground: Ground, told: TokenDeaths): Verdict {
  const report = ground.sandbox.report().accounts
  const accounts = ground.accounts.map(({ name, appId, role }) => {
    const theirs = told.get(name) ?? { asked: 0, forced: 0, deaths: 0 }
    const lies = role === 'resting' ? 1 : 0
    return {
      name,
      deaths: theirs.deaths,
      asked: (report[appId]?.['token:stable'] ?? 0) - theirs.asked,
      forced: (report[appId]?.['token:forced'] ?? 0) - theirs.forced,
      budget: 1 + theirs.deaths + lies + ground.fleet.dead.length,
      forcedBudget: lies,
    }
  })
  const sum = (of: (account: (typeof accounts)[number]) => number) =>
    accounts.reduce((total, account) => total + of(account), 0)
  return {
    invariants: [
      {
        promise: 'P7',
        name: 'accounts with more token requests than their budget',
        broken: accounts.filter(({ asked, budget }) => asked > budget).map(({ name }) => name),
      },
      {
        promise: 'P7',
        name: 'accounts whose working token was thrown away',
        broken: accounts
          .filter(({ forced, forcedBudget }) => forced > forcedBudget)
          .map(({ name }) => name),
      },
    ],
    counts: {
      'tokens that somebody else killed': sum(({ deaths }) => deaths),
      'token requests of the gateways': sum(({ asked }) => asked),
      '… forced': sum(({ forced }) => forced),
      '… their budget': sum(({ budget, forcedBudget }) => budget + forcedBudget),
    },
  }
}
