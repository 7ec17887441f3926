import { userInfo } from 'node:os'
import type { CommandOption } from './command.ts'

/** The words that name a person on an account. */
export const PERSON_WORDS = ['ACCOUNT', 'OPENID'] as const

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
