import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { runGateway } from '../../src/commands/run-gateway.ts'
import { COMMANDS } from '../../src/commands/table.ts'
import { readConfig, SETTINGS } from '../../src/config.ts'
import { newMasterKey } from '../../src/foundation/sealed-secrets.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent } from '../support/messages.ts'
import { runWcg } from '../support/run-wcg.ts'
import { quietNow } from '../support/send-policy.ts'

const database = useTestDatabase()
const MAIN = join(import.meta.dirname, '../../src/main.ts')
const MASTER_KEY = newMasterKey()
const APP_ID = 'wx0123456789abcdef'
const AES_KEY = 'k'.repeat(43)
const QUIET = { LOG_LEVEL: 'silent' }
const SECRETS = { secret: 'plainAppSecret', token: 'plainToken', 'aes-key': AES_KEY }

const running: ChildProcessWithoutNullStreams[] = []
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wcg-commands-'))
})
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rm(folder, { recursive: true }))

/** The command in a process of its own, in an empty folder, with no settings but those given. */
function start(typed: string[], env: Record<string, string> = {}) {
  const inherited = { ...process.env, LANG: 'C', LC_ALL: 'C' }
  const clean = Object.entries(inherited).filter(
    ([name]) => !SETTINGS.some((setting) => setting.name === name),
  )
  const child = spawn(process.execPath, [MAIN, ...typed], {
    cwd: folder,
    env: {
      ...Object.fromEntries(clean),
      DATABASE_URL: database().url,
      WCG_MASTER_KEY: MASTER_KEY,
      ...env,
    },
  })
  running.push(child)
  return child
}

/** Such a process, to its end: for what the program does around a command. */
async function wcgProcess(typed: string[], env: Record<string, string> = {}, stdin = '') {
  const child = start(typed, env)
  child.stdin.end(stdin)
  const [out, err] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { out, err, code: child.exitCode }
}

/** The same without the process, for what the command itself does. */
function wcg(typed: string[], env: Record<string, string> = {}) {
  return runWcg(database().url, typed, { env: { LANG: 'C', WCG_MASTER_KEY: MASTER_KEY, ...env } })
}

const addAccount = (name: string, ...more: string[]) => [
  ...['account', 'add', name, '--kind', 'official_account', '--app-id', `wx${name}`],
  ...['--original-id', `gh_${name}`, ...more],
]
const typedSecrets = Object.entries(SECRETS).flatMap(([name, value]) => [`--${name}`, value])

describe('wcg --help', () => {
  it('lists every command, in both languages', async () => {
    const english = await wcgProcess(['--help'])
    const chinese = await wcg([], { LANG: 'zh_CN.UTF-8', LC_ALL: '' })
    expect([english.code, chinese.code]).toEqual([0, 0])
    for (const { name, summary } of COMMANDS) {
      expect(english.out).toContain(name)
      expect(english.out).toContain(summary.en)
      expect(chinese.out).toContain(summary.zh)
    }
  })

  it('explains one command with all its options', async () => {
    const { out, code } = await wcg(['account', 'add', '--help', '--lang', 'zh'])
    expect(code).toBe(0)
    for (const name of ['--app-id', '--aes-key', '--json', '明文模式']) expect(out).toContain(name)
  })

  it('needs no settings', async () => {
    expect((await wcg(['serve', '--help'], { PORT: 'nonsense' })).code).toBe(0)
  })
})

describe('an unknown command', () => {
  it('is refused with the nearest one', async () => {
    const { out, err, code } = await wcgProcess(['acount', 'add'])
    expect([out, code]).toEqual(['', 2])
    expect(err).toContain('did you mean wcg account add?')
  })

  it('is refused in Chinese too', async () => {
    const { err, code } = await wcg(['serv', '--lang', 'zh'])
    expect(code).toBe(2)
    expect(err).toContain('没有 serv 这个命令')
  })
})

