import { userInfo } from 'node:os'
import { subjectSchema } from '../api/schemas.ts'
import type { Arguments, CommandOption } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'

/** The words that name a person on an account. */
export const PERSON_WORDS = ['ACCOUNT', 'OPENID'] as const

/**
 * The person named, held to the form that the API asks for: a mistyped openid would show, export or
 * erase nobody, and look as if it had been done.
 *
 * @throws InvalidInputError `bad_arguments`
 */
export function personOf(args: Arguments): { readonly account: string; readonly subject: string } {
  const [account, subject] = [args.word(0), args.word(1)]
  if (!subjectSchema.safeParse(subject).success) {
    refuseArgument('OPENID', (say) => say('bad_openid'))
  }
  return { account, subject }
}

export const ACTOR_OPTION: CommandOption = {
  type: 'text',
  value: 'name',
  help: {
    en: 'Who does this; the user of this machine by default. It is recorded.',
    zh: '操作人，默认为本机用户；会被记录。',
  },
}

/** Who acts, for the record: as typed, or the user of this machine. */
export function actorOf(typed: string | undefined): string {
  return typed ?? `cli:${userInfo().username}`
}
