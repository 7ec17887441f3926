import { randomUUID } from 'node:crypto'
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, type Fault } from './foundation/errors.ts'
import { newMasterKey, parseMasterKey, type MasterKey } from './foundation/sealed-secrets.ts'

/** Everything the process was told from outside, checked; frozen all the way down. */
export interface Config {
  readonly environment: 'production' | 'development'
  readonly http: {
    readonly host: string
    readonly port: number
    /** How the platform reaches us, without a slash at the end; null when nobody said. */
    readonly publicBaseUrl: string | null
  }
  readonly database: {
    /** null: the embedded server, in the data directory. */
    readonly url: string | null
    readonly poolSize: number
  }
  /** The first seals, all open; null: the one of `ensureMasterKey` (development only). */
  readonly masterKeys: MasterKeys | null
  readonly platform: {
    readonly wechatApiBaseUrl: string
    readonly wecomApiBaseUrl: string
    readonly timeouts: {
      readonly connectTimeoutMs: number
      readonly headersTimeoutMs: number
      readonly bodyTimeoutMs: number
      readonly totalTimeoutMs: number
    }
  }
  readonly dispatch: {
    readonly concurrency: number
    /** Of all processes together; 0: as many as there are. */
    readonly sendsPerSecond: number
    readonly leaseSeconds: number
    readonly messageLifetimeHours: number
  }
  readonly events: { readonly retentionDays: number }
  readonly deliveries: {
    /** Which addresses beside the public ones may be delivered to. */
    readonly privateEndpoints: 'refuse' | 'loopback' | 'allow'
    readonly retentionDays: number
    /** How long an endpoint may take nothing before it is paused; 0: for ever. */
    readonly patienceDays: number
  }
  readonly messages: { readonly retentionDays: number }
  /** When the followers are compared with the platform's list every night, China time; null: never. */
  readonly followerSyncAt: `${number}:${number}` | null
  /** When components' merchants are compared with the platform's list, China time; null: never. */
  readonly authorizerListAt: `${number}:${number}` | null
  /** When the templates are compared with the platform's lists every night; null: never. */
  readonly templateSyncAt: `${number}:${number}` | null
  /** Which permission sets carry a channel, where it is not as the table has it; none: no gate. */
  readonly permissionSets: Readonly<Record<string, readonly number[]>>
  readonly dataDirectory: string
  readonly logLevel: string
}

export type MasterKeys = readonly [MasterKey, ...MasterKey[]]

/** A fault of a setting, in both languages of the command line. */
export interface SettingFault extends Fault {
  readonly ruleZh: string
}

/** One setting as the documents show it; `docs/configuration.md` and `.env.example` follow. */
export interface Setting {
  readonly name: string
  /** As one would type it; null: no default. */
  readonly default: string | null
  readonly meaning: string
  /** Never printed, not even in part. */
  readonly secret: boolean
}