describe('wcg account add', () => {
  it('adds an account and answers with one line of JSON that holds no secret', async () => {
    const { out, err, code } = await wcgProcess([
      ...['account', 'add', 'acme', '--kind', 'official_account', '--app-id', APP_ID],
      ...['--original-id', 'gh_acme', ...typedSecrets, '--mode', 'safe', '--json'],
    ])
    expect([err, code]).toEqual(['', 0])
    expect(JSON.parse(out)).toMatchObject({
      name: 'acme',
      app_id: APP_ID,
      mode: 'safe',
      secrets: { app_secret: 'configured' },
      callback_url: '/callbacks/acme',
      follower_sync: 'queued',
    })
    expect(out.trim().split('\n')).toHaveLength(1)
    for (const secret of Object.values(SECRETS)) expect(out).not.toContain(secret)
  })

  it('reads secrets from files and from standard input', async () => {
    await writeFile(join(folder, 'token'), `${SECRETS.token}\n`)
    const typed = addAccount('files', '--token', '@token', '--aes-key', AES_KEY, '--secret', '@-')
    expect(await wcgProcess(typed, {}, `${SECRETS.secret}\n`)).toMatchObject({ code: 0 })
  })

  it('has the followers of a new account read by whoever serves, unless told not to', async () => {
    const jobs = async (name: string) => {
      const { id } = await database().db('account').where({ name }).first<{ id: number }>('id')
      return database()
        .db('graphile_worker.jobs')
        .where({ task_identifier: 'sync-followers', key: `sync-followers:start:${id}` })
    }
    const english = await wcg(addAccount('followed', ...typedSecrets))
    expect(english.out).toContain('Who follows followed already is read from the platform')
    expect(await jobs('followed')).toHaveLength(1)
    const check = await wcg(['account', 'check', 'followed', '--lang', 'zh'])
    expect(check.out).toContain('从未核对')
    expect(JSON.parse((await wcg(['account', 'check', 'followed', '--json'])).out)).toMatchObject({
      follower_sync: null,
    })

    const chinese = await wcg([
      ...addAccount('later', ...typedSecrets),
      '--no-sync',
      '--lang',
      'zh',
    ])
    expect(chinese.out).toContain('在运行 wcg followers sync later 或夜间核对之前')
    expect(await jobs('later')).toEqual([])
    // nothing is kept of an account that could not be added
    await wcg(addAccount('followed', ...typedSecrets))
    expect(await jobs('followed')).toHaveLength(1)
  })

  it('warns of plain mode', async () => {
    const typed = addAccount('plain', '--mode', 'plain', '--token', 'abc', '--secret', 'x')
    const { err, code } = await wcg(typed)
    expect(code).toBe(0)
    expect(err).toContain('明文模式')
    expect((await wcg(['account', 'list', '--lang', 'zh'])).err).toContain('任何见过')
  })

  it('lists every fault and exits with 2, as JSON where asked', async () => {
    const typed = ['account', 'add', 'Bad', '--kind', 'wecom_robot', '--aes-key', 'short', '--json']
    const { out, err, code } = await wcg(typed)
    expect([out, code]).toEqual(['', 2])
    const fields = [...err.matchAll(/"field":"([^"]+)"/g)].map((match) => match[1])
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'bad_account' } })
    expect(fields.sort()).toEqual([
      ...['--aes-key', '--app-id', '--kind', '--original-id', '--secret', '--token', 'NAME'],
    ])
  })

  it('names a file that cannot be read beside every other fault, by its option', async () => {
    const files = ['--secret', '@missing', '--token', 'a b', '--aes-key', '@gone']
    const { err, code } = await wcg([...addAccount('unread', ...files), '--json'])
    const fields = [...err.matchAll(/"field":"([^"]+)"/g)].map((match) => match[1])
    expect([code, fields.sort()]).toEqual([2, ['--aes-key', '--secret', '--token']])
    expect(err).toContain('the file gone cannot be read')
  })

  it('warns of an id that does not look like one, and adds it all the same', async () => {
    const { err, code } = await wcg(addAccount('short', ...typedSecrets))
    expect([code, err]).toEqual([0, expect.stringContaining('--app-id: wxshort does not look')])
  })

  it('refuses a second account of the same name', async () => {
    await wcg(addAccount('twice', ...typedSecrets))
    const { err, code } = await wcg(addAccount('twice', ...typedSecrets))
    expect(code).toBe(1)
    expect(err).toContain('NAME: there is an account twice already')
  })
})

