import type { Answer, ApiCall, Fields } from './api-call.ts'
import type { Caller, CorpCaller } from './callers.ts'
import type { Component } from './components.ts'
import type { Channel, OptOutHolder } from './opt-outs.ts'
import type { Suite } from './suites.ts'
import type { Account } from './world.ts'

/** An endpoint that needs an account's token. */
export type AccountEndpoint = (call: ApiCall, account: Account) => Answer

/** An endpoint that finds out by itself who calls. */
export type OpenEndpoint = (call: ApiCall) => Answer

/** Who may call, and what it does. */
export type EndpointAuth =
  | {
      readonly by: 'account'
      readonly serve: AccountEndpoint
      /** The one kind of account that has it; both have it when absent. */
      readonly kind?: Account['config']['kind']
    }
  | { readonly by: 'component'; readonly serve: (call: ApiCall, component: Component) => Answer }
  | { readonly by: 'corp'; readonly serve: (call: ApiCall, caller: CorpCaller) => Answer }
  | { readonly by: 'suite'; readonly serve: (call: ApiCall, suite: Suite) => Answer }
  /** Any token of any platform. */
  | { readonly by: 'anybody'; readonly serve: (call: ApiCall, caller: Caller) => Answer }
  | { readonly by: 'credentials'; readonly serve: OpenEndpoint }

/** Somebody a send is for, with what they said before. */
export interface Addressee {
  readonly openid: string
  readonly holder: OptOutHolder
}

/** One API of a platform. */
export interface Endpoint {
  readonly method: 'GET' | 'POST'
  readonly platform: 'oa' | 'open' | 'wecom'
  readonly auth: EndpointAuth
  /** What it sends, where it sends. */
  readonly channel?: Channel
  /** In WeCom: whom a send is for. */
  readonly addressees?: (caller: CorpCaller, body: Fields) => readonly Addressee[]
  /** What the wrong method is answered, where that is not 43001 or 43002. */
  readonly wrongMethod?: number
}

/** Paths with what serves them. */
export type EndpointTable = readonly (readonly [path: string, endpoint: Endpoint])[]