/** Every environment variable the gateway reads, in the order of the documents. */
export const SETTINGS = [
  {
    name: 'NODE_ENV',
    default: 'development',
    meaning: '`production` demands a database and a master key, and never migrates by itself.',
    secret: false,
  },
  {
    name: 'DATABASE_URL',
    default: null,
    meaning:
      'PostgreSQL, as `postgres://user:password@host:5432/name`. Unset on a development machine: an embedded PostgreSQL starts in the data directory. Required in production.',
    secret: true,
  },
  {
    name: 'HOST',
    default: '127.0.0.1',
    meaning: 'The address to listen on. In production the default is `0.0.0.0`.',
    secret: false,
  },
  {
    name: 'PORT',
    default: '8080',
    meaning: 'The port to listen on; `0` takes any free one.',
    secret: false,
  },
  {
    name: 'WCG_MASTER_KEY',
    default: null,
    meaning:
      'Seals the secrets in the database: 32 random bytes as base64 or hex (`openssl rand -base64 32`). Several keys, separated by commas: the first seals, all open. Unset on a development machine: `master.key` in the data directory, made on first use. Required in production.',
    secret: true,
  },
  {
    name: 'PUBLIC_BASE_URL',
    default: null,
    meaning:
      'How the platform reaches the gateway, e.g. `https://wechat.example.com`; used to print callback addresses and in one-time links.',
    secret: false,
  },
  {
    name: 'LOG_LEVEL',
    default: 'info',
    meaning: '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.',
    secret: false,
  },
  {
    name: 'WECHAT_API_BASE_URL',
    default: 'https://api.weixin.qq.com',
    meaning: 'Where the WeChat API is; change it for a sandbox or a proxy.',
    secret: false,
  },
  {
    name: 'WECOM_API_BASE_URL',
    default: 'https://qyapi.weixin.qq.com',
    meaning: 'Where the WeCom API is.',
    secret: false,
  },
  {
    name: 'WCG_CONNECT_TIMEOUT_MS',
    default: '3000',
    meaning: 'How long a connection to the platform may take (100–60000).',
    secret: false,
  },
  {
    name: 'WCG_HEADERS_TIMEOUT_MS',
    default: '10000',
    meaning: 'How long the platform may take to begin its answer (100–60000).',
    secret: false,
  },
  {
    name: 'WCG_BODY_TIMEOUT_MS',
    default: '10000',
    meaning: 'How long the platform may pause within its answer (100–60000).',
    secret: false,
  },
  {
    name: 'WCG_CALL_TIMEOUT_MS',
    default: '10000',
    meaning:
      'How long a call of the platform may take in all (100–60000). No longer than `WCG_LEASE_SECONDS`.',
    secret: false,
  },
  {
    name: 'WCG_DATA_DIRECTORY',
    default: '.data',
    meaning: 'Where a development machine keeps the embedded database and its master key.',
    secret: false,
  },
  {
    name: 'WCG_DISPATCH_CONCURRENCY',
    default: '64',
    meaning:
      'Messages called for at once, per process (1–1000). How many of an account follows from how quick its calls are.',
    secret: false,
  },
  {
    name: 'WCG_SENDS_PER_SECOND',
    default: '0',
    meaning:
      'Messages a second that all processes together may send (0–100000); `0`: as many as there are. Give every process the same.',
    secret: false,
  },
  {
    name: 'WCG_LEASE_SECONDS',
    default: '30',
    meaning:
      'How long a worker may hold a message before another one looks after it (10–600). Longer than the slowest platform call.',
    secret: false,
  },
  {
    name: 'WCG_DATABASE_POOL',
    default: '20',
    meaning: 'Database connections per process (4–200).',
    secret: false,
  },
  {
    name: 'WCG_MESSAGE_LIFETIME_HOURS',
    default: '24',
    meaning: 'How long a message may wait when its request names no `expires_at` (1–720).',
    secret: false,
  },
  {
    name: 'WCG_EVENT_RETENTION_DAYS',
    default: '0',
    meaning:
      'How long the event log is kept, in days (1–3650); it goes by whole months. `0` keeps everything. The consent ledger always stays.',
    secret: false,
  },
  {
    name: 'WCG_PRIVATE_ENDPOINTS',
    default: 'loopback',
    meaning:
      'Where deliveries to applications may go beside public https addresses: `refuse` (nowhere), `loopback` (this machine, http too), `allow` (private networks too, http there too). In production the default is `refuse`. docs/delivery.md has more.',
    secret: false,
  },
  {
    name: 'WCG_DELIVERY_RETENTION_DAYS',
    default: '30',
    meaning: 'How long an ended delivery stays listed, in days (1–3650).',
    secret: false,
  },
  {
    name: 'WCG_ENDPOINT_PATIENCE_DAYS',
    default: '5',
    meaning:
      'How long an endpoint may take nothing of what is posted before it is paused, in days (1–30); `0`: for ever.',
    secret: false,
  },
  {
    name: 'WCG_MESSAGE_RETENTION_DAYS',
    default: '0',
    meaning:
      'How long a message with its attempts, and a broadcast with its list, is kept after it has ended, in days (7–3650). An `Idempotency-Key` holds as long. `0` keeps everything.',
    secret: false,
  },
  {
    name: 'WCG_FOLLOWER_SYNC_AT',
    default: '03:40',
    meaning:
      "When every account's followers are compared with the platform's list, China time; `off`: never by itself.",
    secret: false,
  },
  {
    name: 'WCG_AUTHORIZER_LIST_AT',
    default: '04:20',
    meaning:
      "When every component's merchants are compared with the platform's list, China time; `off`: never by itself.",
    secret: false,
  },
  {
    name: 'WCG_TEMPLATE_SYNC_AT',
    default: '04:20',
    meaning:
      "When every account's templates are compared with the platform's lists, China time; `off`: never by itself.",
    secret: false,
  },
  {
    name: 'WCG_PERMISSION_SETS',
    default: null,
    meaning:
      'Which permission sets (权限集) of a merchant carry a channel, where that is not as docs/consent.md has it: `subscription_message:18+89,device_message:any`; `any`: none is asked for.',
    secret: false,
  },
] as const satisfies readonly Setting[]

