import { cdata } from '../../src/receiver/xml.ts'

/**
 * Documents to try an XML reader with, the same ones for the same seed: documents like the
 * platform's with here and there an odd name or space, and short sequences of markup. Nearly half of
 * them get one to four faults, mostly beside the markup.
 */
export interface DocumentMaker {
  next(): string
}

/** Draws; the same sequence for the same seed. */
interface Dice {
  /** A whole number from 0 and below the limit. */
  below(limit: number): number
  /** True once in so many throws. */
  oneIn(throws: number): boolean
  pick(texts: readonly string[]): string
}

const NAMES: readonly string[] = [
  ...['ToUserName', 'FromUserName', 'CreateTime', 'MsgType', 'Event', 'EventKey', 'Ticket'],
  ...['Content', 'MsgId', 'Encrypt', 'item', 'Location_X', 'PicMd5Sum', 'a', 'b', 'A', 'xml'],
]

/** Names that no push has; some mean something to JavaScript or to the reader of record. */
const ODD_NAMES: readonly string[] = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '_a'],
  ...['#text', '#cdata', ':@', 'a:b', '!xml', '1a', 'a-b', 'a.b', '名', 'é', 'a'.repeat(64)],
  ...['a'.repeat(65), 'a'.repeat(254), 'a'.repeat(255), '', ' a', 'a ', 'a\tb', 'length', 'Object'],
  ...['a/', '/a', 'a=b', 'a"', '!a', '?a'],
]

const BARE_TEXTS: readonly string[] = [
  ...['1767312000', '0', '', '0123', '1e5', '4561255354251345929', 'true', 'event', ' ', '\n', 'x'],
  ...[' x ', '"', "'", '>', ']]>', ']]', '退订', '👩‍👩‍👧', '/', '=', '![CDATA[x]]', '\u00a0', '\u3000'],
]

const CDATA_TEXTS: readonly string[] = [
  ...['gh_5c1e8a2b7d90', 'oG7tR1vXkQ2bYwZ9mLpNcD4sEfHa', 'subscribe', 'qrscene_spring_2026', ''],
  ...['https://example.org/?a=1&b=2', '&amp;&#65;&', '<b>1</b>', '<!DOCTYPE html>', '<!--', '</a>'],
  ...[
    ']]>',
    ']',
    ']]',
    '>',
    'a\nb',
    ' ',
    '你好，请问什么时候发货？',
    '👋',
    '<![CDATA[',
    '<?x',
    '\t',
  ],
  'WJ4e/iIOSGfK8MFJjzbYjMbPGBJcuRr48ASvhginNaPMM7Szh2PWEZvx7Y6Ajun0QYgnNoc483NG587e5cSx==',
]

const SPACES: readonly string[] = [
  ...['', '', '\n', '\n', ' ', '\n  ', '\t', '  \n\n', '\r\n', '\r', '\u00a0', '\u3000', '\uFEFF'],
  ...['\v', '\f', '\u2028', '\u0085'],
]
const PLAIN_SPACES: readonly string[] = ['', '', '', '\n', ' ', '\n  ', '\t', '\n\n']

/** What a fault puts in. */
const SNIPPETS: readonly string[] = [
  ...['<', '>', '/', '&', ';', '"', "'", '=', '!', '?', '[', ']', '-', ' ', '\n', '\t', '\r', '\0'],
  ...['<a>', '</a>', '<a/>', '<a />', '<a ></a >', '</xml>', '<xml>', '<xml/>', '</ a>', '< a>'],
  ...['<![CDATA[', ']]>', '<![CDATA[]]>', '<![CDATA[x]]>', '<![cdata[x]]>', '<!CDATA[x]]>', '<!['],
  ...['<![CDATA[<a>]]>', ']]]]><![CDATA[>', '<!--', '-->', '<!-- x -->', '<!---->', '<!-->', '<!'],
  ...['<?xml version="1.0"?>', '<?x?>', '<?', '?>', '<!DOCTYPE xml>', '<!ENTITY e "x">', ' b="1"'],
  ...[" b='<'", ' b=">"', ' b', '&amp;', '&lt;', '&#65;', '&#x0;', '&nbsp;', '&amp', '&a.b;'],
  ...[
    '\uFEFF',
    '\uFFFE',
    '\uFFFF',
    '\uD800',
    '\uDC00',
    '👋',
    '\u0001',
    '\u001F',
    '\u007F',
    '\u00a0',
  ],
  ...[
    '\u2028',
    '\u3000',
    '\u0085',
    '\v',
    '\f',
    '\u200B',
    '\u202E',
    'é',
    'e\u0301',
    '名',
    '\\',
    '\r\n',
  ],
]

/** The pieces of which the short sequences are made. */
const PIECES: readonly string[] = [
  ...['<a>', '</a>', '<b>', '</b>', '<a>', '</a>', '<a><![CDATA[', ']]></a>', '<![CDATA[', ']]>'],
  ...[' ', '\n', 'x', '&', '<', '>', '/', ']', '<a/>', '<!--', '-->', '"', '<a>x</a>', '<a></a>'],
]

