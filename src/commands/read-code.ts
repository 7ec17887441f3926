import { refuseArgument } from './parse-arguments.ts'

/**
 * An `errcode` as typed; some are negative.
 *
 * @throws InvalidInputError `bad_arguments`
 */
export function readWholeCode(field: string, text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text)
  return refuseArgument(field, (say) => say('not_a_code'))
}
