import type { Component } from './components.ts'
import type { Corp, CorpApp } from './corps.ts'
import type { OptOutHolder } from './opt-outs.ts'
import type { Suite } from './suites.ts'
import type { TokenVerdict } from './tokens.ts'
import type { Account, World } from './world.ts'

/** A corp as one of its apps, or its customer service, calls. */
export interface CorpCaller {
  readonly corp: Corp
  readonly app: CorpApp
}

/** Whom a token was given to. */
export type Caller = { readonly verdict: Exclude<TokenVerdict, 'unknown'> } & (
  | { readonly by: 'account'; readonly account: Account }
  | { readonly by: 'component'; readonly component: Component }
  | ({ readonly by: 'corp' } & CorpCaller)
  | { readonly by: 'suite'; readonly suite: Suite }
)

/** The owner of a token, and whether it still works; undefined for one that was never given. */
export function findCaller(world: World, token: string, now: Date): Caller | undefined {
  const nowMs = now.getTime()
  for (const account of world.accounts.values()) {
    const verdict = account.tokens.judge(token, nowMs)
    if (verdict !== 'unknown') return { by: 'account', account, verdict }
  }
  return findComponent(world, token, nowMs) ?? findWecom(world, token, nowMs)
}

function findComponent(world: World, token: string, nowMs: number): Caller | undefined {
  for (const component of world.components.values()) {
    const own = component.tokens.judge(token, nowMs)
    if (own !== 'unknown') return { by: 'component', component, verdict: own }
    for (const { appId, tokens } of component.authorizers.values()) {
      const verdict = tokens.judge(token, nowMs)
      const account = world.accounts.get(appId)
      if (verdict !== 'unknown' && account) return { by: 'account', account, verdict }
    }
  }
  return undefined
}

function findWecom(world: World, token: string, nowMs: number): Caller | undefined {
  for (const suite of world.suites.values()) {
    const verdict = suite.tokens.judge(token, nowMs)
    if (verdict !== 'unknown') return { by: 'suite', suite, verdict }
  }
  for (const corp of world.corps.values()) {
    for (const app of corp.apps) {
      const verdict = app.tokens.judge(token, nowMs)
      if (verdict !== 'unknown') return { by: 'corp', corp, app, verdict }
    }
  }
  return undefined
}

/** What the record calls a caller. */
export function idOf(caller: Caller): string {
  if (caller.by === 'account') return caller.account.config.app_id
  if (caller.by === 'component') return caller.component.config.app_id
  return caller.by === 'corp' ? caller.corp.config.corp_id : caller.suite.config.suite_id
}

/** What a call is allowed by beside the person: the grant of a merchant or of a corp. */
export function tenantOf(world: World, caller: Caller): OptOutHolder | undefined {
  if (caller.by === 'account') {
    const { app_id, component_app_id = '' } = caller.account.config
    return world.components.get(component_app_id)?.authorizers.get(app_id)
  }
  if (caller.by !== 'corp' || caller.app.suiteId === null) return undefined
  return world.suites.get(caller.app.suiteId)?.installs.get(caller.corp.config.corp_id)
}
