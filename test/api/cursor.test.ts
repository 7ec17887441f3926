import { describe, expect, it } from 'vitest'
import { decodeCursor, encodeCursor, pageOf } from '../../src/api/cursor.ts'

const isNumber = (text: string) => /^\d+$/.test(text)

describe('decodeCursor', () => {
  it('reads what encodeCursor wrote', () => {
    expect(decodeCursor(encodeCursor('42'), isNumber)).toBe('42')
  })

  it.each([[''], ['!!'], ['42'], [encodeCursor('x')], [`${encodeCursor('42')}=`]])(
    'refuses %j',
    (cursor) => {
      expect(() => decodeCursor(cursor, isNumber)).toThrow(
        expect.objectContaining({ code: 'invalid_query' }),
      )
    },
  )
})

describe('pageOf', () => {
  const entries = [{ id: '3' }, { id: '2' }, { id: '1' }]

  it('ends a page before the extra entry and points after its last', () => {
    expect(pageOf(entries, 2)).toEqual({
      page: [{ id: '3' }, { id: '2' }],
      nextCursor: encodeCursor('2'),
    })
  })

  it.each([[3], [4]])('has no cursor on the last page of at most %i', (limit) => {
    expect(pageOf(entries, limit)).toEqual({ page: entries, nextCursor: null })
  })

  it('has an empty page of nothing', () => {
    expect(pageOf([], 2)).toEqual({ page: [], nextCursor: null })
  })
})
