import { describe, expect, it } from 'vitest'
import { createUnknownCodes } from '../../src/dispatch/unknown-codes.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { createLog } from '../../src/foundation/log.ts'

const HOUR_MS = 3_600_000

describe('createUnknownCodes', () => {
  it('warns once an hour for each code and account', () => {
    const lines: string[] = []
    const log = createLog('warn', { write: (line: string) => void lines.push(line) })
    let nowMs = 0
    const told = createUnknownCodes({ clock: { ...systemClock, monotonicMs: () => nowMs }, log })
    const seen = (account: string, errcode: number) => {
      told({ account, channel: 'template_message', message_id: 'm', errcode, rid: null })
    }
    seen('acme', 987654)
    seen('acme', 987654)
    seen('acme', 987655)
    seen('other', 987654)
    nowMs = HOUR_MS - 1
    seen('acme', 987654)
    nowMs = HOUR_MS
    seen('acme', 987654)
    const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(said.map(({ account, errcode }) => [account, errcode])).toEqual([
      ['acme', 987654],
      ['acme', 987655],
      ['other', 987654],
      ['acme', 987654],
    ])
    expect(said[0]).toMatchObject({ level: 'warn', msg: 'codes.unknown' })
  })
})
