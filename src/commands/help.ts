import { KINDS_TO_ADD } from '../accounts/account-rules.ts'
import type { Command } from './command.ts'
import { optionsOf } from './parse-arguments.ts'
import { textTable } from './text-table.ts'
import { speakIn, type Language } from './words.ts'

/** The list of commands, or of those that begin with `group`. */
export function overview(commands: readonly Command[], language: Language): string {
  const say = speakIn(language)
  const rows = commands.map((command) => [`  ${command.name}`, command.summary[language]])
  return [
    `${say('usage')}: wcg <command> [--json] [--lang en|zh] [--help]`,
    '',
    `${say('commands')}:`,
    textTable(rows),
    '',
    say('more_help'),
    say('settings_help'),
  ].join('\n')
}

/** The help of one command: what it does, how it is typed, and every option. */
export function helpOf(command: Command, language: Language): string {
  const say = speakIn(language)
  const rows = Object.entries(optionsOf(command)).map(([name, option]) => [
    `  --${name}${option.value === undefined ? '' : ` <${option.value}>`}`,
    [
      option.help[language],
      ...(option.required ? [`(${say('required')})`] : []),
      ...(option.multiple ? [`(${say('repeatable')})`] : []),
    ].join(' '),
  ])
  const typed = ['wcg', command.name, ...(command.words ?? []), '[options]'].join(' ')
  return [
    command.summary[language],
    '',
    `${say('usage')}: ${typed}`,
    '',
    `${say('options')}:`,
    textTable(rows),
  ].join('\n')
}

/** The account kinds that can be added, for help texts. */
export const KINDS = KINDS_TO_ADD.join(', ')
