import { connect, type Socket } from 'node:net'
import { answerParent } from './answer-parent.ts'
import { createPushMaker, type PushMaker, type PushMix } from './pushes.ts'
import { percentile } from './statistics.ts'

/*
 * A process of its own that posts pushes. They are signed, sealed and written out beforehand, so a
 * push costs it one write and one look at the answer.
 */

export type LoadRequest =
  /** Makes this many new pushes and forgets all earlier ones. */
  | {
      readonly kind: 'make'
      readonly count: number
      readonly people: number
      readonly mix: PushMix
    }
  | ({ readonly kind: 'run' } & LoadRun)

export interface LoadRun {
  readonly port: number
  readonly connections: number
  /** No push is begun later than this. */
  readonly ms: number
  /** Each push once, until none is left; otherwise again from the first one. */
  readonly once: boolean
}

export interface LoadResult {
  /** Pushes answered with 200. */
  readonly accepted: number
  /** From the first push to the last answer. */
  readonly seconds: number
  /** Other answers, and connections that broke. */
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const makers = new Map<string, PushMaker>()
let pushes: Buffer[] = []
let used = 0

answerParent((request: LoadRequest) => {
  if (request.kind === 'run') return run(request)
  const wanted = `${request.people} ${request.mix}`
  const maker = makers.get(wanted) ?? createPushMaker(request)
  makers.set(wanted, maker)
  pushes = Array.from({ length: request.count }, () => maker.next())
  used = 0
  return {}
})

async function run(load: LoadRun): Promise<LoadResult> {
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load.port)))
  const latencies: number[] = []
  let next = load.once ? used : 0
  let accepted = 0
  let failed = 0
  const startedMs = performance.now()

  const take = (): Buffer | undefined => {
    if (performance.now() - startedMs > load.ms) return undefined
    if (next >= pushes.length && !load.once) next = 0
    return pushes[next++]
  }
  await Promise.all(
    sockets.map((socket) =>
      drive(socket, {
        take,
        done: (ms, good) => {
          if (!good) return void (failed += 1)
          accepted += 1
          latencies.push(ms)
        },
      }),
    ),
  )
  const seconds = (performance.now() - startedMs) / 1000
  if (load.once) used = Math.min(next, pushes.length)
  const sorted = Float64Array.from(latencies).sort()
  return {
    accepted,
    seconds,
    failed,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

interface Course {
  readonly take: () => Buffer | undefined
  readonly done: (tookMs: number, good: boolean) => void
}

/** One connection: the next push when the answer to the one before is complete. */
function drive(socket: Socket, course: Course): Promise<void> {
  return new Promise((resolve) => {
    let startedMs = 0
    let waiting = false
    let answer = ''

    const begin = () => {
      const push = course.take()
      if (!push) return void socket.end()
      startedMs = performance.now()
      waiting = true
      answer = ''
      socket.write(push)
    }
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      if (!isComplete(answer)) return
      waiting = false
      course.done(performance.now() - startedMs, answer.startsWith('HTTP/1.1 200 '))
      begin()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (waiting) course.done(0, false)
      resolve()
    })
    begin()
  })
}

/** Enough of HTTP for the short answers of the servers here: a length, or one or two chunks. */
function isComplete(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n')
  if (end === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(answer)?.[1]
  if (length !== undefined) return answer.length >= end + 4 + Number(length)
  return answer.endsWith('\r\n0\r\n\r\n') || answer.startsWith('HTTP/1.1 204')
}
