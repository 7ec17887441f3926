import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { compose, type Gateway } from '../compose.ts'
import type { Config } from '../config.ts'
import { migrate } from '../database/migrate.ts'
import { createLog } from '../foundation/log.ts'
import type { SandboxAccount } from '../sandbox/sandbox-account.ts'
import { createSandbox, type Sandbox } from '../sandbox/sandbox.ts'

/** Everything the demo runs on: a platform, a gateway with a database of its own, an application. */
export interface DemoWorld {
  readonly sandbox: Sandbox
  readonly account: SandboxAccount
  /** The account's name on the gateway's side. */
  readonly accountName: string
  readonly gateway: Gateway
  readonly gatewayUrl: string
  readonly sandboxUrl: string
  /** The application's key; it lives as long as the demo's data. */
  readonly key: string
  stop(): Promise<void>
}

/** The template of the notices, and the one people subscribe to; ids as the platform makes them. */
export const NOTICE_TEMPLATE = 'Vd4mQx8Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrNy'
export const SUBSCRIPTION_TEMPLATE = 'Hb7Kw2Xq9Tm4Rz6Lc1Vn8Ys3Pd5Fg0JaEuIoMtQkWxZ'

/**
 * Starts all of it: the sandbox, an embedded PostgreSQL under `<data>/demo`, the gateway on a free
 * port of 127.0.0.1, one account with random keys, one application.
 */
export async function startDemoWorld(settings: Config, logLevel: string): Promise<DemoWorld> {
  const undo: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    return await build(settings, { logLevel, undo, stop })
  } catch (error) {
    await stop()
    throw error
  }
}

async function build(
  settings: Config,
  around: { logLevel: string; undo: (() => Promise<void>)[]; stop: () => Promise<void> },
): Promise<DemoWorld> {
  const { undo, stop } = around
  const sandbox = createSandbox()
  undo.push(() => sandbox.close())
  const { url: sandboxUrl } = await sandbox.listen()

  const log = createLog(around.logLevel, { write: (line) => process.stderr.write(line) })
  const gateway = await compose(demoConfig(settings, sandboxUrl), { log })
  undo.push(() => gateway.stop())
  await migrate(gateway.parts.db)
  await gateway.workers.start()
  const { url: gatewayUrl, server } = await listen(gateway)
  undo.push(() => close(server))

  const accountName = `demo-${randomBytes(3).toString('hex')}`
  const account = await connectAccount(gateway, { sandbox, accountName, gatewayUrl })
  const application = await gateway.parts.applications.add({
    name: `shop-${accountName}`,
    accountNames: [accountName],
  })
  const { key } = application
  return { sandbox, account, accountName, gateway, gatewayUrl, sandboxUrl, key, stop }
}

/** The demo never touches a real database: it always brings its own. */
function demoConfig(settings: Config, sandboxUrl: string): Config {
  return {
    ...settings,
    environment: 'development',
    database: { ...settings.database, url: null },
    dataDirectory: join(settings.dataDirectory, 'demo'),
    masterKeys: null,
    platform: { ...settings.platform, wechatApiBaseUrl: sandboxUrl, wecomApiBaseUrl: sandboxUrl },
  }
}

/** The same account on both sides, with keys nobody has used before. */
async function connectAccount(
  gateway: Gateway,
  demo: { sandbox: Sandbox; accountName: string; gatewayUrl: string },
): Promise<SandboxAccount> {
  const configuration = {
    app_id: `wx${randomBytes(8).toString('hex')}`,
    secret: randomBytes(16).toString('hex'),
    original_id: `gh_${randomBytes(6).toString('hex')}`,
    token: lettersAndDigits(16),
    aes_key: lettersAndDigits(43),
  }
  await gateway.parts.accounts.add({
    name: demo.accountName,
    kind: 'official_account',
    appId: configuration.app_id,
    originalId: configuration.original_id,
    mode: 'safe',
    token: configuration.token,
    aesKey: configuration.aes_key,
    secret: configuration.secret,
    settings: {},
  })
  return demo.sandbox.addAccount({
    ...configuration,
    callback_url: `${demo.gatewayUrl}/callbacks/${demo.accountName}`,
  })
}

/** So many letters and digits that nobody has seen before. */
export function lettersAndDigits(length: number): string {
  const letters = randomBytes(length * 3)
    .toString('base64')
    .replace(/[^A-Za-z0-9]/g, '')
  return letters.slice(0, length)
}

async function listen(gateway: Gateway): Promise<{ url: string; server: Server }> {
  const server = createServer(gateway.app)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve())
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, server }
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  server.closeAllConnections()
  await closed
}
