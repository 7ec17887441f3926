import { describe, expect, it } from 'vitest'
import { createLog } from '../../src/foundation/log.ts'

function startLog(level = 'info') {
  const lines: string[] = []
  return { lines, log: createLog(level, { write: (line: string) => void lines.push(line) }) }
}

describe('createLog', () => {
  it('writes one JSON object per line, with level and time as text', () => {
    const { lines, log } = startLog()
    log.info({ event_id: '7' }, 'push.recorded')
    const line: unknown = JSON.parse(lines[0] ?? '')
    expect(line).toMatchObject({ level: 'info', event_id: '7', msg: 'push.recorded' })
    expect(line).toHaveProperty('time', expect.stringMatching(/^\d{4}-.*Z$/))
  })

  it.each([
    'secret',
    'token',
    'aes_key',
    'access_token',
    'openid',
    'subject',
    'touser',
    'to',
    'document',
    'content',
    'key',
    'authorization',
    'password',
  ])('never shows a value named %s, on top or one level below', (name) => {
    const { lines, log } = startLog()
    log.info({ [name]: 'oHidden', below: { [name]: 'oHidden' } }, 'push.recorded')
    expect(lines.join()).not.toContain('oHidden')
    expect(lines.join().split('[redacted]')).toHaveLength(3)
  })

  it('is quiet below its level', () => {
    const { lines, log } = startLog('warn')
    log.info('push.recorded')
    expect(lines).toEqual([])
  })
})
