import { describe, expect, it } from 'vitest'
import { textOf } from '../../src/events/document.ts'
import { cdata, readXml } from '../../src/receiver/xml.ts'
import { SUBSCRIBE_DOCUMENT } from '../fixtures/vectors.ts'

/** The fields as plain data; throws where the text is refused. */
function fieldsOf(text: string): unknown {
  const read = readXml(text)
  if (!read.ok) throw new Error(read.detail)
  return JSON.parse(JSON.stringify(read.fields))
}

describe('readXml', () => {
  it('reads a push of the platform', () => {
    expect(fieldsOf(SUBSCRIBE_DOCUMENT)).toEqual({
      ToUserName: 'gh_5c1e8a2b7d90',
      FromUserName: 'oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa',
      CreateTime: '1767312000',
      MsgType: 'event',
      Event: 'subscribe',
      EventKey: 'qrscene_spring_2026',
      Ticket: 'gQH47joAAAAAAAAAASxodHRwOi8vd2VpeGluLnFxLmNvbS9xL2Zha2U',
    })
  })

  it.each(['0123', '1e5', '0E68', '0x10', '4561255354251345929', '-1', '1.0', 'true', 'null'])(
    'keeps %s as it is written',
    (text) => {
      expect(fieldsOf(`<xml><a>${text}</a><b>${cdata(text)}</b></xml>`)).toEqual({
        a: text,
        b: text,
      })
    },
  )

  it.each([
    ['an empty element', '<a></a>', ''],
    ['a closed element', '<a/>', ''],
    ['an empty CDATA', '<a><![CDATA[]]></a>', ''],
    ['white space', '<a>  </a>', '  '],
    ['white space around CDATA', '<a> <![CDATA[x]]>\n</a>', ' x\n'],
    ['CDATA in two sections', '<a><![CDATA[x]]]]><![CDATA[>y]]></a>', 'x]]>y'],
    ['text and CDATA', '<a>x<![CDATA[y]]>z</a>', 'xyz'],
    ['the five references', '<a>&lt;&gt;&amp;&quot;&apos;</a>', '<>&"\''],
    ['references by number', '<a>&#65;&#x1F44B;&#x9000;</a>', 'A👋退'],
    ['a reference that was escaped', '<a>&amp;lt;</a>', '&lt;'],
    ['references in CDATA', '<a><![CDATA[&amp;&#65;&nbsp;&]]></a>', '&amp;&#65;&nbsp;&'],
    ['markup in CDATA', '<a><![CDATA[<b>1</b>]]></a>', '<b>1</b>'],
    ['a DOCTYPE typed by a person', '<a><![CDATA[<!DOCTYPE html>]]></a>', '<!DOCTYPE html>'],
    ['a comment opened in CDATA', '<a><![CDATA[<!--]]></a>', '<!--'],
    ['CDATA opened in CDATA', '<a><![CDATA[<![CDATA[x]]></a>', '<![CDATA[x'],
    ['a comment', '<a>x<!-- <b> --></a>', 'x'],
    ['broken CDATA of a published sample', '<a>![CDATA[ww1]]</a>', '![CDATA[ww1]]'],
    ['attributes', `<a b="1" c='2'>x</a>`, 'x'],
    ['an emoji', '<a>退订 👩‍👩‍👧</a>', '退订 👩‍👩‍👧'],
  ])('reads %s', (_, element, value) => {
    expect(fieldsOf(`<xml>${element}</xml>`)).toEqual({ a: value })
  })

  it.each([
    ['a byte order mark', '\uFEFF<xml><a>1</a></xml>'],
    ['a declaration', '<?xml version="1.0" encoding="UTF-8"?>\n<xml><a>1</a></xml>'],
    ['white space and comments around', '\n<!-- x --><xml><a>1</a></xml><!-- y -->\n'],
    ['text between the elements', '<xml>x<a>1</a>y</xml>'],
    ['another root name', '<root><a>1</a></root>'],
  ])('reads a document with %s', (_, text) => {
    expect(fieldsOf(text)).toEqual({ a: '1' })
  })

  it('makes a list of a name that repeats, and fields of what has elements', () => {
    const list = '<List><Id>1</Id></List><List><Id>2</Id></List><List/>'
    expect(fieldsOf(`<xml>${list}<One><Id>3</Id></One></xml>`)).toEqual({
      List: [{ Id: '1' }, { Id: '2' }, ''],
      One: { Id: '3' },
    })
  })

  it('reads an empty root as no fields', () => {
    expect(fieldsOf('<xml></xml>')).toEqual({})
    expect(fieldsOf('<xml/>')).toEqual({})
  })

  it('finds nothing under the names of what every object has', () => {
    const read = readXml('<xml><toString>x</toString></xml>')
    if (!read.ok) throw new Error(read.detail)
    expect(textOf(read.fields, 'toString')).toBe('x')
    expect(textOf(read.fields, 'valueOf')).toBeUndefined()
    expect('constructor' in read.fields).toBe(false)
  })

  it.each(['__proto__', 'constructor', 'prototype'])('refuses an element named %s', (name) => {
    expect(readXml(`<xml><${name}><admin>1</admin></${name}></xml>`).ok).toBe(false)
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false)
  })

  it.each([
    ['a DOCTYPE', '<!DOCTYPE xml [<!ENTITY e "x">]><xml><a>&e;</a></xml>'],
    ['a DOCTYPE in small letters', '<?xml version="1.0"?><!doctype xml><xml><a>1</a></xml>'],
    ['an entity', '<xml><!ENTITY e "x"><a>1</a></xml>'],
    ['an external entity', '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x><a>1</a></x>'],
    ['a DOCTYPE with a space', '<! DOCTYPE xml><xml><a>1</a></xml>'],
    ['a DOCTYPE behind the root', '<xml><a>1</a></xml><!DOCTYPE xml>'],
  ])('refuses %s as such', (_, text) => {
    expect(readXml(text)).toMatchObject({ ok: false, fault: 'doctype' })
  })

  it.each([
    ['nothing', ''],
    ['text', 'success'],
    ['JSON', '{"ToUserName":"gh_5c1e8a2b7d90"}'],
    ['the published sample that closes with <xml>', '<xml><a>1</a><xml>'],
    ['an element left open', '<xml><a>1</xml>'],
    ['a root left open', '<xml><a>1</a>'],
    ['elements crossed', '<xml><a><b></a></b></xml>'],
    ['two roots', '<xml><a>1</a></xml><xml><a>2</a></xml>'],
    ['two empty roots', '<xml/><xml/>'],
    ['text behind', '<xml><a>1</a></xml>x'],
    ['text behind an empty root', '<xml/>x'],
    ['text in front', 'x<xml><a>1</a></xml>'],
    ['CDATA behind', '<xml><a>1</a></xml><![CDATA[x]]>'],
    ['CDATA in front', '<![CDATA[x]]><xml><a>1</a></xml>'],
    ['a root of text', '<xml>hello</xml>'],
    ['CDATA left open', '<xml><a><![CDATA[x</a></xml>'],
    ['a comment left open', '<xml><a>1</a><!-- </xml>'],
    ['an unknown section', '<xml><![foo]]><a>1</a></xml>'],
    ['CDATA in small letters', '<xml><a><![cdata[x]]></a></xml>'],
    ['a lone ampersand', '<xml><a>x & y</a></xml>'],
    ['an unknown reference', '<xml><a>&nbsp;</a></xml>'],
    ['a member of objects as a reference', '<xml><a>&toString;</a></xml>'],
    ['U+0000 by number', '<xml><a>&#0;</a></xml>'],
    ['half a pair by number', '<xml><a>&#xD800;</a></xml>'],
    ['a number past Unicode', '<xml><a>&#x110000;</a></xml>'],
    ['U+0000', '<xml><a>\0</a></xml>'],
    ['a quote left open', '<xml><a b="1>x</a></xml>'],
    ['a section hidden in an attribute', '<xml><a b="<![CDATA["><!DOCTYPE x>]]></a></xml>'],
    ['a > in an attribute', '<xml><a b=">">1</a></xml>'],
    ['17 levels and the root', `<xml>${'<a>'.repeat(18)}x${'</a>'.repeat(18)}</xml>`],
    ['more tags than any push has', `<xml>${'<a/>'.repeat(4096)}</xml>`],
    ['a very long tag', `<xml><a b="${'x'.repeat(300)}">1</a></xml>`],
  ])('refuses %s', (_, text) => {
    expect(readXml(text)).toMatchObject({ ok: false, fault: 'malformed' })
  })

  it('says where a document breaks and quotes nothing of it', () => {
    const read = readXml('<xml>\n<secret>oG7tR1vX</other></xml>')
    expect(read).toEqual({
      ok: false,
      fault: 'malformed',
      detail: 'InvalidTag at line 2, column 17',
    })
  })

  it.each([
    ['open tags', '<a>'.repeat(87_000)],
    ['open sections', `<xml>${'<![CDATA['.repeat(29_000)}`],
    ['ampersands', `<xml><a>${'&'.repeat(260_000)}</a></xml>`],
    ['references without an end', `<xml><a>${'&a'.repeat(130_000)}</a></xml>`],
    ['spaces', `<xml${' '.repeat(260_000)}`],
  ])('is done with 256 KiB of %s in moments', (_, text) => {
    const started = performance.now()
    expect(readXml(text).ok).toBe(false)
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

describe('cdata', () => {
  it.each(['', 'x', ']]>', ']]]]>>', 'a]]>b]]>c', '<![CDATA[x]]>', '&amp;'])(
    'wraps %j so that it reads back the same',
    (text) => {
      expect(fieldsOf(`<xml><a>${cdata(text)}</a></xml>`)).toEqual({ a: text })
    },
  )
})
