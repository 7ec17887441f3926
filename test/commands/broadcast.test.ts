import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { progressLine } from '../../src/commands/broadcast-show.ts'
import { speakIn } from '../../src/commands/words.ts'
import { MESSAGE_STATUSES, type MessageStatus } from '../../src/messages/message.ts'
import { headOf, linesOfJson } from '../support/broadcasts.ts'
import { useTestDatabase } from '../support/database.ts'
import { runWcg } from '../support/run-wcg.ts'
import { addAccount } from '../api/served-api.ts'

const database = useTestDatabase()
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wcg-broadcast-'))
  await addAccount(database().db, 'acme')
})
afterAll(() => rm(folder, { recursive: true }))

const wcg = (typed: readonly string[], stdin = '') => runWcg(database().url, typed, { stdin })

const LIST = linesOfJson(headOf('acme'), { to: 'oA' }, { to: 'oB' }, { to: 'oB' }, '?')

const CUSTOMER_SERVICE = JSON.stringify({
  account: 'acme',
  channel: 'customer_service_message',
  content: { msgtype: 'text', text: { content: '茶' } },
})

async function create(): Promise<string> {
  const { out } = await wcg(['broadcast', 'create', '--file', '-', '--json'], LIST)
  return (JSON.parse(out) as { id: string }).id
}

describe('wcg broadcast create', () => {
  it('takes the lines of a file, and names the bad ones beside the answer', async () => {
    const file = join(folder, 'list.ndjson')
    await writeFile(file, LIST)
    const { out, err, code } = await wcg(['broadcast', 'create', '--file', file])
    expect(code).toBe(0)
    expect(out).toMatch(/is running: 2 recipients, 1 duplicates, 1 bad lines/)
    expect(err).toContain('line 5: must be one JSON value')
  })

  it('goes to everyone with a consent, for which the file holds the broadcast alone', async () => {
    const everyone = (scope: string, stdin: string, ...more: string[]) =>
      wcg(['broadcast', 'create', '--everyone', scope, '--file', '-', ...more], stdin)
    const head = JSON.stringify(headOf('acme'), null, 2)
    const { out, code } = await everyone('follow', head)
    expect(code).toBe(0)
    expect(out).toMatch(/is expanding, to everyone with live consent follow; wcg broadcast show/)
    const spoken = await everyone('conversation', CUSTOMER_SERVICE, '--lang', 'zh')
    expect(spoken.out).toContain('发给拥有有效同意 conversation 的所有人')
    const json = await everyone('conversation', CUSTOMER_SERVICE, '--json')
    expect(JSON.parse(json.out)).toMatchObject({ audience: { scope: 'conversation' } })

    const list = await everyone('follow', LIST)
    expect([list.code, list.err]).toEqual([2, expect.stringContaining('without recipients')])
    const twice = await everyone('follow', JSON.stringify({ ...headOf('acme'), audience: {} }))
    expect(twice.code).toBe(2)
    const wrong = await everyone('member:x', head, '--lang', 'zh')
    expect([wrong.code, wrong.err]).toEqual([
      2,
      expect.stringContaining('--everyone: 必须是以下之一：follow, template:<id>, conversation'),
    ])
  })

  it('says in Chinese too when the file cannot be read, or its head is wrong', async () => {
    const missing = await wcg(['broadcast', 'create', '--file', join(folder, 'no'), '--lang', 'zh'])
    expect([missing.out, missing.code]).toEqual(['', 2])
    expect(missing.err).toContain('无法读取文件')
    const wrong = await wcg(['broadcast', 'create', '--file', '-', '--json'], '{"account":"acme"}')
    expect(wrong.code).toBe(2)
    expect(JSON.parse(wrong.err)).toMatchObject({ error: { code: 'invalid_request' } })
  })
})

describe('wcg broadcast', () => {
  it('shows, pauses, resumes, cancels and lists', async () => {
    const id = await create()
    const shown = await wcg(['broadcast', 'show', id])
    expect(shown.out).toContain('[..............................] 0 %  0/2  running')
    expect(shown.out).toMatch(/waiting +2/)
    const json = await wcg(['broadcast', 'show', id, '--json'])
    expect(JSON.parse(json.out)).toMatchObject({ id, messages: { waiting: 2 } })
    expect((await wcg(['broadcast', 'pause', id])).out).toBe(`Broadcast ${id} is paused.\n`)
    // a paused one has nothing to watch
    expect((await wcg(['broadcast', 'show', id, '--watch'])).out).toContain('paused')
    expect((await wcg(['broadcast', 'resume', id, '--lang', 'zh'])).out).toContain('running')
    const cancelled = await wcg(['broadcast', 'cancel', id, '--json'])
    expect(JSON.parse(cancelled.out)).toMatchObject({ id, status: 'cancelled' })
    const again = await wcg(['broadcast', 'pause', id])
    expect([again.code, again.out]).toEqual([1, ''])
    const list = await wcg(['broadcast', 'list', '--json', '--limit', '1'])
    expect(JSON.parse(list.out)).toMatchObject([{ id, status: 'cancelled' }])
    expect((await wcg(['broadcast', 'list'])).out).toContain(id)
  })

  it('reports as CSV, or as lines of JSON', async () => {
    const id = await create()
    const csv = await wcg(['broadcast', 'report', id])
    expect(csv.out.split('\r\n').slice(0, 3)).toEqual([
      'line,recipient,status,reason,errcode,message_id,queued_at,finished_at,receipt_at',
      '2,oA,waiting,,,,,,',
      '3,oB,waiting,,,,,,',
    ])
    const json = await wcg(['broadcast', 'report', id, '--json'])
    const rows = json.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(rows).toMatchObject([
      { line: 2, recipient: 'oA', status: 'waiting' },
      { line: 3, recipient: 'oB' },
      { line: 5, recipient: null, status: 'bad_line' },
    ])
  })

  it('knows no other broadcast', async () => {
    const { err, code } = await wcg(['broadcast', 'report', 'word', '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'broadcast_not_found' } })
  })
})

describe('progressLine', () => {
  it('draws how far it is, how fast, and how long it will take', () => {
    const none = Object.fromEntries(MESSAGE_STATUSES.map((status) => [status, 0])) as Record<
      MessageStatus,
      number
    >
    const now = new Date('2026-03-01T00:00:00Z')
    const progress = {
      status: 'running' as const,
      lines: { accepted: 100, duplicate: 0, bad: 0, complete: true },
      messages: { ...none, waiting: 40, queued: 8, sending: 2, sent: 45, blocked: 5 },
      ratePerSecond: 12.34,
      estimatedEndAt: new Date('2026-03-01T01:02:03Z'),
      reason: null,
      until: null,
    }
    expect(progressLine(progress, speakIn('en'), now)).toBe(
      '[###############...............] 50 %  50/100  running  12 a second  1:02:03 left',
    )
    const resting = (reason: string) => {
      const until = new Date('2026-03-02T00:00:00Z')
      return progressLine({ ...progress, reason, until, estimatedEndAt: null }, speakIn('en'), now)
    }
    expect(resting('quiet_hours')).toContain('rests until 2026-03-02T00:00:00.000Z (quiet hours)')
    expect(resting('quota_daily')).toContain('rests until 2026-03-02T00:00:00.000Z (quota_daily)')
    expect(progressLine(progress, speakIn('zh'), now)).toContain('每秒 12 条  剩余 1:02:03')
  })
})