type SettingName = (typeof SETTINGS)[number]['name']
export type Environment = Readonly<Record<string, string | undefined>>

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/**
 * The settings of this process.
 *
 * An empty value counts as absent, because container tools pass unset variables on as empty ones.
 *
 * @throws ConfigError with every fault, none of which repeats a secret.
 */
export function readConfig(env: Environment): Config {
  const reader = createReader(env)
  const production =
    reader.oneOf('NODE_ENV', ['development', 'production', 'test']) === 'production'
  const leaseSeconds = reader.integer('WCG_LEASE_SECONDS', 10, 600)
  const config: Config = {
    environment: production ? 'production' : 'development',
    http: {
      host: reader.given('HOST') ?? (production ? '0.0.0.0' : reader.text('HOST')),
      port: reader.integer('PORT', 0, 65_535),
      publicBaseUrl: reader.optionalUrl('PUBLIC_BASE_URL'),
    },
    database: {
      url: reader.databaseUrl(production),
      poolSize: reader.integer('WCG_DATABASE_POOL', 4, 200),
    },
    masterKeys: reader.masterKeys(production),
    platform: {
      wechatApiBaseUrl: reader.url('WECHAT_API_BASE_URL'),
      wecomApiBaseUrl: reader.url('WECOM_API_BASE_URL'),
      timeouts: {
        connectTimeoutMs: reader.integer('WCG_CONNECT_TIMEOUT_MS', 100, 60_000),
        headersTimeoutMs: reader.integer('WCG_HEADERS_TIMEOUT_MS', 100, 60_000),
        bodyTimeoutMs: reader.integer('WCG_BODY_TIMEOUT_MS', 100, 60_000),
        totalTimeoutMs: reader.callTimeout(leaseSeconds),
      },
    },
    dispatch: {
      concurrency: reader.integer('WCG_DISPATCH_CONCURRENCY', 1, 1000),
      sendsPerSecond: reader.integer('WCG_SENDS_PER_SECOND', 0, 100_000),
      leaseSeconds,
      messageLifetimeHours: reader.integer('WCG_MESSAGE_LIFETIME_HOURS', 1, 720),
    },
    events: { retentionDays: reader.integer('WCG_EVENT_RETENTION_DAYS', 0, 3650) },
    deliveries: {
      privateEndpoints: reader.oneOf(
        'WCG_PRIVATE_ENDPOINTS',
        ['refuse', 'loopback', 'allow'],
        production ? 'refuse' : undefined,
      ),
      retentionDays: reader.integer('WCG_DELIVERY_RETENTION_DAYS', 1, 3650),
      patienceDays: reader.orZero('WCG_ENDPOINT_PATIENCE_DAYS', 1, 30),
    },
    messages: {
      retentionDays: reader.orZero('WCG_MESSAGE_RETENTION_DAYS', 7, 3650),
    },
    followerSyncAt: reader.nightTime('WCG_FOLLOWER_SYNC_AT'),
    authorizerListAt: reader.nightTime('WCG_AUTHORIZER_LIST_AT'),
    templateSyncAt: reader.nightTime('WCG_TEMPLATE_SYNC_AT'),
    permissionSets: readPermissionSets(reader),
    dataDirectory: reader.text('WCG_DATA_DIRECTORY'),
    logLevel: reader.oneOf('LOG_LEVEL', LOG_LEVELS),
  }
  if (reader.faults.length > 0) throw new ConfigError(reader.faults)
  return freeze(config)
}

