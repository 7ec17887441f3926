import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { COMMANDS } from '../src/commands/table.ts'
import { SETTINGS } from '../src/config.ts'
import { createMetrics } from '../src/foundation/metrics.ts'
import { REFUSALS } from '../src/receiver/refusals.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

const READMES = ['README.md', 'README.zh-CN.md'] as const
const docs = (await readdir(join(root, 'docs'), { recursive: true })).map((path) =>
  join('docs', path),
)
const PAGES = [...READMES, 'CONTRIBUTING.md', ...docs].filter(
  (path) => path.endsWith('.md') && existsSync(join(root, path)),
)

/** The code blocks of a page, without the indentation of the list they stand in. */
function codeBlocks(markdown: string): string[] {
  const blocks = markdown.matchAll(/^( *)```.*\n([\s\S]*?)^\1```$/gm)
  return [...blocks].map(([, indent = '', text = '']) =>
    text.replace(new RegExp(`^${indent}`, 'gm'), ''),
  )
}

function withoutBlocks(markdown: string): string {
  return markdown.replace(/^( *)```.*\n[\s\S]*?^\1```$/gm, '')
}

function codeSpans(markdown: string): string[] {
  return [...withoutBlocks(markdown).matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text)
}

/** Everything that a page shows as code, its long command lines joined. */
function codeOf(path: string): string[] {
  const markdown = read(path)
  const lines = codeBlocks(markdown).flatMap((block) => block.replace(/\\\n\s*/g, '').split('\n'))
  return [...lines, ...codeSpans(markdown)]
}

function headings(markdown: string): { level: number; text: string }[] {
  const found = withoutBlocks(markdown).matchAll(/^(#+) (.+)$/gm)
  return [...found].map(([, marks = '', text = '']) => ({ level: marks.length, text }))
}

/** The name that a heading has in a link, as code hosts make it. */
function anchorOf(heading: string): string {
  const kept = heading.toLowerCase().replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
  return kept.replaceAll(' ', '-')
}

describe('the two READMEs', () => {
  const [english, chinese] = READMES.map(read)

  it('have the same levels of headings in the same order', () => {
    const levels = (text = '') => headings(text).map((heading) => heading.level)
    expect(levels(chinese)).toEqual(levels(english))
    expect(levels(english).length).toBeGreaterThan(10)
  })

  it('have identical code blocks', () => {
    expect(codeBlocks(chinese ?? '')).toEqual(codeBlocks(english ?? ''))
    expect(codeBlocks(english ?? '').length).toBeGreaterThan(5)
  })

  it('link to the same places in the same order, but for each other', () => {
    const places = (text = '') =>
      linksOf(text)
        .map((link) => link.split('#')[0] ?? '')
        .filter((link) => link !== '' && !link.startsWith('README'))
    expect(places(chinese)).toEqual(places(english))
  })

  it.each(READMES)('name only npm scripts that exist: %s', (path) => {
    const named = codeOf(path).flatMap((line) => [
      ...[...line.matchAll(/\bnpm run (?:--\S+ )*([a-z:]+)/g)].map(([, name = '']) => name),
      ...[...line.matchAll(/\bnpm (test|start)\b/g)].map(([, name = '']) => name),
    ])
    expect(named).not.toEqual([])
    expect(Object.keys(packageJson.scripts)).toEqual(expect.arrayContaining(named))
  })

  it.each(READMES)('prove every promise by a test that exists: %s', (path) => {
    const promises = [...read(path).matchAll(/^\| (P\d+) .*\]\((test\/promises\/[^)]+)\) \|$/gm)]
    expect(promises.map(([, name]) => name)).toEqual(
      Array.from({ length: 10 }, (_, index) => `P${index + 1}`),
    )
    const missing = promises.map(([, , file = '']) => file).filter((file) => !isThere(file))
    expect(missing).toEqual([])
  })
})

function linksOf(markdown: string): string[] {
  const found = withoutBlocks(markdown).matchAll(/\]\(([^)\s]+)\)/g)
  return [...found].map(([, target = '']) => target).filter((target) => !/^[a-z]+:/.test(target))
}

function isThere(path: string): boolean {
  return existsSync(join(root, path))
}

