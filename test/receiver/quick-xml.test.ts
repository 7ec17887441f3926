import { describe, expect, it } from 'vitest'
import { readQuickly } from '../../src/receiver/quick-xml.ts'
import { cdata, readXml, readXmlOfRecord } from '../../src/receiver/xml.ts'
import { SEALED, SUBSCRIBE_DOCUMENT } from '../fixtures/vectors.ts'
import { documentOf } from '../support/push-documents.ts'
import { compareReaders } from './fuzz-xml.ts'

const HEAD = {
  originalId: 'gh_5c1e8a2b7d90',
  openid: 'oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa',
  at: 1767312000,
}

const PHOTOS =
  '<SendPicsInfo><Count>2</Count>\n<PicList><item><PicMd5Sum><![CDATA[5a75]]></PicMd5Sum>\n</item>\n' +
  '<item><PicMd5Sum><![CDATA[6b86]]></PicMd5Sum>\n</item>\n</PicList>\n</SendPicsInfo>\n'

const SEALED_DOCUMENTS = SEALED.flatMap(({ name, message }): [string, string][] =>
  message?.startsWith('<xml>') ? [[`the document of ${name}`, message]] : [],
)

/** As many elements inside each other, in a root. */
function nest(levels: number): string {
  return `<xml>${'<a>'.repeat(levels)}x${'</a>'.repeat(levels)}</xml>`
}

