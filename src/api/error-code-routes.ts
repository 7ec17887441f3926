import { accountOf } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import type { AccountRef } from '../messages/message.ts'
import type { CodeOverride } from '../wechat/code-override.ts'
import { codesOf, explainCode, type CodeExplanation } from '../wechat/explain-code.ts'
import { CODE_SPACES, type CodeSpace } from '../wechat/served-account.ts'
import { decodeCursor, pageOf } from './cursor.ts'
import type { Answer, Call, Route } from './route.ts'
import { errorCodeQuery } from './schemas.ts'

/** Whose codes an account's answers have, and what operators decided about them. */
export interface AccountCodeFacts {
  readonly space: CodeSpace
  readonly overrides: readonly CodeOverride[]
}

export interface ErrorCodeRouteDeps {
  readonly readCodeFacts: (account: AccountRef) => Promise<AccountCodeFacts>
}

/** What the platforms' codes mean, and what the gateway does about them. */
export function errorCodeRoutes(deps: ErrorCodeRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: '/v1/error-codes',
      operationId: 'listErrorCodes',
      summary: "The platforms' error codes: meaning, class, what follows",
      query: errorCodeQuery,
      answer: { status: 200, schema: 'ErrorCodeList' },
      problems: [400, 404, 503],
      handle: (call) => listErrorCodes(deps, call),
    },
  ]
}

async function listErrorCodes(deps: ErrorCodeRouteDeps, call: Call): Promise<Answer> {
  const query = readInput(errorCodeQuery, call.query, 'invalid_query')
  const facts =
    query.account === undefined
      ? null
      : await deps.readCodeFacts(accountOf(call.application, query.account))
  const overrides = facts?.overrides ?? []
  const spaces = CODE_SPACES.filter(
    (space) => space === (facts?.space ?? space) && space === (query.platform ?? space),
  )
  const wanted = spaces.flatMap((space) =>
    codesWanted(space, query.code, overrides).map((code) => ({
      id: `${space}:${code}`,
      space,
      code,
    })),
  )
  const after = query.cursor === undefined ? null : decodeCursor(query.cursor, isEntryId)
  const start = after === null ? 0 : wanted.findIndex(({ id }) => id === after) + 1
  const { page, nextCursor } = pageOf(wanted.slice(start, start + query.limit + 1), query.limit)
  const explained = page.map(({ space, code }) =>
    explainCode(
      space,
      code,
      overrides.find((one) => one.code === code),
    ),
  )
  return { status: 200, body: { error_codes: explained.map(codeBody), next_cursor: nextCursor } }
}

/** The one that was asked for, or all of the table and the ones that only an operator knows. */
function codesWanted(
  space: CodeSpace,
  code: number | undefined,
  overrides: readonly CodeOverride[],
): readonly number[] {
  if (code !== undefined) return [code]
  return [...new Set([...codesOf(space), ...overrides.map((one) => one.code)])].toSorted(
    (one, other) => one - other,
  )
}

/** `oa:43004` */
function isEntryId(text: string): boolean {
  return /^(oa|mini|open|wecom):-?\d{1,9}$/.test(text)
}

function codeBody(explained: CodeExplanation) {
  const { override } = explained
  return {
    code: explained.code,
    platform: explained.platform,
    found_in: explained.foundIn,
    class: explained.class,
    name: explained.name,
    effect: explained.effect,
    retry: explained.retry,
    action: explained.advice,
    source: explained.source,
    override: override && {
      replaces: override.replaces,
      actor: override.actor,
      reason: override.reason,
      created_at: override.createdAt,
    },
  }
}