/** The effective settings for the `service.started` line; secrets only as `…_configured`. */
export function describeConfig(config: Config): Record<string, string | number | boolean | null> {
  return {
    environment: config.environment,
    host: config.http.host,
    port: config.http.port,
    public_base_url: config.http.publicBaseUrl,
    database_url_configured: config.database.url !== null,
    database_pool: config.database.poolSize,
    master_key_configured: config.masterKeys !== null,
    wechat_api_base_url: config.platform.wechatApiBaseUrl,
    wecom_api_base_url: config.platform.wecomApiBaseUrl,
    connect_timeout_ms: config.platform.timeouts.connectTimeoutMs,
    headers_timeout_ms: config.platform.timeouts.headersTimeoutMs,
    body_timeout_ms: config.platform.timeouts.bodyTimeoutMs,
    call_timeout_ms: config.platform.timeouts.totalTimeoutMs,
    dispatch_concurrency: config.dispatch.concurrency,
    sends_per_second: config.dispatch.sendsPerSecond,
    lease_seconds: config.dispatch.leaseSeconds,
    message_lifetime_hours: config.dispatch.messageLifetimeHours,
    event_retention_days: config.events.retentionDays,
    private_endpoints: config.deliveries.privateEndpoints,
    delivery_retention_days: config.deliveries.retentionDays,
    endpoint_patience_days: config.deliveries.patienceDays,
    message_retention_days: config.messages.retentionDays,
    follower_sync_at: asTyped(config.followerSyncAt),
    authorizer_list_at: asTyped(config.authorizerListAt),
    template_sync_at: asTyped(config.templateSyncAt),
    data_directory: config.dataDirectory,
    log_level: config.logLevel,
  }
}

function createReader(env: Environment) {
  const faults: SettingFault[] = []
  const fault = (field: SettingName, rule: string, ruleZh: string) =>
    faults.push({ field, rule, ruleZh })
  const given = (name: SettingName) => env[name]?.trim() || undefined
  const text = (name: SettingName) => given(name) ?? defaultOf(name) ?? ''

  function url(name: SettingName): string {
    const base = readBaseUrl(text(name))
    if (base === undefined) {
      fault(
        name,
        'must be an address that begins with http:// or https://, without user name, query or fragment',
        '必须是以 http:// 或 https:// 开头的地址，不能带用户名、查询参数或片段',
      )
    }
    return base ?? ''
  }

  function integer(name: SettingName, least: number, most: number): number {
    const number = readWhole(text(name))
    if (number >= least && number <= most) return number
    const value = JSON.stringify(text(name))
    fault(
      name,
      `must be a whole number from ${least} to ${most}, not ${value}`,
      `必须是 ${least} 到 ${most} 之间的整数，现在是 ${value}`,
    )
    return least
  }

  return {
    faults,
    given,
    text,
    url,
    integer,
    optionalUrl: (name: SettingName) => (given(name) === undefined ? null : url(name)),

    callTimeout(leaseSeconds: number): number {
      const timeoutMs = integer('WCG_CALL_TIMEOUT_MS', 100, 60_000)
      if (timeoutMs > leaseSeconds * 1000) {
        fault(
          'WCG_CALL_TIMEOUT_MS',
          `must be no longer than WCG_LEASE_SECONDS (${leaseSeconds} s): another process would take the message up during the call`,
          `不得大于 WCG_LEASE_SECONDS（${leaseSeconds} 秒），否则调用期间其他进程会接管该消息`,
        )
      }
      return timeoutMs
    },

    /** 0 stands for “not at all”. */
    orZero: (name: SettingName, least: number, most: number) =>
      readWhole(text(name)) === 0 ? 0 : integer(name, least, most),

    oneOf<Choice extends string>(
      name: SettingName,
      allowed: readonly [Choice, ...Choice[]],
      otherwise = text(name),
    ): Choice {
      const value = given(name) ?? otherwise
      const choice = allowed.find((one) => one === value)
      if (choice !== undefined) return choice
      const list = allowed.join(', ')
      fault(
        name,
        `must be one of ${list}, not ${JSON.stringify(value)}`,
        `必须是 ${list} 之一，现在是 ${JSON.stringify(value)}`,
      )
      return allowed[0]
    },

    nightTime(name: SettingName): `${number}:${number}` | null {
      const value = text(name)
      if (value === 'off') return null
      const time = readTimeOfDay(value)
      if (time !== undefined) return time
      fault(
        name,
        `must be a time of day as 03:40, or off, not ${JSON.stringify(value)}`,
        `必须是形如 03:40 的时间，或 off，现在是 ${JSON.stringify(value)}`,
      )
      return null
    },

    databaseUrl(required: boolean): string | null {
      const value = given('DATABASE_URL')
      if (value !== undefined && isDatabaseUrl(value)) return value
      if (value !== undefined) {
        fault(
          'DATABASE_URL',
          'must read postgres://user:password@host:port/database (special characters in the password percent-encoded)',
          '格式应为 postgres://用户:密码@主机:端口/数据库（密码中的特殊字符需百分号编码）',
        )
      } else if (required) {
        fault(
          'DATABASE_URL',
          'is required in production: the embedded database is for development machines only',
          '生产环境必须设置：内嵌数据库只用于开发机',
        )
      }
      return null
    },

    masterKeys(required: boolean): MasterKeys | null {
      const value = given('WCG_MASTER_KEY')
      if (value === undefined) {
        if (required) {
          fault(
            'WCG_MASTER_KEY',
            'is required in production; make one with `openssl rand -base64 32` and keep it outside the database',
            '生产环境必须设置；可用 `openssl rand -base64 32` 生成，并保存在数据库之外',
          )
        }
        return null
      }
      const keys = value.split(',').map((one) => parseMasterKey(one.trim()))
      keys.forEach((key, index) => {
        if (key) return
        fault(
          'WCG_MASTER_KEY',
          `key ${index + 1} of ${keys.length} must be 32 bytes as base64 (44 characters) or hex (64 digits)`,
          `第 ${index + 1} 个密钥（共 ${keys.length} 个）必须是 32 字节，写成 base64（44 个字符）或十六进制（64 位）`,
        )
      })
      const [first, ...rest] = keys.filter((key) => key !== undefined)
      return first ? [first, ...rest] : null
    },
  }
}

