import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { Gateway } from '../compose.ts'
import { readConfig, type Config, type Environment } from '../config.ts'
import { migrate, pending } from '../database/migrate.ts'
import { createLog } from '../foundation/log.ts'
import type { Arguments, CommandContext } from './command.ts'
import { inBoth, SpokenError } from './explain-error.ts'
import { refuseArgument } from './parse-arguments.ts'
import { speakIn, type Language } from './words.ts'

/** The process around a command, passed in so that tests can stand in for it. */
export interface Surroundings {
  /** What was typed behind `wcg`. */
  readonly argv: readonly string[]
  readonly env: Environment
  readonly stdin: NodeJS.ReadableStream
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly signal: AbortSignal
}

export function createCommandContext(
  surroundings: Surroundings,
  asked: { readonly args: Arguments; readonly language: Language },
): CommandContext {
  const { env, stdin, stdout, stderr, signal } = surroundings
  const { args, language } = asked
  const say = speakIn(language)
  const config = () => readConfig(env)
  return {
    args,
    language,
    say,
    signal,
    readConfig: config,
    output: {
      answer(value, words) {
        stdout.write(`${args.flag('json') ? JSON.stringify(value) : words}\n`)
      },
      note(words) {
        stderr.write(`${words}\n`)
      },
      async stream(pieces) {
        await pipeline(Readable.from(pieces, { objectMode: false }), stdout, { end: false })
      },
      live(words) {
        if ('isTTY' in stderr && stderr.isTTY) stderr.write(`\r\u001b[K${words}`)
      },
    },

    async readFile(path, field = `@${path}`) {
      try {
        return path === '-' ? await text(stdin) : await readFile(path, 'utf8')
      } catch {
        return refuseArgument(field, (say) => say('file_unreadable', { path }))
      }
    },

    async *openFile(path) {
      const bytes = path === '-' ? stdin : createReadStream(path)
      try {
        for await (const piece of bytes) yield Buffer.from(piece)
      } catch {
        refuseArgument('--file', (say) => say('file_unreadable', { path }))
      }
    },

    async withGateway(work, options = {}) {
      const settings = config()
      const gateway = await openGateway(settings, env)
      try {
        if (options.migrations !== 'ignore') await requireSchema(gateway, settings)
        if (options.masterKey === 'own') await requireOwnKey(gateway)
        return await work(gateway, settings)
      } finally {
        await gateway.stop()
      }
    },
  }
}

/**
 * A gateway for one command: beside a running one or alone, without workers. Its log goes to
 * standard error, and only what is worth a warning unless LOG_LEVEL asks for more.
 */
async function openGateway(config: Config, env: Environment): Promise<Gateway> {
  // Loaded here, because most of the program hangs on it and help must come at once.
  const { compose } = await import('../compose.ts')
  const level = env['LOG_LEVEL'] ? config.logLevel : 'warn'
  const log = createLog(level, { write: (line) => process.stderr.write(line) })
  return compose(config, { log, databaseMode: 'join' })
}

/**
 * Brings a development machine's database up to date; in production a person decides when.
 *
 * @throws SpokenError `migrations_pending`
 */
export async function requireSchema(gateway: Gateway, config: Config): Promise<void> {
  const { db } = gateway.parts
  const missing = await pending(db)
  if (missing.length === 0) return
  if (config.environment === 'production') {
    throw new SpokenError(
      'migrations_pending',
      inBoth((say) => say('migrations_pending', { count: missing.length })),
    )
  }
  await migrate(db)
}

/**
 * A process with another master key than everybody else would seal what they cannot open.
 *
 * @throws SpokenError `foreign_master_key`
 */
async function requireOwnKey({ parts }: Gateway): Promise<void> {
  if (!(await parts.seals.isKeyForeign())) return
  throw new SpokenError(
    'foreign_master_key',
    inBoth((say) => say('foreign_master_key')),
  )
}