describe('wcg account add, by kind', () => {
  const secrets = ['--secret', 'plainSecret', '--token', 'Tok1', '--aes-key', AES_KEY]
  const add = (name: string, kind: string, ...ids: string[]) =>
    wcg(['account', 'add', name, '--kind', kind, ...ids, ...secrets, '--json'])

  it('adds a component and a suite, with both of their addresses, and finds no ticket yet', async () => {
    const component = await add('platform', 'component', '--app-id', 'wxfedcba9876543210')
    expect([component.err, component.code]).toEqual(['', 0])
    expect(JSON.parse(component.out)).toMatchObject({
      ...{ kind: 'component', app_id: 'wxfedcba9876543210', original_id: null, mode: 'safe' },
      callback_url: '/callbacks/platform',
      tenant_callback_url: '/callbacks/platform/$APPID$',
    })
    const suite = await add(
      ...(['isv', 'wecom_suite', '--suite-id', 'wwsuite', '--provider-corp-id', 'wwisv'] as const),
      ...(['--provider-secret', 'plainProviderSecret', '--empty-receive-id'] as const),
    )
    expect(JSON.parse(suite.out)).toMatchObject({
      ...{ app_id: 'wwsuite', provider_corp_id: 'wwisv', parent: null, serves: null },
      tenant_callback_url: '/callbacks/isv/$CORPID$',
      secrets: { provider_secret: 'configured' },
    })
    expect(suite.out).not.toContain('plainProviderSecret')
    expect(suite.err).toContain('--empty-receive-id')
    const check = await wcg(['account', 'check', 'isv', '--json'])
    expect(JSON.parse(check.out)).toMatchObject({ secrets_open: true, ticket_at: null })
    expect(check.err).toContain('no ticket yet')
    const { out: examined } = await wcg(['doctor'])
    expect(examined).toContain('Account isv has no ticket yet')
    expect(examined).toContain('wcg account start-tickets platform')
    const shown = await wcg(['account', 'show', 'isv', '--lang', 'zh'])
    for (const word of ['数据回调 URL', '服务商企业 ID', 'wwisv', 'provider_secret']) {
      expect(shown.out).toContain(word)
    }
  })

  it('changes a mini program’s data format, rotates an application, and keeps to the kind', async () => {
    const mini = await add('mini', 'mini_program', '--app-id', 'wxmini', '--original-id', 'gh_mini')
    // nobody follows a Mini Program
    expect(JSON.parse(mini.out)).not.toHaveProperty('follower_sync')
    const set = await wcg(['account', 'set', 'mini', '--data-format', 'json', '--json'])
    expect(JSON.parse(set.out)).toMatchObject({ body_format: 'json' })
    await add('staff', 'wecom_app', '--corp-id', 'wwcorp', '--agent-id', '1000007')
    expect((await wcg(['account', 'rotate', 'staff', '--token', 'T'])).code).toBe(0)
    const refused = await wcg(['account', 'set', 'staff', '--mode', 'plain', '--lang', 'zh'])
    expect([refused.code, refused.err.includes('始终加密')]).toEqual([2, true])
    const check = await wcg(['account', 'check', 'staff'])
    expect([check.code, check.err]).toEqual([0, ''])
    const listed = await wcg(['account', 'list'])
    expect(listed.out).toMatch(/staff +wecom_app +wwcorp/)
  })

  it('refuses what the gateway makes itself, and ids of another kind', async () => {
    const made = await add('merchant', 'authorizer', '--app-id', 'wxm')
    expect([made.out, made.code]).toEqual(['', 2])
    expect(made.err).toContain('made by the gateway')
    const { err } = await add('wrong', 'wecom_kf', '--app-id', 'wxm', '--agent-id', '1')
    const fields = [...err.matchAll(/"field":"([^"]+)"/g)].map((match) => match[1])
    expect(fields.sort()).toEqual(['--agent-id', '--app-id', '--corp-id'])
  })
})

