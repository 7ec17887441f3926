import { Pool } from 'undici'
import { answerParent } from './answer-parent.ts'
import { ACCOUNT, openidOf } from './pushes.ts'
import { TEMPLATE_ID } from './queue.ts'

/*
 * A process of its own that makes the calls of template messages and nothing else: no queue, no
 * consent, no record. What undici alone can do against the same stub.
 */

export interface CallRun {
  readonly inFlight: number
  readonly calls: number
  readonly ms: number
}

export interface CallResult {
  readonly calls: number
  readonly seconds: number
}

const origin = process.argv[2] ?? ''
const path = '/cgi-bin/message/template/send?access_token=a-token-of-the-bench'
const headers = { 'content-type': 'application/json' }
const body = JSON.stringify({
  template_id: TEMPLATE_ID,
  data: { thing1: { value: '订单已发货' } },
  touser: openidOf(0),
  client_msg_id: `${ACCOUNT.appId}-00000000-0000`,
})
const pools = new Map<number, Pool>()

answerParent(async ({ inFlight, calls, ms }: CallRun): Promise<CallResult> => {
  const pool = pools.get(inFlight) ?? new Pool(origin, { connections: inFlight, pipelining: 1 })
  pools.set(inFlight, pool)
  const startedMs = performance.now()
  let made = 0
  const callOn = async () => {
    while (made < calls && performance.now() - startedMs < ms) {
      made += 1
      const answer = await pool.request({ path, method: 'POST', headers, body })
      await answer.body.json()
    }
  }
  await Promise.all(Array.from({ length: inFlight }, callOn))
  return { calls: made, seconds: (performance.now() - startedMs) / 1000 }
})
