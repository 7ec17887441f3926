import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { createCommandContext, type Surroundings } from './context.ts'
import { closest } from './closest.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import type { Command, CommandContext } from './command.ts'
import { explainError } from './explain-error.ts'
import { helpOf, overview } from './help.ts'
import { parseArguments, refuseArgument } from './parse-arguments.ts'
import { COMMANDS } from './table.ts'
import { chooseLanguage, speakIn, type Language } from './words.ts'

/**
 * Runs what was typed behind `wcg`.
 *
 * @returns the exit code: 0 done, 1 failed, 2 the input or the settings must change.
 */
export async function runCommandLine(surroundings: Surroundings): Promise<number> {
  const { argv, env } = surroundings
  const asked = readCommonOptions(argv)
  const language = chooseLanguage(asked.lang, env)
  try {
    return await dispatch(surroundings, { language, json: asked.json })
  } catch (error) {
    const { exitCode, code, message, faults, text } = explainError(error, language)
    const shown = asked.json ? JSON.stringify({ error: { code, message, faults } }) : text
    surroundings.stderr.write(`${shown}\n`)
    if (exitCode === 1 && env['LOG_LEVEL'] === 'debug' && error instanceof Error) {
      surroundings.stderr.write(`${error.stack ?? ''}\n`)
    }
    return exitCode
  }
}

/** How it is to be said. */
interface Manner {
  readonly language: Language
  readonly json: boolean
}

async function dispatch(surroundings: Surroundings, manner: Manner): Promise<number> {
  const { argv, stdout } = surroundings
  const { language } = manner
  const { command, rest } = findCommand(argv)
  if (!command) return showOverview(surroundings, manner)
  if (rest.includes('--help')) {
    stdout.write(`${helpOf(command, language)}\n`)
    return 0
  }
  const args = parseArguments(command, rest)
  const lang = args.text('lang')
  if (lang !== undefined && lang !== 'en' && lang !== 'zh') {
    refuseArgument('--lang', (say) => say('one_of', { choices: 'en, zh' }))
  }
  const context = createCommandContext(surroundings, { args, language })
  return (await runNamed(command, context)) ?? 0
}

/** Runs a command; what is wrong with its request is named by the options that were typed. */
async function runNamed(command: Command, context: CommandContext): Promise<number | void> {
  try {
    return await command.run(context)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    throw new InvalidInputError(
      error.code,
      error.faults.map((fault) => ({ ...fault, field: asTyped(command, fault.field) })),
    )
  }
}

/** `welcome_message.text` was typed behind `--welcome-message`. */
function asTyped(command: Command, field: string): string {
  const [root = '', ...path] = field.split('.')
  const option = root.replaceAll('_', '-')
  if (!Object.hasOwn(command.options ?? {}, option)) return field
  return [`--${option}`, ...path].join('.')
}

/** The command that the first words name, and what was typed beside them. */
function findCommand(argv: readonly string[]): {
  command: Command | undefined
  rest: readonly string[]
} {
  const start = leadingOptions(argv)
  for (const length of [2, 1]) {
    const name = argv.slice(start, start + length).join(' ')
    const command = COMMANDS.find((candidate) => candidate.name === name)
    if (command) return { command, rest: [...argv.slice(0, start), ...argv.slice(start + length)] }
  }
  return { command: undefined, rest: argv }
}

/** `wcg --json --lang zh account list`: how many of the first arguments are common options. */
function leadingOptions(argv: readonly string[]): number {
  let index = 0
  while (argv[index]?.startsWith('--')) index += argv[index] === '--lang' ? 2 : 1
  return index
}

/** What may stand on the command line without a command. */
const NO_COMMAND: Pick<Command, 'options'> = {
  options: {
    version: { type: 'flag', help: { en: 'Print the version.', zh: '显示版本。' } },
  },
}

/** No command, a group of commands, or one that does not exist. */
function showOverview({ argv, stdout, stderr }: Surroundings, manner: Manner): number {
  const { language, json } = manner
  const start = leadingOptions(argv)
  const [first, second] = argv.slice(start)
  const group = COMMANDS.filter((command) => command.name.startsWith(`${first ?? ''} `))
  if (first === undefined) {
    const isVersion = parseArguments(NO_COMMAND, argv).flag('version')
    stdout.write(`${isVersion ? versionText(json) : overview(COMMANDS, language)}\n`)
    return 0
  }
  if (first === 'help') {
    stdout.write(`${overview(COMMANDS, language)}\n`)
    return 0
  }
  const wanted = argv.includes('--help')
  if (group.length > 0 && (second === undefined || second.startsWith('-')) && (wanted || !json)) {
    ;(wanted ? stdout : stderr).write(`${overview(group, language)}\n`)
    return wanted ? 0 : 2
  }
  const pair = second === undefined || second.startsWith('-') ? first : `${first} ${second}`
  const typed = group.length > 0 ? pair : first
  stderr.write(`${refusalOf({ typed, pair }, manner)}\n`)
  return 2
}

function versionText(json: boolean): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(text))
  return json ? JSON.stringify({ version }) : version
}

/** The second word counts for the guess, but is shown only behind a group that exists. */
function refusalOf(
  { typed, pair }: { readonly typed: string; readonly pair: string },
  { language, json }: Manner,
): string {
  const say = speakIn(language)
  const names = COMMANDS.flatMap((command) => [command.name, command.name.split(' ')[0] ?? ''])
  const guess = closest(pair, names) ?? closest(typed, names)
  const message = say('unknown_command', { command: typed })
  const advice = guess === undefined ? [] : [say('did_you_mean', { guess: `wcg ${guess}` })]
  if (!json) return [message, ...advice, `wcg --help`].join('\n')
  const faults = [{ field: typed, rule: [message, ...advice].join('; ') }]
  return JSON.stringify({ error: { code: 'unknown_command', message, faults } })
}

/** Read before anything is checked, so that faults are told in the right language and form. */
function readCommonOptions(argv: readonly string[]): { json: boolean; lang: string | undefined } {
  const at = argv.indexOf('--lang')
  const inline = argv.find((text) => text.startsWith('--lang='))
  return {
    json: argv.includes('--json'),
    lang: at >= 0 ? argv[at + 1] : inline?.slice('--lang='.length),
  }
}