describe('wcg app add', () => {
  it('shows the key once', async () => {
    await wcg(addAccount('shopped', ...typedSecrets))
    const { out, code } = await wcg(['app', 'add', 'shop', '--accounts', 'shopped', '--json'])
    expect(code).toBe(0)
    const [, id, key] = /^\{"id":"([^"]+)","name":"shop","key":"(wcg_[^"]+)"\}\n$/.exec(out) ?? []
    const listed = await wcg(['app', 'list', '--json'])
    expect(listed.out).toContain(id)
    expect(listed.out).not.toContain(key)
    expect((await wcg(['app', 'revoke', 'shop'])).code).toBe(0)
  })

  it('shows the signing secret of one that has to sign, once', async () => {
    await wcg(addAccount('signed', ...typedSecrets))
    const { out } = await wcg([
      'app',
      'add',
      'signer',
      '--accounts',
      'signed',
      '--signed',
      '--json',
    ])
    const added = JSON.parse(out) as { key: string; signing_secret: string }
    expect(added).toMatchObject({
      name: 'signer',
      signing_secret: expect.stringMatching(/^wcgs_[\w-]{43}$/) as string,
    })
    const listed = await wcg(['app', 'list', '--json'])
    expect(listed.out).toContain('"signatures":"required"')
    expect(listed.out).not.toContain(added.signing_secret)
    const spoken = await wcg([
      'app',
      'add',
      'zh',
      '--accounts',
      'signed',
      '--signed',
      '--lang',
      'zh',
    ])
    expect(spoken.out).toMatch(/签名.*\nwcg_[\w-]{43}\nwcgs_[\w-]{43}\n$/)
  })
})

describe('wcg app rotate and set', () => {
  const answered = async (...typed: string[]): Promise<unknown> =>
    JSON.parse((await wcg(['app', ...typed, '--json'])).out)

  it('lets an application change over to signatures, and from one secret to the next', async () => {
    await wcg(addAccount('changing', ...typedSecrets))
    await wcg(['app', 'add', 'site', '--accounts', 'changing'])
    const early = await wcg(['app', 'set', 'site', '--signatures', 'required', '--lang', 'zh'])
    expect([early.code, early.err.includes('wcg app rotate site')]).toEqual([1, true])

    const first = await wcg(['app', 'rotate', 'site'])
    expect(first.out).toMatch(/^Application site .+\nwcgs_[\w-]{43}\nA signature that it sends/)
    expect(await answered('set', 'site', '--signatures', 'required')).toEqual({
      name: 'site',
      signatures: 'required',
    })
    const second = (await answered('rotate', 'site')) as { previous_until: string }
    expect(second).toMatchObject({ name: 'site', signatures: 'required' })
    const hours = (Date.parse(second.previous_until) - Date.now()) / 3_600_000
    expect(Math.round(hours)).toBe(24)
    expect(await answered('rotate', 'site', '--now')).toMatchObject({ previous_until: null })
    expect(await answered('set', 'site', '--signatures', 'off')).toMatchObject({
      signatures: 'off',
    })
  })

  it('names what it does not understand', async () => {
    const wrong = await wcg(['app', 'set', 'site', '--signatures', 'always', '--lang', 'zh'])
    expect([wrong.code, wrong.err.includes('required')]).toEqual([2, true])
    expect((await wcg(['app', 'rotate', 'nobody'])).err).toContain('wcg app list')
  })
})

