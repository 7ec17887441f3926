import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeConfig, ensureMasterKey, readConfig, SETTINGS } from '../src/config.ts'
import { ConfigError } from '../src/foundation/errors.ts'

const KEY = 'QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE='
const OTHER_KEY = '42'.repeat(32)

function faultsOf(env: Record<string, string>) {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('readConfig', () => {
  it('needs nothing on a development machine', () => {
    const config = readConfig({})
    expect(config).toMatchObject({
      environment: 'development',
      http: { host: '127.0.0.1', port: 8080, publicBaseUrl: null },
      database: { url: null, poolSize: 20 },
      masterKeys: null,
      platform: {
        wechatApiBaseUrl: 'https://api.weixin.qq.com',
        wecomApiBaseUrl: 'https://qyapi.weixin.qq.com',
      },
      dispatch: { concurrency: 64, leaseSeconds: 30, messageLifetimeHours: 24 },
      events: { retentionDays: 0 },
      followerSyncAt: '3:40',
      dataDirectory: '.data',
      logLevel: 'info',
    })
  })

  it('is frozen all the way down', () => {
    const config = readConfig({ WCG_MASTER_KEY: KEY })
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.http)).toBe(true)
    expect(Object.isFrozen(config.masterKeys)).toBe(true)
  })

  it('listens on every address in production, unless told otherwise', () => {
    const env = { NODE_ENV: 'production', DATABASE_URL: 'postgres://db/wcg', WCG_MASTER_KEY: KEY }
    expect(readConfig(env).http.host).toBe('0.0.0.0')
    expect(readConfig({ ...env, HOST: '10.0.0.7' }).http.host).toBe('10.0.0.7')
  })

  it('seals with the first of several keys and keeps the others', () => {
    const keys = readConfig({ WCG_MASTER_KEY: `${KEY}, ${OTHER_KEY}` }).masterKeys
    expect(keys?.map((key) => key.bytes.length)).toEqual([32, 32])
    expect(keys?.[0].id).toBe(readConfig({ WCG_MASTER_KEY: KEY }).masterKeys?.[0].id)
  })

  it('counts an empty value as absent', () => {
    expect(readConfig({ DATABASE_URL: '', PORT: ' ', WCG_MASTER_KEY: '' }).http.port).toBe(8080)
  })

  it('reads which permission sets carry a channel', () => {
    const sets = (WCG_PERMISSION_SETS: string) => readConfig({ WCG_PERMISSION_SETS }).permissionSets
    expect(sets('')).toEqual({})
    expect(sets('template_message:7+100, device_message:any')).toEqual({
      ...{ template_message: [7, 100], device_message: [] },
    })
  })

  it('takes the slash off the end of an address', () => {
    const config = readConfig({ PUBLIC_BASE_URL: 'https://wechat.example.com/gateway/' })
    expect(config.http.publicBaseUrl).toBe('https://wechat.example.com/gateway')
  })

  it('reports every fault at once, in both languages', () => {
    const faults = faultsOf({ NODE_ENV: 'production', PORT: 'http', LOG_LEVEL: 'loud' })
    expect(faults.map((fault) => fault.field)).toEqual([
      'PORT',
      'DATABASE_URL',
      'WCG_MASTER_KEY',
      'LOG_LEVEL',
    ])
    for (const fault of faults) expect(fault).toHaveProperty('ruleZh')
  })

  it.each([
    ['NODE_ENV', 'staging', 'one of development, production, test'],
    ['DATABASE_URL', 'mysql://root:hunter2@db/x', 'postgres://'],
    ['PORT', '65536', '0 to 65535'],
    ['PORT', '-1', '0 to 65535'],
    ['WCG_MASTER_KEY', 'hunter2', '32 bytes'],
    ['WCG_MASTER_KEY', `${KEY},`, 'key 2 of 2'],
    ['PUBLIC_BASE_URL', 'wechat.example.com', 'http:// or https://'],
    ['PUBLIC_BASE_URL', 'https://u:hunter2@example.com', 'without user name'],
    ['WECHAT_API_BASE_URL', 'ftp://api', 'http:// or https://'],
    ['WECOM_API_BASE_URL', 'https://api?x=1', 'without user name, query'],
    ['LOG_LEVEL', 'verbose', 'one of trace'],
    ['WCG_DISPATCH_CONCURRENCY', '0', '1 to 1000'],
    ['WCG_LEASE_SECONDS', '1.5', '10 to 600'],
    ['WCG_SENDS_PER_SECOND', '-1', '0 to 100000'],
    ['WCG_CONNECT_TIMEOUT_MS', '3s', '100 to 60000'],
    ['WCG_CALL_TIMEOUT_MS', '30001', 'no longer than WCG_LEASE_SECONDS (30 s)'],
    ['WCG_DATABASE_POOL', '1', '4 to 200'],
    ['WCG_PERMISSION_SETS', 'template_message=7', 'must read channel:7+100'],
    ['WCG_MESSAGE_LIFETIME_HOURS', '1e3', '1 to 720'],
  ])('refuses %s=%s and says the rule', (name, value, words) => {
    const [fault, ...others] = faultsOf({ [name]: value })
    expect(others).toEqual([])
    expect(fault?.field).toBe(name)
    expect(fault?.rule).toContain(words)
    expect(JSON.stringify(fault)).not.toContain('hunter2')
  })
})

