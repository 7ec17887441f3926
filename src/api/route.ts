import type { z } from 'zod'
import type { Log } from '../foundation/log.ts'
import type { Application } from './authenticate.ts'
import type { SchemaName } from './schemas.ts'

/** A request of an application, read as far as HTTP goes. */
export interface Call {
  readonly application: Application
  /** Whether the request bears the application's signature. */
  readonly isSigned: boolean
  /** The named parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: unknown
  /** What the JSON parser returned; undefined on routes without a body, and for a stream of lines. */
  readonly body: unknown
  /** The bytes of `application/x-ndjson` as they come, where the route takes lines and got them. */
  readonly lines: AsyncIterable<Buffer> | undefined
  readonly idempotencyKey: string | undefined
  readonly log: Log
}

/** What is answered: JSON, or text of another type that is made while it is read. */
export type Answer = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
} & ({ readonly body: unknown } | { readonly text: AsyncIterable<string> })

/** What the OpenAPI document says about a route. */
export interface RouteFacts {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** As OpenAPI writes it: `/v1/messages/{id}`. */
  readonly path: string
  readonly operationId: string
  readonly summary: string
  /** Whether it is answered without a key. */
  readonly open?: true
  /** Whether it is answered only when the request is signed. */
  readonly signed?: true
  readonly query?: z.ZodObject<Readonly<Record<string, z.ZodType>>>
  readonly body?: SchemaName
  /** Whether it takes a stream of lines as well: the first of one shape, the others of another. */
  readonly lines?: { readonly first: SchemaName; readonly others: SchemaName }
  /** Whether the header `Idempotency-Key` means something here. */
  readonly idempotent?: true
  readonly answer: {
    readonly status: number
    readonly schema: SchemaName
    /** `application/json` when absent. */
    readonly type?: 'text/csv'
  }
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
