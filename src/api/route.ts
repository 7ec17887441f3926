import type { z } from 'zod'
import type { Log } from '../foundation/log.ts'
import type { Application } from './authenticate.ts'
import type { SchemaName } from './schemas.ts'

/** A request of an application, read as far as HTTP goes. */
export interface Call {
  readonly application: Application
  /** The named parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: unknown
  /** What the JSON parser returned; undefined on routes without a body. */
  readonly body: unknown
  readonly idempotencyKey: string | undefined
  readonly log: Log
}

/** What is answered, always as JSON. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What the OpenAPI document says about a route. */
export interface RouteFacts {
  readonly method: 'get' | 'post'
  /** As OpenAPI writes it: `/v1/messages/{id}`. */
  readonly path: string
  readonly operationId: string
  readonly summary: string
  /** Whether it is answered without a key. */
  readonly open?: true
  readonly query?: z.ZodObject<Readonly<Record<string, z.ZodType>>>
  readonly body?: SchemaName
  /** Whether the header `Idempotency-Key` means something here. */
  readonly idempotent?: true
  readonly answer: { readonly status: number; readonly schema: SchemaName }
  /** The statuses of the problems that this route can answer, besides 401 and 500. */
  readonly problems: readonly number[]
}

/** One route for applications, with what it does. */
export interface Route extends RouteFacts {
  handle(call: Call): Promise<Answer>
}

/** A path as Express writes it: `{id}` is `:id`, and a colon of ours is escaped. */
export function expressPath(path: string): string {
  return path.replaceAll(':', '\\:').replaceAll(/\{(\w+)\}/g, ':$1')
}

/** A named part of the path; Express has matched it, so it is there. */
export function param(call: Call, name: string): string {
  return call.params[name] ?? ''
}
