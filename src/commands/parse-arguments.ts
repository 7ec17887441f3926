import { parseArgs } from 'node:util'
import { InvalidInputError, type Fault } from '../foundation/errors.ts'
import type { Arguments, Command, CommandOption } from './command.ts'
import { closest } from './closest.ts'
import { speakIn, type Say } from './words.ts'

/** Options that every command takes. */
export const COMMON_OPTIONS: Readonly<Record<string, CommandOption>> = {
  json: { type: 'flag', help: { en: 'Answer with JSON.', zh: '以 JSON 输出结果。' } },
  lang: {
    type: 'text',
    value: 'en|zh',
    help: { en: 'The language of the words.', zh: '输出语言。' },
  },
  help: { type: 'flag', help: { en: 'Explain the command.', zh: '显示说明。' } },
}

/** A fault of what was typed, in both languages. */
export interface ArgumentFault extends Fault {
  readonly ruleZh: string
}

/** A fault for a field as typed; `words` says the rule in the language it is given. */
export function argumentFault(field: string, words: (say: Say) => string): ArgumentFault {
  return { field, rule: words(speakIn('en')), ruleZh: words(speakIn('zh')) }
}

/** @throws InvalidInputError `bad_arguments` for one thing that was typed. */
export function refuseArgument(field: string, words: (say: Say) => string): never {
  throw new InvalidInputError('bad_arguments', [argumentFault(field, words)])
}

/**
 * What was typed behind a command's name.
 *
 * @throws InvalidInputError `bad_arguments` with every fault: options that do not exist, lack their
 *   value, have one too many or come twice; words missing or left over.
 */
export function parseArguments(
  command: Pick<Command, 'options' | 'words' | 'checksItself'>,
  typed: readonly string[],
): Arguments {
  const options = optionsOf(command)
  const { tokens } = parseArgs({
    args: [...typed],
    options: parserOptions(options),
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  const faults: ArgumentFault[] = []
  const texts = new Map<string, string[]>()
  const flags = new Set<string>()
  const words: string[] = []
  let unknownAt = -1
  for (const token of tokens) {
    if (token.kind === 'positional' && !isValueOfUnknown(token.index)) words.push(token.value)
    if (token.kind !== 'option') continue
    const option = options[token.name]
    const fault = faultOf(token, { option, options, before: texts.get(token.name) })
    if (fault) faults.push(fault)
    if (!option) unknownAt = token.index
    else if (option.type === 'flag') flags.add(token.name)
    else texts.set(token.name, [...(texts.get(token.name) ?? []), token.value ?? ''])
  }
  /** What stands behind a mistyped `--seret` may be the secret: it is not called a word too many. */
  function isValueOfUnknown(index: number): boolean {
    return unknownAt >= 0 && index === unknownAt + 1 && words.length >= (command.words?.length ?? 0)
  }
  faults.push(...wordFaults(command, words), ...missingOptions(options, texts))
  if (faults.length > 0) throw new InvalidInputError('bad_arguments', faults)
  return {
    word: (index) => words[index] ?? '',
    text: (name) => texts.get(name)?.at(-1),
    texts: (name) => texts.get(name),
    flag: (name) => flags.has(name),
  }
}

/** All options of a command, the common ones last. */
export function optionsOf(
  command: Pick<Command, 'options'>,
): Readonly<Record<string, CommandOption>> {
  return { ...command.options, ...COMMON_OPTIONS }
}

/**
 * A whole number that was typed for an option.
 *
 * @throws InvalidInputError `bad_arguments`
 */
export function readWholeNumber(
  field: string,
  text: string,
  range: { readonly least: number; readonly most: number },
): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : NaN
  if (number >= range.least && number <= range.most) return number
  return refuseArgument(field, (say) => say('whole_number', range))
}

function parserOptions(options: Readonly<Record<string, CommandOption>>) {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      { type: option.type === 'flag' ? ('boolean' as const) : ('string' as const) },
    ]),
  )
}

function faultOf(
  token: {
    name: string
    rawName: string
    value?: string | undefined
    inlineValue?: boolean | undefined
  },
  known: {
    readonly option: CommandOption | undefined
    readonly options: Readonly<Record<string, CommandOption>>
    readonly before: readonly string[] | undefined
  },
): ArgumentFault | undefined {
  const { option, options, before } = known
  const { rawName, value } = token
  if (!option) return unknownOption(rawName, Object.keys(options))
  if (option.type === 'flag') {
    return value === undefined
      ? undefined
      : argumentFault(rawName, (say) => say('value_unexpected'))
  }
  // `--token --aes-key x`: the next option was taken for the value that was forgotten.
  const forgotten = value === undefined || (!token.inlineValue && value.startsWith('--'))
  if (forgotten) return argumentFault(rawName, (say) => say('value_missing'))
  if (before && !option.multiple) return argumentFault(rawName, (say) => say('given_twice'))
  return undefined
}

function unknownOption(rawName: string, names: readonly string[]): ArgumentFault {
  const guess = closest(rawName.replace(/^-+/, ''), names)
  return argumentFault(rawName, (say) =>
    guess === undefined
      ? say('unknown_option')
      : `${say('unknown_option')}; ${say('did_you_mean', { guess: `--${guess}` })}`,
  )
}

function wordFaults(
  command: Pick<Command, 'words' | 'checksItself'>,
  words: readonly string[],
): ArgumentFault[] {
  const expected = command.words ?? []
  const missing = command.checksItself ? [] : expected.slice(words.length)
  const extra = words.slice(expected.length)
  return [
    ...missing.map((word) => argumentFault(word, (say) => say('is_required'))),
    ...extra.map((word) => argumentFault(word, (say) => say('too_many_words'))),
  ]
}

function missingOptions(
  options: Readonly<Record<string, CommandOption>>,
  texts: ReadonlyMap<string, unknown>,
): ArgumentFault[] {
  return Object.entries(options)
    .filter(([name, option]) => option.required && !texts.has(name))
    .map(([name]) => argumentFault(`--${name}`, (say) => say('is_required')))
}