describe('readQuickly', () => {
  it.each([
    ['a push', SUBSCRIBE_DOCUMENT],
    ['an envelope', `<xml><ToUserName>${cdata('gh_1')}</ToUserName><Encrypt>W/Q+=</Encrypt></xml>`],
    [
      'a typed text',
      documentOf(HEAD, { kind: 'say', text: '退订 & <b> ]]> 👋', msgId: '4561255354' }),
    ],
    ['a menu click', documentOf(HEAD, { kind: 'menu', key: 'STOP' })],
    ['a popup', documentOf(HEAD, { kind: 'accept', templateId: 'VRR0UEO9VJOLs0MHlU0Oi' })],
    ['photos', `<xml>\n${PHOTOS}</xml>`],
    ...SEALED_DOCUMENTS,
  ])('reads %s as the reader of record does', (_, text) => {
    const fields = readQuickly(text)
    expect(fields).toBeDefined()
    expect(readXmlOfRecord(text)).toStrictEqual({ ok: true, fields })
  })

  it.each([
    ['bare text', '<a>0123</a>', '0123'],
    ['nothing', '<a></a>', ''],
    ['white space', '<a> \n\t</a>', ' \n\t'],
    ['bare text with white space around it', '<a> x\n</a>', ' x\n'],
    ['a space that XML does not know', '<a>\u3000</a>', '\u3000'],
    ['marks without a meaning', `<a>"'>]]>=/</a>`, `"'>]]>=/`],
    ['empty CDATA', '<a><![CDATA[]]></a>', ''],
    ['white space around CDATA', '<a> <![CDATA[x]]>\n</a>', ' x\n'],
    ['CDATA in two sections', '<a><![CDATA[x]]]]><![CDATA[>y]]></a>', 'x]]>y'],
    ['white space between two sections', '<a><![CDATA[x]]>\n<![CDATA[y]]></a>', 'x\ny'],
    ['references in CDATA', '<a><![CDATA[&amp;&#65;&]]></a>', '&amp;&#65;&'],
    ['markup in CDATA', '<a><![CDATA[</a><!DOCTYPE x><!--<?]]></a>', '</a><!DOCTYPE x><!--<?'],
    ['CDATA opened in CDATA', '<a><![CDATA[<![CDATA[x]]></a>', '<![CDATA[x'],
    ['brackets before the end of CDATA', '<a><![CDATA[x]]]]]></a>', 'x]]]'],
    ['an emoji and half of one', '<a>👋\uD83D</a>', '👋\uD83D'],
    ['a control character', '<a>\u0001</a>', '\u0001'],
    ['elements', '<a>\n<b>1</b>\t<c>2</c> </a>', { b: '1', c: '2' }],
    ['a list', '<a>1</a><a><b>2</b></a><a></a>', ['1', { b: '2' }, '']],
    ['a name with digits', '<a><Md5_1>x</Md5_1></a>', { Md5_1: 'x' }],
  ])('reads %s as the reader of record does', (_, elements, value) => {
    const text = ` <xml>${elements}</xml>\n`
    const fields = readQuickly(text)
    expect({ ...fields }).toEqual({ a: value })
    expect(readXmlOfRecord(text)).toStrictEqual({ ok: true, fields })
  })

  it('keeps the names in their order, and gives no object what the text does not have', () => {
    const fields = readQuickly('<xml><b><x>1</x></b><a>2</a><b><y>3</y></b></xml>') ?? {}
    expect(Object.keys(fields)).toEqual(['b', 'a'])
    const inner = readQuickly('<xml><b><x>1</x></b></xml>')?.b ?? {}
    const inherited = Object.getOwnPropertyNames(Object.prototype)
    expect(inherited.filter((name) => name in fields || name in (inner as object))).toEqual([])
  })

  it.each([
    ['a declaration', '<?xml version="1.0"?><xml><a>1</a></xml>'],
    ['an instruction', '<xml><?x y?><a>1</a></xml>'],
    ['a byte order mark', '\uFEFF<xml><a>1</a></xml>'],
    ['a comment in front', '<!-- x --><xml><a>1</a></xml>'],
    ['a comment in a text', '<xml><a>1<!-- x --></a></xml>'],
    ['a comment behind CDATA', '<xml><a><![CDATA[1]]><!-- x --></a></xml>'],
    ['an attribute', '<xml><a b="1">1</a></xml>'],
    ['an attribute of the root', '<xml b="1"><a>1</a></xml>'],
    ['a space in a start tag', '<xml><a >1</a></xml>'],
    ['a space in an end tag', '<xml><a>1</a ></xml>'],
    ['a closed element', '<xml><a/></xml>'],
    ['a reference', '<xml><a>&amp;</a></xml>'],
    ['a carriage return', '<xml>\r\n<a>1</a></xml>'],
    ['a carriage return in CDATA', '<xml><a><![CDATA[1\r\n2]]></a></xml>'],
    ['text and CDATA', '<xml><a>x<![CDATA[y]]></a></xml>'],
    ['CDATA and text', '<xml><a><![CDATA[y]]>x</a></xml>'],
    ['text between elements', '<xml>x<a>1</a></xml>'],
    ['text behind elements', '<xml><a>1</a>x</xml>'],
    ['CDATA between elements', '<xml><a>1</a><![CDATA[x]]></xml>'],
    ['elements behind CDATA', '<xml><a><![CDATA[x]]><b>1</b></a></xml>'],
    ['an empty root', '<xml></xml>'],
    ['a name of many letters', `<xml><${'a'.repeat(65)}>1</${'a'.repeat(65)}></xml>`],
    ['a name with a colon', '<xml><a:b>1</a:b></xml>'],
    ['a name in Chinese', '<xml><名>1</名></xml>'],
    ['toString', '<xml><toString>1</toString></xml>'],
    ['deep elements', nest(9)],
    ['very many elements', `<xml>${'<a>1</a>'.repeat(1000)}</xml>`],
  ])('hands over what the reader of record reads: %s', (_, text) => {
    expect(readQuickly(text)).toBeUndefined()
    expect(readXmlOfRecord(text).ok).toBe(true)
    expect(readXml(text)).toStrictEqual(readXmlOfRecord(text))
  })

  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['text', 'success'],
    ['a root of text', '<xml>hello</xml>'],
    ['a root of white space', '<xml> </xml>'],
    ['a root left open', '<xml><a>1</a>'],
    ['an element left open', '<xml><a>1</xml>'],
    ['elements crossed', '<xml><a><b>1</a></b></xml>'],
    ['an end tag of a longer name', '<xml><a>1</ab></xml>'],
    ['an end tag of a shorter name', '<xml><ab>1</a></xml>'],
    ['an end tag in another case', '<xml><a>1</A></xml>'],
    ['an end tag cut off', '<xml><a>1</a></xml'],
    ['a tag without a name', '<xml><>1</></xml>'],
    ['a name that starts with a digit', '<xml><1a>1</1a></xml>'],
    ['two roots', '<xml><a>1</a></xml><xml><a>1</a></xml>'],
    ['text behind', '<xml><a>1</a></xml>x'],
    ['a strange space behind', '<xml><a>1</a></xml>\u00a0'],
    ['a strange space in front', '\u3000<xml><a>1</a></xml>'],
    ['a byte order mark behind', '<xml><a>1</a></xml>\uFEFF'],
    ['an end tag behind', '<xml><a>1</a></xml></xml>'],
    ['CDATA left open', '<xml><a><![CDATA[1</a></xml>'],
    ['CDATA in small letters', '<xml><a><![cdata[1]]></a></xml>'],
    ['a lone ampersand', '<xml><a>x & y</a></xml>'],
    ['a DOCTYPE', '<!DOCTYPE xml><xml><a>1</a></xml>'],
    ['an entity', '<xml><!ENTITY e "x"><a>1</a></xml>'],
    ['U+0000', '<xml><a>\0</a></xml>'],
    ['U+0000 in CDATA', '<xml><a><![CDATA[\0]]></a></xml>'],
    ['__proto__', '<xml><__proto__>1</__proto__></xml>'],
    ['constructor', '<xml><constructor>1</constructor></xml>'],
    ['prototype', '<xml><a><prototype>1</prototype></a></xml>'],
    ['a name as long as a text', `<xml><${'a'.repeat(300)}>1</${'a'.repeat(300)}></xml>`],
    ['elements too deep', nest(18)],
    ['too many elements', `<xml>${'<a>1</a>'.repeat(2048)}</xml>`],
  ])('hands over what the reader of record refuses: %s', (_, text) => {
    expect(readQuickly(text)).toBeUndefined()
    expect(readXmlOfRecord(text).ok).toBe(false)
    expect(readXml(text)).toStrictEqual(readXmlOfRecord(text))
  })

  it('reads nothing otherwise than the reader of record, in thirty thousand made documents', () => {
    const compared = compareReaders(20_260_401, 30_000)
    expect(compared.disagreements).toEqual([])
    // Both kinds must be there, or the comparison proves nothing.
    expect(compared.readQuickly).toBeGreaterThan(9_000)
    expect(compared.documents - compared.readable).toBeGreaterThan(9_000)
    expect(compared.readable - compared.readQuickly).toBeGreaterThan(1_500)
  })

  it.each([
    ['open tags', '<a>'.repeat(87_000)],
    ['open sections', `<xml><a>${'<![CDATA['.repeat(29_000)}`],
    ['sections', `<xml><a>${'<![CDATA[]]>'.repeat(21_000)}`],
    ['spaces', `<xml>${' '.repeat(260_000)}`],
  ])('gives up on 256 KiB of %s in moments', (_, text) => {
    const started = performance.now()
    expect(readQuickly(text)).toBeUndefined()
    expect(performance.now() - started).toBeLessThan(500)
  })
})