describe.each(PAGES)('%s', (path) => {
  it('links only to files and headings that exist', () => {
    const broken = linksOf(read(path)).filter((link) => {
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : relative(root, resolve(root, dirname(path), file))
      if (!isThere(target)) return true
      if (anchor === undefined) return false
      return !headings(read(target)).some(({ text }) => anchorOf(text) === decodeURI(anchor))
    })
    expect(broken).toEqual([])
  })

  it('names only commands and options that exist', () => {
    expect(codeOf(path).flatMap(findUnknownWords)).toEqual([])
  })

  it('names only settings that exist', () => {
    const known: readonly string[] = SETTINGS.map((setting) => setting.name)
    // TEST_DATABASE_URL is the tests' own.
    const form = /\bWCG_[A-Z_]+\b|\b(?!TEST_)[A-Z_]+_URL\b/g
    const named = codeOf(path).flatMap((line) => line.match(form) ?? [])
    expect(named.filter((name) => !known.includes(name))).toEqual([])
  })
})

/** What a line of code takes for a command of `wcg`, or for an option of one, and is none. */
function findUnknownWords(line: string): string[] {
  return [...line.matchAll(/\bwcg (?:-- )?([a-z].*)/g)].flatMap(([, typed = '']) => {
    const [first = '', second = ''] = typed.match(/[a-z]+(?:-[a-z]+)*/g) ?? []
    const command = COMMANDS.find(({ name }) => name === `${first} ${second}` || name === first)
    if (!command) return [`wcg ${first} ${second}`]
    const known = [...Object.keys(command.options ?? {}), 'json', 'lang', 'help']
    const options = [...typed.matchAll(/ --([a-z-]+)/g)].map(([, name = '']) => name)
    return options.filter((name) => !known.includes(name)).map((name) => `${first} --${name}`)
  })
}

describe('docs/operations.md, for who looks something up,', () => {
  it('lists every log name and no other', async () => {
    expect(listedUnder('## Reading the logs')).toEqual(await findLogNames())
  })

  it('lists every metric and no other', async () => {
    const metrics = await createMetrics().registry.getMetricsAsJSON()
    const ours = metrics.map(({ name }) => name).filter((name) => name.startsWith('wcg_'))
    expect(listedUnder('## What do the metrics mean?')).toEqual(ours.toSorted())
  })

  it('names only reasons of refusals that exist', () => {
    const listed = listedUnder('### The log says push.refused')
    expect(listed.length).toBeGreaterThan(5)
    expect(Object.keys(REFUSALS)).toEqual(expect.arrayContaining(listed))
  })
})

/** The names in the first column of the tables between a heading and the next of its level. */
function listedUnder(heading: string): string[] {
  const [marks = ''] = heading.split(' ')
  const behind = read('docs/operations.md').split(`\n${heading}\n`)[1] ?? ''
  const section = behind.split(`\n${marks} `)[0] ?? ''
  const cells = [...section.matchAll(/^\| (`[a-z_.]+`(?:, `[a-z_.]+`)*) \|/gm)]
  const names = cells.flatMap(([, cell = '']) => cell.split(', '))
  return names.map((name) => name.replaceAll('`', '')).toSorted()
}

/** `push.${outcome}`: the values that its type allows. */
const BUILT_NAMES = new Map([['push.${outcome}', ['push.recorded', 'push.repeated']]])

/** The names of the gateway's own lines; the sandbox is not part of it. */
async function findLogNames(): Promise<string[]> {
  const files = await readdir(join(root, 'src'), { recursive: true })
  const names = files
    .filter((file) => file.endsWith('.ts') && !file.startsWith('sandbox'))
    .flatMap((file) => logCalls(read(join('src', file))).map(nameOfCall))
  return [...new Set(names.flatMap((name) => BUILT_NAMES.get(name) ?? [name]))].toSorted()
}

/** What stands between the parentheses of every call of a log. */
function logCalls(source: string): string[] {
  const starts = source.matchAll(/\blog(?:\.(?:trace|debug|info|warn|error|fatal)|\[[^\]]+\])\(/g)
  return [...starts].map((start) => {
    const from = start.index + start[0].length
    let depth = 1
    let end = from
    for (; depth > 0 && end < source.length; end += 1) {
      if (source[end] === '(') depth += 1
      if (source[end] === ')') depth -= 1
    }
    return source.slice(from, end - 1)
  })
}

/** The last argument; a call whose name cannot be read shows up as itself and fails the test. */
function nameOfCall(argumentsOfCall: string): string {
  const name = /['`]([a-z_]+\.(?:[a-z_]+|\$\{outcome\}))['`],?\s*$/.exec(argumentsOfCall)
  return name?.[1] ?? argumentsOfCall
}
