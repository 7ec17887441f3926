import type { Gateway } from '../compose.ts'
import type { Config } from '../config.ts'
import type { Language, Say, Spoken } from './words.ts'

/** One option of a command, as `--name value` or, for a flag, `--name`. */
export interface CommandOption {
  readonly type: 'text' | 'flag'
  readonly help: Spoken
  /** What stands for the value in the help: `<seconds>`. */
  readonly value?: string
  readonly required?: boolean
  readonly multiple?: boolean
}

/** A command: what it is called, what it takes, what it does. */
export interface Command {
  /** One word or two: `serve`, `account add`. */
  readonly name: string
  readonly summary: Spoken
  /** The words behind the name, all required, as the usage shows them: `NAME`. */
  readonly words?: readonly string[]
  readonly options?: Readonly<Record<string, CommandOption>>
  /** The command reports missing words itself, together with everything else that is wrong. */
  readonly checksItself?: boolean
  /** Returns the exit code; 0 when it returns nothing. Throws what the caller explains. */
  run(context: CommandContext): Promise<number | void>
}

/** What was typed behind a command's name; checked against its options. */
export interface Arguments {
  /** The nth word behind the name; '' when there is none (words are required, so there is). */
  word(index: number): string
  text(name: string): string | undefined
  texts(name: string): readonly string[] | undefined
  flag(name: string): boolean
}

/** Where a command's words go: the answer to standard output, all else to standard error. */
export interface Output {
  /** The answer: one line of JSON with `--json`, otherwise the text. */
  answer(value: unknown, text: string): void
  /** A remark beside the answer. */
  note(text: string): void
  /** An answer of any length, as fast as it is taken. */
  stream(pieces: AsyncIterable<string>): Promise<void>
  /** Replaces the last line of the terminal that was written so; nothing where there is no terminal. */
  live(text: string): void
}

export interface GatewayOptions {
  readonly migrations?: 'require' | 'ignore'
  /**
   * `own`, of a command that seals something: refused where the master key opens nothing of what rests
   * in the database, because no other process would open what this one seals.
   */
  readonly masterKey?: 'any' | 'own'
}

/** What a command may use. */
export interface CommandContext {
  readonly args: Arguments
  readonly language: Language
  readonly say: Say
  readonly output: Output
  /** Ends when the person or the system asks the process to stop. */
  readonly signal: AbortSignal
  /** @throws ConfigError */
  readonly readConfig: () => Config
  /** Text of a file, or of standard input for `-`; `field` is the option that named it. */
  readonly readFile: (path: string, field?: string) => Promise<string>
  /** The bytes of a file, or of standard input for `-`, piece by piece. */
  readonly openFile: (path: string) => AsyncIterable<Buffer>
  /**
   * Builds the gateway without its workers, lends it, and stops it again. On a development machine
   * the database is brought up to date first; in production pending migrations are refused.
   */
  readonly withGateway: <Result>(
    work: (gateway: Gateway, config: Config) => Promise<Result>,
    options?: GatewayOptions,
  ) => Promise<Result>
}
