import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Clock } from '../foundation/clock.ts'
import { InvalidInputError, NotFoundError, describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

/** What the two halves of the sandbox do with a request. */
export interface SandboxHandlers {
  readonly api: (incoming: {
    readonly request: IncomingMessage
    readonly response: ServerResponse
    readonly url: URL
    readonly body: string
    readonly arrivedMs: number
  }) => Promise<void>
  /** The value to answer as JSON. */
  readonly control: (request: {
    readonly method: string
    readonly url: URL
    readonly body: unknown
  }) => Promise<unknown>
}

/** Far above anything the platform takes. */
const MAX_BODY_BYTES = 8 * 1024 * 1024
/** Longer than clients keep idle connections, so that none is closed under a request. */
const KEEP_ALIVE_MS = 120_000

/** The HTTP server in front of both halves: `/sandbox…` is control, everything else the API. */
export function createSandboxServer(
  handlers: SandboxHandlers,
  clock: Clock,
  log: Log | undefined,
): Server {
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const arrivedMs = clock.monotonicMs()
    const url = new URL(request.url ?? '/', 'http://sandbox')
    const text = await readText(request)
    if (!/^\/sandbox(\/|$)/.test(url.pathname)) {
      return handlers.api({ request, response, url, body: text, arrivedMs })
    }
    const body = readControlBody(text)
    const answer = await handlers.control({ method: request.method ?? '', url, body })
    answerJson(response, 200, answer)
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) return
      const status = statusOf(error)
      if (status === 500) log?.error({ error: describeError(error) }, 'sandbox.failed')
      answerJson(response, status, { error: describeError(error) })
    })
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  return server
}

/** The whole body. The stream's own iterator would close the request, and costs more. */
function readText(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BODY_BYTES) reject(badBody('expected at most 8 MiB'))
      else chunks.push(chunk)
    })
    request.on('end', () => resolve(Buffer.concat(chunks).toString()))
    request.on('error', reject)
  })
}

/** JSON, or an XML document as text; undefined when there is none. */
function readControlBody(text: string): unknown {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  if (trimmed.startsWith('<')) return trimmed
  try {
    return JSON.parse(trimmed)
  } catch {
    throw badBody('expected JSON, or an XML document for …/events')
  }
}

function badBody(rule: string): InvalidInputError {
  return new InvalidInputError('invalid_sandbox_input', [{ field: 'body', rule }])
}

function statusOf(error: unknown): number {
  if (error instanceof InvalidInputError || error instanceof URIError) return 400
  return error instanceof NotFoundError ? 404 : 500
}

function answerJson(response: ServerResponse, status: number, answer: unknown): void {
  response.statusCode = status
  response.setHeader('Content-Type', 'application/json; charset=utf-8')
  response.end(`${JSON.stringify(answer)}\n`)
}