describe('wcg account rotate, set, check and show', () => {
  it('keeps the previous key until it is dropped', async () => {
    await wcg(addAccount('turning', ...typedSecrets))
    expect((await wcg(['account', 'rotate', 'turning', '--token', 'newToken'])).code).toBe(0)
    const before = await wcg(['account', 'check', 'turning', '--json'])
    expect(JSON.parse(before.out)).toMatchObject({ secrets_open: true, previous_key: true })
    await wcg(['account', 'rotate', 'turning', '--drop-previous'])
    const after = await wcg(['account', 'check', 'turning', '--json'])
    expect(JSON.parse(after.out)).toMatchObject({ previous_key: false, last_push_at: null })
    const set = await wcg(['account', 'set', 'turning', '--freshness', '30', '--disable', '--json'])
    expect(JSON.parse(set.out)).toMatchObject({ settings: { freshness_seconds: 30 } })
    const shown = await wcg(['account', 'show', 'turning'])
    expect(shown.out).toContain('disabled')
    expect(shown.out).not.toContain('newToken')
  })

  it('refuses opposites, all of them, and a change of nothing', async () => {
    const typed = ['account', 'set', 'turning', '--enable', '--disable', '--lang', 'zh']
    const pairs = [
      ['enable', 'disable'],
      ['templates-strict', 'templates-lenient'],
      ['keep-templates-on-unfollow', 'end-templates-on-unfollow'],
      ['keep-data-on-cancellation', 'erase-on-cancellation'],
      ['erase-on-unfollow', 'keep-data-on-unfollow'],
      ['empty-receive-id', 'require-receive-id'],
    ]
    const both = await wcg([
      ...typed,
      ...pairs
        .slice(1)
        .flat()
        .map((name) => `--${name}`),
    ])
    expect([both.out, both.code]).toEqual(['', 2])
    for (const [one, other] of pairs) {
      expect(both.err).toContain(`--${one}: 与 --${other} 相反`)
    }
    const none = await wcg(['account', 'set', 'turning'])
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('at least one option')])
  })

  it('sets when, how much and how fast is sent, and shows what holds now', async () => {
    await wcg(addAccount('paced', ...typedSecrets))
    const set = (...options: string[]) => wcg(['account', 'set', 'paced', ...options, '--json'])
    const { hours, until } = quietNow()
    await set('--quiet-hours', hours, '--marketing-per-person-per-day', '3')
    await set('--sends-per-second', '50', '--sends-per-second', 'template_message=20')
    const shown = await wcg(['account', 'show', 'paced', '--json'])
    expect(JSON.parse(shown.out)).toMatchObject({
      settings: {
        quiet_hours: hours,
        marketing_per_person_per_day: 3,
        sends_per_second: 50,
        sends_per_second_by_channel: { template_message: 20 },
      },
      sending: {
        per_second: 50,
        channels: [{ channel: 'template_message', per_second: 20, slowed: false }],
        quiet_until: until.toISOString(),
      },
    })
    const wrong = await set('--quiet-hours', '08:00-08:00', '--recipient-per-minute', 'sms')
    expect(wrong.code).toBe(2)
    expect(wrong.err).toContain('--quiet-hours')
    expect(wrong.err).toContain('--recipient-per-minute')
    const off = await set('--quiet-hours', 'off', '--sends-per-second', 'template_message=0')
    expect(JSON.parse(off.out)).toMatchObject({
      settings: { quiet_hours: null, sends_per_second_by_channel: {} },
    })
  })
})

