/** Why a document is refused; `detail` is safe to log, it quotes nothing of the document. */
export interface XmlFault {
  readonly fault: 'doctype' | 'malformed'
  readonly detail: string
}

/** Parts of a document in which a `<` means nothing, by what opens and closes them. */
const SECTIONS = [
  { open: '<![CDATA[', close: ']]>' },
  { open: '<!--', close: '-->' },
  { open: '<?', close: '?>' },
] as const

const DECLARATION = /^<!\s*(DOCTYPE|ENTITY)/i

/**
 * The longest list the platform documents has far fewer; without a limit, 256 KiB of `<a/>` would
 * keep a core busy for 160 ms before any signature is known to be right.
 */
const MAX_TAGS = 4096
/** The platform's tags are bare names. */
const MAX_TAG_LENGTH = 256

type Markup = { readonly kind: 'tag' | 'section'; readonly end: number } | XmlFault

/**
 * Looks over the markup before the parser sees it, in one pass, linear in the length.
 *
 * A DOCTYPE or entity declaration is refused wherever the parser could meet one, but not inside
 * CDATA: there it is what a person typed, and refusing it would let any follower make pushes fail
 * until the platform suspends them. The pass also refuses what the parser would let through: text
 * around the root, unknown `<!…` sections, an open quote in a tag, very many or very long tags.
 */
export function findMarkupFault(document: string): XmlFault | undefined {
  if (document.includes('\0')) return malformed('U+0000')
  let end = 0
  let tags = 0
  for (let at = document.indexOf('<'); at !== -1; at = document.indexOf('<', end)) {
    if (end === 0 && document.slice(0, at).trim() !== '') return malformed('text before the root')
    const markup = readMarkup(document, at)
    if ('fault' in markup) return markup
    if (markup.kind === 'tag' && ++tags > MAX_TAGS) return malformed(`more than ${MAX_TAGS} tags`)
    end = markup.end
  }
  if (tags === 0) return malformed('no element')
  return document.slice(end).trim() === '' ? undefined : malformed('text after the root')
}

function readMarkup(document: string, at: number): Markup {
  for (const { open, close } of SECTIONS) {
    if (document.startsWith(open, at)) return readSection(document, at + open.length, close)
  }
  if (document.startsWith('<!', at)) {
    return DECLARATION.test(document.slice(at, at + 32))
      ? { fault: 'doctype', detail: 'a DOCTYPE or entity declaration' }
      : malformed('an unknown <! section')
  }
  return readTag(document, at)
}

function readSection(document: string, from: number, close: string): Markup {
  const at = document.indexOf(close, from)
  if (at === -1) return malformed('an unclosed section')
  return { kind: 'section', end: at + close.length }
}

function readTag(document: string, at: number): Markup {
  const tag = document.slice(at, at + MAX_TAG_LENGTH)
  const close = tag.indexOf('>')
  if (close === -1) return malformed('an unclosed or very long tag')
  // Whatever is left of a quote or a `<` would make the parser see another end of this tag.
  const bare = tag.slice(1, close).replace(/"[^"<]*"|'[^'<]*'/g, '')
  if (/["'<]/.test(bare)) return malformed('a < or an open quote inside a tag')
  return { kind: 'tag', end: at + close + 1 }
}

function malformed(detail: string): XmlFault {
  return { fault: 'malformed', detail }
}