/** A maker of documents; `seed` is a whole number. */
export function createDocumentMaker(seed: number): DocumentMaker {
  const dice = createDice(seed)
  let other = '<xml></xml>'
  return {
    next() {
      const document = dice.oneIn(8) ? writeSequence(dice) : writeDocument(dice)
      const made = dice.below(9) < 5 ? document : spoil(document, dice, other)
      other = document
      return made
    },
  }
}

/** Mulberry32, as published by Tommy Ettinger: 32 bits of state are enough for tests. */
function createDice(seed: number): Dice {
  let state = seed >>> 0
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  return {
    below,
    oneIn: (throws) => below(throws) === 0,
    pick: (texts) => texts[below(texts.length)] ?? '',
  }
}

function writeDocument(dice: Dice): string {
  const depth = dice.oneIn(20) ? 5 + dice.below(16) : dice.below(4)
  const space = dice.pick(PLAIN_SPACES)
  const root = dice.oneIn(4) ? dice.pick(NAMES) : 'xml'
  const around = dice.oneIn(6) ? dice.pick(SPACES) : ''
  // A few stand at the limits of names, of elements and of tags.
  const most = dice.oneIn(2) ? 990 + dice.below(20) : 2040 + dice.below(12)
  const many = dice.oneIn(500) ? '<a>1</a>'.repeat(most) : ''
  return `${around}<${root}>${many}${writeElements(dice, depth, space)}</${root}>${around}`
}

function writeElements(dice: Dice, depth: number, space: string): string {
  const count = depth > 4 ? 1 : 1 + dice.below(depth > 0 ? 5 : 7)
  let written = space
  for (let made = 0; made < count; made++) {
    const name = dice.oneIn(60) ? dice.pick(ODD_NAMES) : dice.pick(NAMES)
    const isNested = depth > 4 || (depth > 0 && dice.oneIn(3))
    const content = isNested ? writeElements(dice, depth - 1, space) : writeLeaf(dice)
    written += `<${name}>${content}</${name}>${space}`
  }
  return written
}

function writeLeaf(dice: Dice): string {
  if (dice.oneIn(3)) return dice.pick(BARE_TEXTS)
  const section = cdata(dice.pick(CDATA_TEXTS))
  if (!dice.oneIn(6)) return section
  const space = dice.pick(dice.oneIn(3) ? SPACES : PLAIN_SPACES)
  const more = dice.oneIn(2) ? `${cdata(dice.pick(CDATA_TEXTS))}${dice.pick(PLAIN_SPACES)}` : ''
  return `${space}${section}${space}${more}`
}

/** Up to eight pieces of markup in a root; end tags that fit are added to half of them. */
function writeSequence(dice: Dice): string {
  let written = ''
  const open: string[] = []
  for (let left = 1 + dice.below(8); left > 0; left--) {
    const piece = dice.pick(PIECES)
    if (piece === '<a>' || piece === '<b>') open.push(piece.replace('<', '</'))
    else if (piece === open.at(-1)) open.pop()
    written += piece
  }
  const ends = dice.oneIn(2) ? open.reverse().join('') : ''
  return `<xml>${written}${ends}</xml>`
}

function spoil(document: string, dice: Dice, other: string): string {
  let spoilt = document
  for (let faults = 1 + dice.below(dice.oneIn(4) ? 4 : 1); faults > 0; faults--) {
    spoilt = addFault(spoilt, dice, other)
  }
  return spoilt
}

function addFault(document: string, dice: Dice, other: string): string {
  const at = findPlace(document, dice)
  const [before, after] = [document.slice(0, at), document.slice(at)]
  const length = dice.oneIn(2) ? 1 : 1 + dice.below(20)
  const cut = dice.below(other.length + 1)
  switch (dice.below(9)) {
    case 0: // left out
      return before + after.slice(length)
    case 1: // doubled
      return before + after.slice(0, length) + after
    case 2: // one character changed in one bit
      return before + flip(after.slice(0, 1), dice) + after.slice(1)
    case 3: // one character replaced
      return before + dice.pick(SNIPPETS) + after.slice(1)
    case 4: // white space put in or replaced
      return before + dice.pick(SPACES) + after.trimStart()
    case 5: // a piece of another document put in
      return before + other.slice(cut, cut + dice.below(60)) + after
    case 6: // cut off, or carried on by another document
      return dice.oneIn(2) ? before : before + other.slice(cut)
    default:
      return before + dice.pick(SNIPPETS) + after
  }
}

/** Mostly beside a bracket or a slash, where the readers decide. */
function findPlace(document: string, dice: Dice): number {
  const anywhere = dice.below(document.length + 1)
  if (dice.oneIn(4)) return anywhere
  const bracket = document.indexOf(dice.pick(['<', '>', '/', ']', '[', '!']), anywhere)
  return bracket === -1 ? anywhere : bracket + dice.below(2)
}

function flip(character: string, dice: Dice): string {
  if (character === '') return ''
  return String.fromCharCode(character.charCodeAt(0) ^ (1 << dice.below(dice.oneIn(4) ? 16 : 7)))
}
