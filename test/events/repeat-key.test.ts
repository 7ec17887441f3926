import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { repeatKey } from '../../src/events/repeat-key.ts'

const document = (time: string, agent = '') =>
  `<xml><FromUserName>oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa</FromUserName><CreateTime>${time}</CreateTime>${agent}<Event>unsubscribe</Event></xml>`

describe('repeatKey', () => {
  it('is the SHA-256 of the bytes', () => {
    expect(repeatKey(Buffer.from('abc')).toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
  })

  it('has 32 bytes', () => {
    expect(repeatKey(document('1767312180'))).toHaveLength(32)
  })

  it('is the same for a text and its UTF-8 bytes', () => {
    const text = '<xml><Content>退订 👋</Content></xml>'
    const expected = createHash('sha256').update(Buffer.from(text, 'utf8')).digest()
    expect(repeatKey(text)).toEqual(expected)
    expect(repeatKey(Buffer.from(text, 'utf8'))).toEqual(expected)
  })

  it.each([
    ['a second later', document('1767312181')],
    ['one field more', document('1767312180', '<AgentID>1</AgentID>')],
    ['one space more', document('1767312180') + ' '],
    ['a byte-order mark', '\uFEFF' + document('1767312180')],
  ])('differs for %s', (_name, other) => {
    expect(repeatKey(other)).not.toEqual(repeatKey(document('1767312180')))
  })

  it('does not merge bytes that a careless decoder would', () => {
    expect(repeatKey(Buffer.from([0xff]))).not.toEqual(repeatKey(Buffer.from([0xfe])))
  })
})