describe('wcg consent', () => {
  it('answers for a person nobody knows, and erases only when told twice', async () => {
    await wcg(addAccount('known', ...typedSecrets))
    const shown = await wcg(['consent', 'show', 'known', 'oNobody', '--json'])
    expect(JSON.parse(shown.out)).toEqual({
      account: 'known',
      subject: 'oNobody',
      consents: [],
      history: [],
    })
    const exported = await wcg(['consent', 'export', 'known', 'oNobody'])
    expect(JSON.parse(exported.out)).toMatchObject({ subject: 'oNobody', events: [] })
    const erase = ['consent', 'erase', 'known', 'oNobody', '--reason', 'asked']
    expect((await wcg(erase)).code).toBe(2)
    const erased = await wcg([...erase, '--yes'])
    expect([erased.code, erased.out]).toEqual([0, expect.stringContaining('Nothing was held')])
  })

  it.each(['show', 'export', 'erase'])('%s takes no openid that cannot be one', async (verb) => {
    const more = verb === 'erase' ? ['--reason', 'asked', '--yes'] : []
    const { out, err, code } = await wcg(['consent', verb, 'known', 'o x y', ...more])
    expect([out, code]).toEqual(['', 2])
    expect(err).toContain('OPENID')
    expect(await database().db('erasure').where({ reason: 'asked' })).toHaveLength(1)
  })

  it('shows what is over, and a stop that is lifted, as what they are', async () => {
    const { db } = database()
    const { id: accountId } = await db('account').where({ name: 'known' }).first<{ id: number }>()
    const person = { accountId, subject: 'oHeld' }
    const expiresAt = new Date(Date.now() - 1_000)
    await giveConsent(db, { ...person, scope: 'conversation:action', expiresAt })
    await giveConsent(db, { ...person, scope: 'template:T', credits: 2 })
    await giveConsent(db, { ...person, scope: 'everything', change: 'granted' })
    const show = async () => {
      const { out } = await wcg(['consent', 'show', 'known', 'oHeld'])
      const [states = ''] = out.split('\n\n')
      return states.split('\n').map((line) => line.split(/ {2,}/).slice(0, 5).join(' | '))
    }
    expect(await show()).toEqual([
      'Scope | State | Live | Until | Credits',
      `conversation:action | granted | no | ${expiresAt.toISOString()} | –`,
      'everything | stop lifted | no | – | –',
      'template:T | granted | yes | – | 2',
    ])
    await giveConsent(db, { ...person, scope: 'everything', change: 'revoked', at: new Date() })
    expect((await show()).slice(2)).toEqual([
      'everything | stopped | no | – | –',
      'template:T | granted | no | – | 2',
    ])
    const erase = ['consent', 'erase', 'known', 'oHeld', '--reason', 'held', '--yes', '--json']
    expect(JSON.parse((await wcg(erase)).out)).toMatchObject({ ledger_rows: 4, messages: 0 })
    const listed = await wcg(['consent', 'erasures', 'known', '--json'])
    expect(JSON.parse(listed.out)).toMatchObject({
      account: 'known',
      erasures: [
        { reason: 'held', ledger_rows: 4 },
        { reason: 'asked', ledger_rows: 0 },
      ],
    })
    expect((await wcg(['consent', 'erasures', 'known'])).out).toMatch(/held +4 +0 +0/)
  })
})

describe('wcg doctor', () => {
  it('finds nothing that failed, and a master key that does not fit', async () => {
    await wcg(addAccount('sealed', ...typedSecrets))
    const inChinese = await wcg(['doctor', '--json', '--lang', 'zh'])
    expect(inChinese.code).toBe(0)
    const { checks } = JSON.parse(inChinese.out) as { checks: { check: string }[] }
    expect([...new Set(checks.map(({ check }) => check))]).toEqual([
      ...['settings', 'database', 'clock', 'migrations', 'master_key', 'account'],
      ...['jobs', 'pushes_aside', 'public_url'],
    ])
    const { out, code } = await wcg(['doctor', '--json'], { WCG_MASTER_KEY: newMasterKey() })
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ ok: false })
    expect(out).toContain('sealed')
  })

  it('tells bad settings as a check', async () => {
    const { out, code } = await wcg(['doctor'], { PORT: 'x' })
    expect(code).toBe(1)
    expect(out).toContain('PORT')
  })

  it('moves secrets to a new master key', async () => {
    const WCG_MASTER_KEY = `${newMasterKey()},${MASTER_KEY}`
    expect((await wcg(['doctor'], { WCG_MASTER_KEY })).out).toContain('wcg account reseal')
    const moved = await wcg(['account', 'reseal', '--json'], { WCG_MASTER_KEY })
    expect(moved.out).toMatch(/^\{"secrets":[1-9]/)
    const only = WCG_MASTER_KEY.split(',')[0] ?? ''
    expect((await wcg(['doctor'], { WCG_MASTER_KEY: only })).code).toBe(0)
    // And back, so that the other tests find what they left.
    await wcg(['account', 'reseal'], { WCG_MASTER_KEY: `${MASTER_KEY},${only}` })
  })
})

