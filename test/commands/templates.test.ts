import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommandLine } from '../../src/commands/run-command-line.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { useTestDatabase } from '../support/database.ts'
import { TEST_MASTER_KEY } from '../support/gateway-process.ts'

const database = useTestDatabase()
const AES_KEY = 'k'.repeat(43)
const APP_ID = 'wx3f5b7d9e1a2c4068'
let sandbox: Sandbox
let platform = ''

const templates = [
  {
    template_id: 'EXACT',
    title: '发货通知',
    content: '商品：{{thing1.DATA}}\n时间：{{time2.DATA}}',
  },
  { template_id: 'GENERAL', title: '通知', content: '{{thing5.DATA}}{{phrase6.DATA}}' },
]

function list(listed: readonly object[]) {
  sandbox.addAccount({
    ...{ app_id: APP_ID, secret: 's', original_id: 'gh_acme', token: 'abc', aes_key: AES_KEY },
    templates: listed as typeof templates,
  })
}

beforeAll(async () => {
  sandbox = createSandbox()
  platform = (await sandbox.listen()).url
  list(templates)
  const ids = ['--app-id', APP_ID, '--original-id', 'gh_acme', '--kind', 'official_account']
  const secrets = ['--secret', 's', '--token', 'abc', '--aes-key', AES_KEY]
  expect(await wcg('account', 'add', 'acme', ...ids, ...secrets)).toMatchObject({ code: 0 })
})
afterAll(() => sandbox.close())

/** A command as it is typed, in this process. */
async function wcg(...argv: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const code = await runCommandLine({
    ...{ argv, stdin: Readable.from([]), stdout, stderr, signal: new AbortController().signal },
    env: {
      DATABASE_URL: database().url,
      WCG_MASTER_KEY: TEST_MASTER_KEY,
      WECHAT_API_BASE_URL: platform,
    },
  })
  stdout.end()
  stderr.end()
  return { code, out: await text(stdout), err: await text(stderr) }
}

const alias = (...typed: string[]) => wcg('templates', 'alias', 'acme', 'shipped', ...typed)

describe('wcg templates', () => {
  it('compares, lists and names templates, and the doctor finds what drifts', async () => {
    expect((await wcg('templates', 'list', 'acme')).out).toContain('wcg templates sync acme')
    const synced = await wcg('templates', 'sync', 'acme', '--json')
    expect([synced.err, synced.code]).toEqual(['', 0])
    expect(JSON.parse(synced.out)).toMatchObject({
      lists: [
        { channel: 'template_message', outcome: 'compared', listed: 2 },
        { channel: 'subscription_message', outcome: 'compared', listed: 2 },
      ],
    })
    expect((await wcg('templates', 'sync', 'acme', '--lang', 'zh')).out).toContain('没有变化')

    const map = 'thing5=thing1,phrase6:=已发货'
    const set = await alias('--template', 'EXACT', '--fallback', 'GENERAL', '--map', map)
    expect([set.err, set.out]).toEqual([
      '',
      '@shipped (template_message): EXACT → GENERAL {thing5=thing1, phrase6:=已发货}\n',
    ])
    expect((await alias()).out).toBe(set.out)
    expect((await wcg('templates', 'list', 'acme')).out).toMatch(
      /EXACT .*发货通知.*thing1 time2 +shipped/,
    )
    expect((await wcg('doctor', '--json')).out).toContain('aliases: 1')

    // the first time everything is gone, the answer is more likely wrong than true
    list([{ template_id: 'OTHER', status: 'withdrawn' }])
    expect((await wcg('templates', 'sync', 'acme')).out).toContain('came back empty')
    list([templates[1] ?? {}])
    expect((await wcg('templates', 'sync', 'acme', '--lang', 'zh')).out).toContain('已下架')
    const { checks } = JSON.parse((await wcg('doctor', '--json')).out) as {
      checks: { name: string; status: string; message: string }[]
    }
    expect(checks.filter(({ name }) => name === 'templates of acme')).toEqual([
      expect.objectContaining({
        status: 'warning',
        message: expect.stringContaining('EXACT of @shipped is withdrawn') as string,
      }),
    ])
    expect((await wcg('doctor', '--lang', 'zh')).out).toContain('请用 wcg templates alias')
    expect((await alias('--remove', '--lang', 'zh')).out).toContain('已删除别名')
  })

  it('refuses what cannot be, by the name of the option', async () => {
    const faultsOf = async (...typed: string[]) => {
      const { code, err } = await alias('--template', 'EXACT', ...typed, '--json')
      expect(code).toBe(2)
      return [...err.matchAll(/"field":"([^"]+)"/g)].map((match) => match[1])
    }
    expect(await faultsOf('--map', 'a=b')).toEqual(['--map'])
    expect(await faultsOf('--fallback', 'GENERAL', '--map', 'nonsense')).toEqual(['--map'])
    expect(await faultsOf('--fallback', 'EXACT')).toEqual(['--fallback 1'])
    expect(await faultsOf('--fallback', 'GENERAL', '--map', 'thing5=thing8')).toEqual([
      ...['--map 1 thing5', '--map 1 phrase6'],
    ])
    expect(await faultsOf('--channel', 'wecom_app_message')).toEqual(['--channel'])
    expect((await alias()).code).toBe(2)
    expect((await alias('--remove')).err).toContain('no such alias')
    const unknown = await wcg('templates', 'sync', 'nobody')
    expect([unknown.code, unknown.out]).toEqual([1, ''])
  })
})