describe('describeConfig', () => {
  it('shows secrets only as configured or not', () => {
    const config = readConfig({ DATABASE_URL: 'postgres://u:hunter2@db/x', WCG_MASTER_KEY: KEY })
    const shown = JSON.stringify(describeConfig(config))
    expect(shown).toContain('"master_key_configured":true')
    expect(shown).not.toContain('hunter2')
    expect(shown).not.toContain(KEY)
  })
})

describe('describeConfig, of the times of the night', () => {
  it('shows all of them as they are typed', () => {
    const given = { WCG_FOLLOWER_SYNC_AT: '03:05', WCG_TEMPLATE_SYNC_AT: 'off' }
    expect(describeConfig(readConfig(given))).toMatchObject({
      follower_sync_at: '03:05',
      authorizer_list_at: '04:20',
      template_sync_at: 'off',
    })
  })
})

describe('SETTINGS', () => {
  it('is what .env.example shows, with the same defaults', async () => {
    const lines = (await readFile('.env.example', 'utf8')).split('\n')
    const shown = lines.flatMap((line) => {
      const [, name, value] = /^#?([A-Z_]+)=(.*)$/.exec(line) ?? []
      return name === undefined ? [] : [[name, value ?? '']]
    })
    expect(Object.fromEntries(shown)).toEqual(
      Object.fromEntries(SETTINGS.map((setting) => [setting.name, setting.default ?? ''])),
    )
  })

  it('is what docs/configuration.md shows, with the same defaults and meanings', async () => {
    const page = await readFile('docs/configuration.md', 'utf8')
    const rows = [...page.matchAll(/^\| `([A-Z_]+)` +\| (.*?) +\| (.*?) +\|$/gm)]
    expect(rows.map(([, name, value, meaning]) => [name, value, meaning])).toEqual(
      SETTINGS.map(({ name, default: value, meaning }) => [
        name,
        value === null ? '–' : `\`${value}\``,
        meaning,
      ]),
    )
  })

  it('gives no secret a default', () => {
    for (const setting of SETTINGS) if (setting.secret) expect(setting.default).toBeNull()
  })
})

describe('ensureMasterKey', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wcg-key-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('makes a key that only its owner can read, and finds it again', async () => {
    const data = join(directory, 'data')
    const key = await ensureMasterKey(data)
    expect(await ensureMasterKey(data)).toEqual(key)
    expect((await stat(join(data, 'master.key'))).mode & 0o777).toBe(0o600)
  })

  it('gives one key to processes that start together', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => ensureMasterKey(directory)))
    expect(new Set(keys.map((key) => key.id)).size).toBe(1)
  })

  it('refuses a file that holds something else', async () => {
    await writeFile(join(directory, 'master.key'), 'not a key')
    await expect(ensureMasterKey(directory)).rejects.toThrow(ConfigError)
  })
})
