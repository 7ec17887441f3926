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

  it('tells two apps apart that a WeCom member loses in one second, and knows a repeat', () => {
    const lost = (agentId: string) =>
      `<xml><ToUserName><![CDATA[ww3c7e1a9b5d2f8064]]></ToUserName><FromUserName><![CDATA[LiXiaoMing]]></FromUserName><CreateTime>1767312710</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[unsubscribe]]></Event><AgentID>${agentId}</AgentID></xml>`
    expect(repeatKey(lost('1000007'))).not.toEqual(repeatKey(lost('1000008')))
    expect(repeatKey(lost('1000007'))).toEqual(repeatKey(Buffer.from(lost('1000007'))))
  })

  it('does not merge bytes that a careless decoder would', () => {
    expect(repeatKey(Buffer.from([0xff]))).not.toEqual(repeatKey(Buffer.from([0xfe])))
  })
})