/** A channel and the ids of its sets, or `any`. */
const PERMISSION_ENTRY = /^([a-z_]+):(any|\d{1,6}(?:\+\d{1,6})*)$/

function readPermissionSets(
  reader: ReturnType<typeof createReader>,
): Readonly<Record<string, readonly number[]>> {
  const entries = reader.given('WCG_PERMISSION_SETS')?.split(',') ?? []
  const read = entries.flatMap((entry): [string, number[]][] => {
    const [, channel, sets] = PERMISSION_ENTRY.exec(entry.trim()) ?? []
    if (channel !== undefined && sets !== undefined) {
      return [[channel, sets === 'any' ? [] : sets.split('+').map(Number)]]
    }
    const value = JSON.stringify(entry.trim())
    reader.faults.push({
      field: 'WCG_PERMISSION_SETS',
      rule: `must read channel:7+100 or channel:any, several with commas, not ${value}`,
      ruleZh: `格式应为 渠道:7+100 或 渠道:any，多个以逗号分隔，现在是 ${value}`,
    })
    return []
  })
  return Object.fromEntries(read)
}

function readWhole(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : NaN
}

function readTimeOfDay(text: string): `${number}:${number}` | undefined {
  const [, hours, minutes] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? []
  if (hours === undefined || minutes === undefined) return undefined
  return `${Number(hours)}:${Number(minutes)}`
}

/** A time of day as the settings write it. */
function asTyped(time: `${number}:${number}` | null): string {
  return time === null ? 'off' : time.replace(/\d+/g, (digits) => digits.padStart(2, '0'))
}

function defaultOf(name: SettingName): string | null {
  return SETTINGS.find((setting) => setting.name === name)?.default ?? null
}

function readBaseUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol)) return undefined
  if (url.username || url.password || url.search || url.hash) return undefined
  return url.href.replace(/\/+$/, '')
}

function isDatabaseUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'postgres:' || url?.protocol === 'postgresql:'
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    // A frozen Buffer throws; keys are handed on as they are.
    if (typeof part === 'object' && part !== null && !Buffer.isBuffer(part)) freeze(part)
  }
  return Object.freeze(value)
}

/**
 * The master key of a development machine, read from `master.key` in the data directory, and made
 * there on first use: readable by its owner alone. Two processes that start together get one key.
 *
 * @throws ConfigError when the file holds something else.
 */
export async function ensureMasterKey(
  directory: string,
  onMade: (path: string) => void = () => undefined,
): Promise<MasterKey> {
  const path = join(directory, 'master.key')
  if ((await readIfThere(path)) === undefined) {
    await placeMasterKey(directory, path)
    onMade(path)
  }
  const key = parseMasterKey(((await readIfThere(path)) ?? '').trim())
  if (key) return key
  const fault: SettingFault = {
    field: path,
    rule: 'does not hold a master key; restore it, or delete it together with the embedded database',
    ruleZh: '中没有可用的主密钥；请恢复该文件，或连同内嵌数据库一起删除',
  }
  throw new ConfigError([fault])
}

/** Written beside and then linked: the name appears only with its whole content, and only once. */
async function placeMasterKey(directory: string, path: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, `${newMasterKey()}\n`, { mode: 0o600, flag: 'wx' })
  await chmod(draft, 0o600)
  try {
    await link(draft, path)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
