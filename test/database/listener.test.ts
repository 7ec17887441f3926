import { afterEach, describe, expect, it } from 'vitest'
import { createListener, type Listener } from '../../src/database/listener.ts'
import { createLog } from '../../src/foundation/log.ts'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase({ empty: true })
const open: Listener[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close()))
})

async function listen(onOdd: (payload: string) => void = () => undefined) {
  const heard: string[] = []
  let reconnects = 0
  const listener = createListener({
    url: database().url,
    log: createLog('silent'),
    onNotify: { even: (payload) => void heard.push(payload), odd: onOdd },
    onReconnect: () => void (reconnects += 1),
  })
  open.push(listener)
  await listener.ready
  return { heard, listener, reconnects: () => reconnects }
}

async function notify(channel: string, payload: string): Promise<void> {
  await database().db.raw('select pg_notify(?, ?)', [channel, payload])
}

async function endListeners(): Promise<number> {
  const answer = await database().db.raw<{ rows: unknown[] }>(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'wcg listener' and datname = current_database()`,
  )
  return answer.rows.length
}

describe('createListener', () => {
  it('hands the payload to the handler of its channel', async () => {
    const { heard } = await listen()
    await notify('even', '2')
    await notify('other', '3')
    await notify('even', '')
    await expect.poll(() => heard).toEqual(['2', ''])
  })

  it('comes back after its connection was ended, says so, and hears again', async () => {
    const { heard, reconnects } = await listen()
    // the server may still be ending the one of the test before
    expect(await endListeners()).toBeGreaterThanOrEqual(1)
    await expect.poll(reconnects, { timeout: 5_000 }).toBe(1)
    await notify('even', '4')
    await expect.poll(() => heard).toEqual(['4'])
  })

  it('says nothing about reconnecting at its first connection', async () => {
    const { heard, reconnects } = await listen()
    await notify('even', '6')
    await expect.poll(() => heard).toEqual(['6'])
    expect(reconnects()).toBe(0)
  })

  it('goes on after a handler failed', async () => {
    const { heard } = await listen(() => {
      throw new Error('a handler broke')
    })
    await notify('odd', '1')
    await notify('even', '8')
    await expect.poll(() => heard).toEqual(['8'])
  })

  it('closes at once while there is no server', async () => {
    const listener = createListener({
      url: 'postgres://nobody@127.0.0.1:1/nothing',
      log: createLog('silent'),
      onNotify: {},
      onReconnect: () => undefined,
    })
    await listener.close()
    await listener.ready
  })

  it('leaves no connection behind when it is closed', async () => {
    const { listener } = await listen()
    await listener.close()
    await expect.poll(endListeners).toBe(0)
  })
})