describe('a master key that is not the database’s', () => {
  const other = { WCG_MASTER_KEY: newMasterKey() }
  const rotate = (...more: string[]) => ['account', 'rotate', 'lost', ...typedSecrets, ...more]

  it('seals nothing beside what it cannot open', async () => {
    await wcg(addAccount('lost', ...typedSecrets))
    for (const typed of [
      addAccount('beside', ...typedSecrets),
      ['account', 'rotate', 'lost', '--secret', 'newSecret'],
      rotate(),
      ['endpoint', 'add', 'nobody', '--purpose', 'callbacks'],
      ['endpoint', 'rotate', 'none'],
    ]) {
      const { out, err, code } = await wcg(typed, other)
      expect([out, code]).toEqual(['', 1])
      expect(err).toContain('WCG_MASTER_KEY opens nothing that is sealed in this database')
    }
    expect((await wcg(['account', 'show', 'beside'])).code).toBe(1)
    expect((await wcg(['doctor'])).code).toBe(0)
  })

  it('begins anew where the right one is lost, and stops nobody else', async () => {
    const begun = await wcg(rotate('--master-key-lost'), other)
    expect([begun.code, begun.out]).toEqual([0, expect.stringContaining('not accepted any more')])
    const failed = await wcg(['doctor'])
    expect([failed.code, failed.out]).toEqual([1, expect.stringContaining('secrets of lost do')])

    await wcg(['account', 'set', 'lost', '--disable'])
    const warned = await wcg(['doctor'])
    expect([warned.code, warned.out]).toEqual([0, expect.stringContaining('stop nobody')])
    const config = readConfig({
      DATABASE_URL: database().url,
      WCG_MASTER_KEY: MASTER_KEY,
      ...QUIET,
    })
    const duties = { http: false, workers: false }
    expect(await runGateway(config, duties, { signal: AbortSignal.abort() })).toBe(0)

    const half = await wcg(['account', 'rotate', 'lost', '--token', 'half', '--lang', 'zh'])
    expect([half.code, half.err]).toEqual([2, expect.stringContaining('--aes-key: 此时必须填写')])
    expect((await wcg(rotate())).code).toBe(0)
    await wcg(['account', 'set', 'lost', '--enable'])
    expect((await wcg(['doctor'])).code).toBe(0)
  })
})

describe('wcg, without a command', () => {
  it('prints its version', async () => {
    const { version } = JSON.parse(await readFile(join(MAIN, '../../package.json'), 'utf8')) as {
      version: string
    }
    expect(await wcg(['--version'])).toMatchObject({ code: 0, out: `${version}\n` })
    expect(JSON.parse((await wcg(['--version', '--json'])).out)).toEqual({ version })
  })

  it('refuses an option that it has not', async () => {
    const { out, err, code } = await wcg(['--vresion'])
    expect([out, code]).toEqual(['', 2])
    expect(err).toContain('did you mean --version?')
  })

  it('refuses as JSON where asked', async () => {
    for (const typed of [
      ['--json', 'nonsense'],
      ['acount', '--json'],
      ['account', '--json'],
    ]) {
      const { out, err, code } = await wcg(typed)
      expect([out, code]).toEqual(['', 2])
      expect(JSON.parse(err)).toMatchObject({ error: { code: 'unknown_command' } })
    }
  })
})

describe('a database that cannot be had', () => {
  it.each([
    [{ pathname: '/nowhere' }, 'database_missing', 'createdb'],
    [{ password: 'wrong' }, 'database_refused', 'pg_hba.conf'],
    [{ port: '1' }, 'database_unavailable', 'DATABASE_URL'],
  ])('is named with a code of its own: %j', async (change, code, said) => {
    const { href } = Object.assign(new URL(database().url), change)
    const failed = await wcg(['account', 'list', '--json'], { DATABASE_URL: href, ...QUIET })
    expect(JSON.parse(failed.err)).toMatchObject({ error: { code } })
    expect(failed.err).toContain(said)
  })
})

