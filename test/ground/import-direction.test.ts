import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { ESLint } from 'eslint'
import tseslint from 'typescript-eslint'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** The project's own rules, without those that need types: the snippets are not on disk. */
const eslint = new ESLint({ cwd: root, overrideConfig: [tseslint.configs.disableTypeChecked] })

/** The rules that a file with this text, at this place, breaks. */
async function brokenRules(filePath: string, text: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(text, { filePath })
  return (result?.messages ?? [])
    .map((message) => message.ruleId)
    .filter((rule) => rule !== '@typescript-eslint/no-unused-vars')
}

/** A source file that exists in a room: a path that does not resolve would break no rule. */
function fileIn(room: string): string {
  const file = readdirSync(`${root}/src/${room}`).find((name) => name.endsWith('.ts'))
  if (file === undefined) throw new Error(`src/${room} holds no source file`)
  return `${room}/${file}`
}

const DIRECTION = 'import-x/no-restricted-paths'

describe('the arrow', () => {
  it.each([
    ['foundation', 'accounts'],
    ['database', 'accounts'],
    ['accounts', 'events'],
    ['events', 'receiver'],
    ['events', 'consent'],
    ['consent', 'receiver'],
    ['consent', 'dispatch'],
    ['receiver', 'consent'],
    ['receiver', 'database'],
    ['wechat', 'messages'],
    ['messages', 'api'],
    ['messages', 'dispatch'],
    ['templates', 'messages'],
    ['dispatch', 'api'],
    ['applications', 'messages'],
    ['api', 'receiver'],
    ['api', 'dispatch'],
    ['sandbox', 'consent'],
    ['commands', 'main.ts'],
    ['api', 'commands'],
    ['dispatch', 'compose.ts'],
    ['wechat', 'config.ts'],
  ])('refuses %s → %s', async (room, target) => {
    const path = target.endsWith('.ts') ? target : fileIn(target)
    const text = `import '../${path}'\n`
    expect(await brokenRules(`src/${room}/probe.ts`, text)).toEqual([DIRECTION])
  })

  it.each([
    ['database', 'foundation'],
    ['accounts', 'database'],
    ['receiver', 'events'],
    ['consent', 'events'],
    ['messages', 'consent'],
    ['dispatch', 'messages'],
    ['dispatch', 'wechat'],
    ['api', 'messages'],
    ['sandbox', 'foundation'],
    ['commands', 'sandbox'],
  ])('allows %s → %s', async (room, target) => {
    const text = `import '../${fileIn(target)}'\n`
    expect(await brokenRules(`src/${room}/probe.ts`, text)).toEqual([])
  })

  it('refuses a type against the arrow, as it refuses a value', async () => {
    const text =
      "import type { Consent } from '../consent/consent.ts'\nexport type Other = Consent\n"
    expect(await brokenRules('src/receiver/probe.ts', text)).toEqual([DIRECTION])
  })

  it('lets the sandbox share the crypto of the receiver, and nothing else of it', async () => {
    const shared = ['message-crypto', 'signature', 'xml'].map((name) => `../receiver/${name}.ts`)
    const others = readdirSync(`${root}/src/receiver`)
      .map((name) => `../receiver/${name}`)
      .filter((path) => !shared.includes(path))
    const text = (paths: string[]) => paths.map((path) => `import '${path}'\n`).join('')
    expect(await brokenRules('src/sandbox/probe.ts', text(shared))).toEqual([])
    expect(others.length).toBeGreaterThan(0)
    expect(await brokenRules('src/sandbox/probe.ts', text(others))).toEqual(
      others.map(() => DIRECTION),
    )
  })

  it('knows every room: a new folder of src/ needs its line in eslint.config.js', async () => {
    const rooms = readdirSync(`${root}/src`, { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    )
    for (const { name } of rooms) {
      const broken = await brokenRules(`src/${name}/probe.ts`, "import '../main.ts'\n")
      expect(broken, `src/${name}`).toEqual([DIRECTION])
    }
  })

  it('keeps migrations apart from code that changes', async () => {
    const text = "import '../src/foundation/clock.ts'\n"
    expect(await brokenRules('migrations/20990101000000_probe.ts', text)).toEqual([DIRECTION])
  })
})

describe('the edges', () => {
  const PACKAGES = '@typescript-eslint/no-restricted-imports'
  const EFFECTS = 'no-restricted-syntax'

  it.each([
    ['the clock', 'src/consent/probe.ts', 'export const at = new Date()\n', EFFECTS],
    ['the clock', 'src/dispatch/probe.ts', 'export const at = Date.now()\n', EFFECTS],
    ['randomness', 'src/wechat/probe.ts', 'export const n = Math.random()\n', EFFECTS],
    ['the environment', 'src/api/probe.ts', 'export const e = process.env\n', EFFECTS],
    ['the environment', 'src/api/probe.ts', "import { env } from 'node:process'\n", EFFECTS],
    ['the console', 'src/events/probe.ts', "console.log('x')\n", 'no-console'],
    ['SQL', 'src/events/probe.ts', "export const q = (h) => h.raw('select 1')\n", EFFECTS],
    ['SQL', 'src/api/probe.ts', "export const q = (trx) => trx('event')\n", EFFECTS],
    ['knex', 'src/consent/probe.ts', "import { knex } from 'knex'\n", PACKAGES],
    ['express', 'src/consent/probe.ts', "import express from 'express'\n", PACKAGES],
    ['the crypto', 'src/receiver/probe.ts', "import W from 'wechat-crypto'\n", PACKAGES],
    ['XML', 'src/receiver/probe.ts', "import * as x from 'fast-xml-parser'\n", PACKAGES],
    ['a skipped test', 'test/events/probe.test.ts', "it.skip('x', () => {})\n", EFFECTS],
    ['a lone test', 'test/events/probe.test.ts', "describe.only('x', () => {})\n", EFFECTS],
  ])('keep %s where it belongs: %s', async (_what, filePath, text, rule) => {
    expect(await brokenRules(filePath, text)).toContain(rule)
  })

  it.each([
    ['src/foundation/clock.ts', 'export const at = new Date()\n'],
    ['src/consent/probe.ts', 'export const at = new Date(0)\n'],
    ['src/config.ts', 'export const e = process.env\n'],
    ['src/commands/probe.ts', "console.log('x')\n"],
    ['src/events/event-store.ts', "export const q = (trx) => trx.raw('select 1')\n"],
    ['src/events/probe.ts', "import type { Knex } from 'knex'\nexport type Handle = Knex\n"],
    ['src/database/probe.ts', "import { knex } from 'knex'\nexport const k = knex\n"],
    ['src/api/probe.ts', "import express from 'express'\nexport const e = express.raw()\n"],
    ['src/receiver/message-crypto.ts', "import W from 'wechat-crypto'\nexport const w = W\n"],
    ['src/receiver/xml.ts', "import * as x from 'fast-xml-parser'\nexport const y = x\n"],
  ])('own what is theirs: %s', async (filePath, text) => {
    expect(await brokenRules(filePath, text)).toEqual([])
  })
})
