import { z } from 'zod'

/*
 * The list of the merchants that have authorised a component (第三方平台).
 * https://developers.weixin.qq.com/doc/oplatform/openApi/authorization-management/
 */

/** What the platform lists about one merchant. */
export interface ListedAuthorizer {
  readonly appId: string
  /** Null where the list has none. */
  readonly refreshToken: string | null
  /** When it authorised, by the platform's clock; null where the list does not say. */
  readonly authorizedAt: Date | null
}

/** The call of one page; whoever makes it adds host and token. */
export interface AuthorizerListCall {
  readonly method: 'POST'
  readonly path: string
  readonly body: {
    readonly component_appid: string
    readonly offset: number
    readonly count: number
  }
}

interface Failed<Failure> {
  readonly kind: 'failed'
  readonly failure: Failure
}

/** Asks for one page: the body of an answer that says yes, or why there is none. */
export type AskForPage<Failure> = (
  call: AuthorizerListCall,
) => Promise<{ readonly kind: 'body'; readonly body: unknown } | Failed<Failure>>

/**
 * How far the list was read. `complete`: to its end; `partly`: the visitor had seen enough, or the
 * list goes on behind the last page that we read; `bad`: the answer is no such list.
 */
export type ListWalked<Failure> = { readonly kind: 'complete' | 'partly' | 'bad' } | Failed<Failure>

export const AUTHORIZER_LIST = 'api_get_authorizer_list'

/** The platform's most per page. */
const PAGE = 500
/** 100,000 authorizers; a list that goes on and on shall not hold a refresh or a job for ever. */
const MOST_PAGES = 200

const pageSchema = z.object({
  total_count: z.int().min(0),
  list: z.array(
    z.object({
      authorizer_appid: z.string(),
      refresh_token: z.string().nullish(),
      auth_time: z.int().positive().nullish().catch(null),
    }),
  ),
})

/**
 * Reads the list page after page.
 *
 * @param list.visit is given each page; answers whether to go on.
 */
export async function walkAuthorizerList<Failure>(list: {
  readonly componentAppId: string
  readonly ask: AskForPage<Failure>
  readonly visit: (page: readonly ListedAuthorizer[]) => boolean
}): Promise<ListWalked<Failure>> {
  let offset = 0
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await list.ask({
      method: 'POST',
      path: `/cgi-bin/component/${AUTHORIZER_LIST}`,
      body: { component_appid: list.componentAppId, offset, count: PAGE },
    })
    if (answer.kind === 'failed') return answer
    const read = pageSchema.safeParse(answer.body).data
    if (!read) return { kind: 'bad' }
    offset += read.list.length
    if (!list.visit(read.list.map(toAuthorizer))) return { kind: 'partly' }
    if (read.list.length === 0 || offset >= read.total_count) return { kind: 'complete' }
  }
  return { kind: 'partly' }
}

/** The refresh token that is listed for one merchant; null when there is none. */
export async function findListedToken<Failure>(
  list: { readonly componentAppId: string; readonly ask: AskForPage<Failure> },
  appId: string,
): Promise<
  | { readonly kind: 'listed'; readonly refreshToken: string | null }
  | { readonly kind: 'bad' }
  | Failed<Failure>
> {
  const found: ListedAuthorizer[] = []
  const walked = await walkAuthorizerList({
    ...list,
    visit: (page) => {
      found.push(...page.filter((one) => one.appId === appId))
      return found.length === 0
    },
  })
  if (walked.kind === 'failed') return walked
  if (walked.kind === 'bad') return { kind: 'bad' }
  return { kind: 'listed', refreshToken: found[0]?.refreshToken ?? null }
}

function toAuthorizer(one: z.output<typeof pageSchema>['list'][number]): ListedAuthorizer {
  return {
    appId: one.authorizer_appid,
    refreshToken: one.refresh_token || null,
    authorizedAt: one.auth_time ? new Date(one.auth_time * 1000) : null,
  }
}
