import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import request from 'supertest'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { expressPath } from '../../src/api/route.ts'
import { MESSAGE_STATUSES } from '../../src/messages/message.ts'
import { useTestDatabase } from '../support/database.ts'
import { serveApi } from './served-api.ts'

const database = useTestDatabase()

const operation = z.object({
  operationId: z.string(),
  parameters: z.array(z.object({ name: z.string(), in: z.enum(['path', 'query', 'header']) })),
  responses: z.record(z.string(), z.object({ description: z.string(), content: z.unknown() })),
})
const documentSchema = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
})
type Document = z.infer<typeof documentSchema>

const stackSchema = z.array(
  z.object({
    route: z.object({ path: z.string(), methods: z.record(z.string(), z.boolean()) }).optional(),
    handle: z.unknown(),
  }),
)

/** What a router holds, in order. */
function stackOf(router: unknown) {
  if (typeof router !== 'function' || !('stack' in router)) throw new Error('expected a router')
  return stackSchema.parse(router.stack)
}

let document: Document
let text: string
let served: string[]

beforeAll(async () => {
  const { app } = serveApi(database().db)
  const answer = await request(app).get('/v1/openapi.json')
  text = answer.text
  document = documentSchema.parse(answer.body)
  served = stackOf(stackOf(app.router)[0]?.handle).flatMap(({ route }) =>
    route ? Object.keys(route.methods).map((method) => `${method} ${route.path}`) : [],
  )
})

const described = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${expressPath(path)}`),
  )

describe('GET /v1/openapi.json', () => {
  it('describes every route that is served, and no other', () => {
    expect(served.length).toBeGreaterThan(10)
    expect(described().sort()).toEqual([...served].sort())
  })

  it('points only at shapes that it holds', () => {
    const names = [...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name)
    expect(names.length).toBeGreaterThan(10)
    for (const name of names) expect(document.components.schemas).toHaveProperty([name ?? ''])
    expect(text.match(/"\$ref":"(?!#\/components\/schemas\/)/)).toBeNull()
  })

  it('names each operation once, and each part of a path', () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((one) => ({ path, ...one })),
    )
    expect(new Set(operations.map((one) => one.operationId)).size).toBe(operations.length)
    for (const { path, parameters } of operations) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const inPath = parameters.filter((one) => one.in === 'path').map((one) => one.name)
      expect(inPath).toEqual(named)
    }
  })

  it('says how a request is signed, and where it has to be', () => {
    const { security, paths, components } = JSON.parse(text) as {
      security: Record<string, unknown>[]
      paths: Record<string, Record<string, { security?: unknown }>>
      components: { securitySchemes: Record<string, { name?: string }> }
    }
    const signed = Object.fromEntries(
      Object.keys(components.securitySchemes).map((scheme) => [scheme, []]),
    )
    expect(security).toEqual([{ applicationKey: [] }, signed])
    const headers = Object.values(components.securitySchemes).map(({ name }) => name)
    expect(headers).toEqual([undefined, 'X-Timestamp', 'X-Nonce', 'X-Signature'])
    const reports = paths['/v1/accounts/{account}/consents/{subject}/reports']
    expect(reports?.['post']?.security).toEqual([signed])
    expect(paths['/v1/messages']?.['post']?.security).toBeUndefined()
  })

  it('describes the body of a send per channel', () => {
    const send = JSON.stringify(document.components.schemas['SendRequest'])
    for (const word of [
      'template_message',
      'customer_service_message',
      'template_id',
      'expires_at',
    ]) {
      expect(send).toContain(`"${word}"`)
    }
  })
})

describe('docs/api.md', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/api.md'), 'utf8')

  it('has a heading for every route, and for no other under /v1', () => {
    const headings = [...page.matchAll(/^### `(GET|POST|PUT|PATCH|DELETE) (\/v1\/[^`]*)`/gm)].map(
      ([, method, path]) => `${method?.toLowerCase()} ${expressPath(path ?? '')}`,
    )
    expect(headings.sort()).toEqual([...served].sort())
  })

  it('explains every status of a message', () => {
    for (const status of MESSAGE_STATUSES) expect(page).toContain(`| \`${status}\` |`)
  })

  it('lists every code that these rooms answer with', () => {
    const root = resolve(import.meta.dirname, '../../src')
    const source = ['api', 'messages', 'delivery']
      .flatMap((room) => readdirSync(`${root}/${room}`).map((file) => `${root}/${room}/${file}`))
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n')
    const codes = [
      ...source.matchAll(/new (?!Invariant)\w*Error\(\s*(?:\d+,\s*)?'([a-z_]+)'/g),
      ...source.matchAll(/answer\(\d+, '([a-z_]+)'/g),
    ].map(([, code]) => code ?? '')
    expect(codes.length).toBeGreaterThan(15)
    const errors = page.slice(page.indexOf('## Errors'))
    for (const code of codes) expect(errors).toContain(`\`${code}\``)
  })
})
