import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import { SIGNATURE_WINDOW_SECONDS } from '../applications/request-signature.ts'
import type { RouteFacts } from './route.ts'
import { SCHEMAS, type SchemaName } from './schemas.ts'

type Json = Readonly<Record<string, unknown>>

/** The document itself; the one route under /v1 that needs no key. */
export const OPENAPI_ROUTE: RouteFacts = {
  method: 'get',
  path: '/v1/openapi.json',
  operationId: 'getOpenApi',
  summary: 'This document',
  open: true,
  answer: { status: 200, schema: 'OpenApiDocument' },
  problems: [],
}

/** The OpenAPI 3.1 document of these routes; shapes come from the schemas that check them. */
export function openApiDocument(routes: readonly RouteFacts[]): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'wechat-consent-gateway',
      version: '1',
      description: 'Consent-aware sends through WeChat accounts. docs/api.md explains each route.',
    },
    security: [KEY_ALONE, KEY_AND_SIGNATURE],
    paths: pathsOf(routes),
    components: {
      securitySchemes: SECURITY_SCHEMES,
      schemas: Object.fromEntries(
        Object.entries(SCHEMAS).map(([name, schema]) => [name, jsonSchema(schema, ioOf(name))]),
      ),
    },
  }
}

/** Enough for an application that does not have to sign. */
const KEY_ALONE: Json = { applicationKey: [] }

const KEY_AND_SIGNATURE: Json = {
  applicationKey: [],
  requestTime: [],
  requestNonce: [],
  requestSignature: [],
}

const SECURITY_SCHEMES: Json = {
  applicationKey: { type: 'http', scheme: 'bearer' },
  requestTime: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Timestamp',
    description: `Unix time in seconds, within ${SIGNATURE_WINDOW_SECONDS} seconds of the gateway.`,
  },
  requestNonce: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Nonce',
    description: '16 to 128 visible ASCII characters; each works once.',
  },
  requestSignature: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Signature',
    description:
      'sha256= and the hex HMAC-SHA256, with the signing secret, of six lines: method, path, query, ' +
      'hex SHA-256 of the body, X-Timestamp, X-Nonce. Needed where the application has to sign. ' +
      'Signed lines (application/x-ndjson) also need Content-Digest: sha-256=:<base64>:',
  },
}

/** The shapes of requests; all others are answers. */
const REQUESTS: ReadonlySet<string> = new Set<SchemaName>([
  'SendRequest',
  'AudienceBroadcast',
  'BroadcastHead',
  'BroadcastLine',
  'PopupReport',
  'OneTimeLinkRequest',
  'OptOut',
  'OptIn',
  'NewEndpoint',
  'EndpointChange',
  'TemplateAliasRequest',
])

function ioOf(name: string): 'input' | 'output' {
  return REQUESTS.has(name) ? 'input' : 'output'
}

function pathsOf(routes: readonly RouteFacts[]): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route) }
  }
  return paths
}

function operation(route: RouteFacts): Json {
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(route.open && { security: [] }),
    ...(route.signed && { security: [KEY_AND_SIGNATURE] }),
    parameters: [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)],
    ...(route.body && { requestBody: { required: true, content: bodies(route, route.body) } }),
    responses: {
      [route.answer.status]: {
        description: STATUS_CODES[route.answer.status],
        content: content(route.answer.schema, route.answer.type),
      },
      ...Object.fromEntries(problemsOf(route).map((status) => [status, problem(status)])),
    },
  }
}

function problemsOf(route: RouteFacts): readonly number[] {
  return route.open ? [...route.problems, 500] : [...route.problems, 401, 500]
}

/** One line is described; the document has no words for a first line that differs. */
function bodies(route: RouteFacts, body: SchemaName): Json {
  if (!route.lines) return content(body)
  const { first, others } = route.lines
  const shapes = [first, others].map((name) => ({ $ref: `#/components/schemas/${name}` }))
  return {
    ...content(body),
    'application/x-ndjson': {
      schema: {
        description: `One JSON object per line: the first ${first}, all others ${others}.`,
        oneOf: shapes,
      },
    },
  }
}

function content(schema: SchemaName, type = 'application/json'): Json {
  return { [type]: { schema: { $ref: `#/components/schemas/${schema}` } } }
}

function problem(status: number): Json {
  return {
    description: STATUS_CODES[status],
    content: content('Problem', 'application/problem+json'),
  }
}

function pathParameters(route: RouteFacts): Json[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
}

function queryParameters(route: RouteFacts): Json[] {
  if (!route.query) return []
  return Object.entries(route.query.shape).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema: jsonSchema(schema, 'input'),
  }))
}

function headerParameters(route: RouteFacts): Json[] {
  const idempotencyKey = {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description: 'Names this request: repeated with the same key it is answered, not done, again.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  }
  return route.idempotent ? [idempotencyKey] : []
}

function jsonSchema(schema: z.core.$ZodType, io: 'input' | 'output'): Json {
  const shape = z.toJSONSchema(schema, { io })
  delete shape.$schema
  return shape
}
