import { InvalidInputError, type Fault } from '../foundation/errors.ts'
import type { CommandContext } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'

/**
 * The value of an option that may also stand in a file: `@path` reads it from there, `@-` from
 * standard input. Secrets typed on the command line stay in the shell's history; a file need not.
 * The line end that editors put at the end of a file is not part of the value.
 */
export async function readTyped(
  { args, readFile }: Pick<CommandContext, 'args' | 'readFile'>,
  option: string,
): Promise<string | undefined> {
  const typed = args.text(option)
  if (!typed?.startsWith('@')) return typed
  return (await readFile(typed.slice(1), `--${option}`)).replace(/\r?\n$/, '')
}

/** The same for a secret that must not be typed at all, because it belongs to somebody else. */
export async function readUntyped(
  context: Pick<CommandContext, 'args' | 'readFile'>,
  option: string,
): Promise<string | undefined> {
  if (context.args.text(option)?.startsWith('@') === false) {
    return refuseArgument(`--${option}`, (say) => say('secret_typed'))
  }
  return readTyped(context, option)
}

/** Several of them: what was read, and what is wrong with each file that was not. */
export async function readAllTyped<Option extends string>(
  context: Pick<CommandContext, 'args' | 'readFile'>,
  options: readonly Option[],
): Promise<{
  readonly read: Readonly<Partial<Record<Option, string>>>
  readonly faults: readonly Fault[]
}> {
  const read: Partial<Record<Option, string>> = {}
  const faults: Fault[] = []
  // One after the other: two may come from standard input, and then the second finds it empty.
  for (const option of options) {
    try {
      const text = await readTyped(context, option)
      if (text !== undefined) read[option] = text
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error
      faults.push(...error.faults)
    }
  }
  return { read, faults }
}