describe('wcg migrate', () => {
  it('finds nothing to do on a current database', async () => {
    const { out, code } = await wcg(['migrate', '--json'])
    expect([JSON.parse(out), code]).toEqual([{ migrated: [] }, 0])
    expect(JSON.parse((await wcg(['migrate', '--pending', '--json'])).out)).toEqual({ pending: [] })
  })
})

describe('wcg send and events tail', () => {
  it('queues a message, and prints no event where none came', async () => {
    await wcg(addAccount('sender', ...typedSecrets))
    const content = JSON.stringify({ template_id: 'tpl', data: { first: { value: 'x' } } })
    const typed = ['send', '--account', 'sender', '--to', 'oPerson', '--json']
    const { out, code } = await wcg([
      ...[...typed, '--channel', 'template_message', '--content', content],
    ])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ status: 'queued', reason: null })
    const bad = await wcg([...typed, '--channel', 'template_message', '--content', 'x'])
    expect([bad.code, bad.err.includes('--content')]).toEqual([2, true])
    expect(await wcg(['events', 'tail', '--account', 'sender'])).toMatchObject({ out: '', code: 0 })
  })
})

describe('wcg serve', () => {
  it('starts, answers, and ends with 0 when asked to stop', async () => {
    const child = start(['serve'], { PORT: '0' })
    const started = await lineOf(child, 'service.started')
    expect(started).toMatchObject({ database_url_configured: true, master_key_configured: true })
    expect(JSON.stringify(started)).not.toContain(MASTER_KEY)
    const [, port] = /"port":(\d+)/.exec(JSON.stringify(started)) ?? []
    const health = await fetch(`http://127.0.0.1:${port}/healthz`)
    expect(health.status).toBe(200)
    const ended = once(child, 'close')
    child.kill('SIGTERM')
    await ended
    expect(child.exitCode).toBe(0)
  })

  it('says which port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    const { err, code } = await wcgProcess(['serve'], { PORT: port })
    other.close()
    expect(code).toBe(1)
    expect(err).toContain(`port ${port} on 127.0.0.1 is taken`)
  })

  it('refuses bad settings, all of them, and exits with 2', async () => {
    const { err, code } = await wcgProcess(['serve'], { PORT: 'x', LOG_LEVEL: 'loud' })
    expect(code).toBe(2)
    expect(err).toMatch(/PORT.*\n.*LOG_LEVEL/)
  })

  it('refuses secrets that its master key does not open', async () => {
    await wcg(addAccount('foreign', ...typedSecrets))
    const { err, code } = await wcgProcess(['serve'], { PORT: '0', WCG_MASTER_KEY: newMasterKey() })
    expect(code).toBe(1)
    expect(err).toContain('foreign')
  })
})

describe('docs/commands.md', () => {
  it('has a heading for every command, and none for another', async () => {
    const page = await readFile(join(MAIN, '../../docs/commands.md'), 'utf8')
    const headings = [...page.matchAll(/^### `wcg ([a-z -]+)`$/gm)].map((match) => match[1])
    expect(headings).toEqual(COMMANDS.map((command) => command.name))
  })

  it('names every option of every command, and no other', async () => {
    const page = await readFile(join(MAIN, '../../docs/commands.md'), 'utf8')
    const sections = page.split(/^### /m).slice(1)
    COMMANDS.forEach((command, index) => {
      const named = [...(sections[index] ?? '').matchAll(/^\| `--([a-z0-9-]+)/gm)].map((m) => m[1])
      expect(named).toEqual(Object.keys(command.options ?? {}))
    })
  })
})

/** The first line of a process's log with this message. */
async function lineOf(child: ChildProcessWithoutNullStreams, message: string): Promise<unknown> {
  let seen = ''
  for await (const chunk of child.stdout) {
    seen += String(chunk)
    const line = seen.split('\n').find((candidate) => candidate.includes(`"${message}"`))
    if (line !== undefined && seen.includes(`${line}\n`)) return JSON.parse(line)
  }
  throw new Error(`the process ended without ${message}: ${seen}`)
}
