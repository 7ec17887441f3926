import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A question that reached the platform. */
export interface FollowerCall {
  readonly path: string
  /** The cursor of a list; '' for its beginning, and for other questions. */
  readonly cursor: string
  /** Whom it asks about. */
  readonly openids: readonly string[]
}

/** A platform that knows who follows an account, and whom the account has blacklisted. */
export interface FollowerPlatform {
  readonly url: string
  readonly calls: readonly FollowerCall[]
  /** Who follows, in the order of the list, with the second since when. */
  readonly followers: Map<string, Date>
  readonly blocked: Set<string>
  /** What it says of an API's day; of any other it says nothing. */
  readonly quotas: Map<string, { readonly daily_limit: number; readonly used: number }>
  /** Runs before each answer, and may give another one (`{errcode: 45009}`). */
  before: (call: FollowerCall, number: number) => Promise<object | void> | object | void
  close(): Promise<void>
}

const TOKEN = 'invented-token'

/**
 * Serves `/cgi-bin/user/get`, `/cgi-bin/user/info/batchget`, `/cgi-bin/tags/members/getblacklist`
 * and `/cgi-bin/stable_token` by the platform's pages.
 *
 * @param options.pageSize 10,000 on the platform.
 */
export async function startFollowerPlatform(
  options: { readonly pageSize?: number } = {},
): Promise<FollowerPlatform> {
  const { pageSize = 10_000 } = options
  const calls: FollowerCall[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const { call, quotaOf } = await readCall(request)
      response.setHeader('content-type', 'application/json')
      if (quotaOf !== null) return response.end(JSON.stringify(quotaAnswer(quotaOf)))
      calls.push(call)
      const other = isToken(call) ? undefined : await platform.before(call, calls.length)
      response.end(JSON.stringify(other ?? answerTo(call)))
    })()
  })

  function answerTo(call: FollowerCall): object {
    switch (call.path) {
      case '/cgi-bin/stable_token':
        return { access_token: TOKEN, expires_in: 7200 }
      case '/cgi-bin/user/get':
        return pageOf([...platform.followers.keys()], call.cursor, pageSize)
      case '/cgi-bin/tags/members/getblacklist':
        return pageOf([...platform.blocked], call.cursor, pageSize)
      case '/cgi-bin/user/info/batchget':
        return { user_info_list: call.openids.map(infoOf) }
      default:
        return { errcode: 40066, errmsg: 'invalid url' }
    }
  }

  function quotaAnswer(path: string): object {
    const quota = platform.quotas.get(path)
    return quota ? { quota } : { errcode: 76021, errmsg: 'cgi_path not found' }
  }

  function infoOf(openid: string): object {
    const since = platform.followers.get(openid)
    return since
      ? {
          openid,
          subscribe: 1,
          subscribe_time: Math.floor(since.getTime() / 1000),
          language: 'zh_CN',
        }
      : { openid, subscribe: 0 }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const platform: FollowerPlatform = {
    url: `http://127.0.0.1:${port}`,
    calls,
    followers: new Map(),
    blocked: new Set(),
    quotas: new Map(),
    before: () => undefined,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return platform
}

/** The list behind the person that the cursor names. */
function pageOf(all: readonly string[], cursor: string, size: number): object {
  const from = cursor === '' ? 0 : all.indexOf(cursor) + 1
  const openid = all.slice(from, from + size)
  const page = { total: all.length, count: openid.length }
  return openid.length === 0
    ? { ...page, next_openid: '' }
    : { ...page, data: { openid }, next_openid: openid.at(-1) }
}

const isToken = ({ path }: FollowerCall) => path === '/cgi-bin/stable_token'

/** `quotaOf`: the API whose quota is asked for, in a call about no people. */
async function readCall(
  request: IncomingMessage,
): Promise<{ readonly call: FollowerCall; readonly quotaOf: string | null }> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  const body = (text === '' ? {} : JSON.parse(text)) as {
    begin_openid?: string
    user_list?: { openid: string }[]
    cgi_path?: string
  }
  const url = new URL(request.url ?? '/', 'http://stub')
  const call = {
    path: url.pathname,
    cursor: body.begin_openid ?? url.searchParams.get('next_openid') ?? '',
    openids: body.user_list?.map(({ openid }) => openid) ?? [],
  }
  return { call, quotaOf: body.cgi_path ?? null }
}
