import type { IRouter, Request, Response } from 'express'
import type { Account } from '../accounts/account.ts'
import { describeError } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'

export interface OneTimeDeps {
  readonly findAccount: (name: string) => Account | Promise<Account | undefined>
  /** Records the answer to a link of ours; null when it is none. */
  readonly answerLink: (answer: {
    readonly accountId: number
    readonly action: string
    readonly openid: string
    readonly templateId: string
    readonly scene: string
    readonly reserved: string
  }) => Promise<{
    readonly action: 'confirm' | 'cancel'
    readonly returnUrl: string | null
  } | null>
  readonly log: Log
}

const RECORDED = '已记录，可以关闭此页面。Recorded; you can close this page.\n'
const REFUSED = '链接无效或已使用。This link is not valid, or it has been used.\n'
const AGAIN = '请稍后重试。Please try again in a moment.\n'

/**
 * `GET /callbacks/{account}/one-time`: where the platform's page for one-time subscriptions sends the
 * browser back to. Nothing in it is signed; what counts is the value of the link, which we made, which
 * works once and ends after an hour. It goes before the callbacks: `one-time` is no tenant.
 */
export function addOneTimeRoute(router: IRouter, deps: OneTimeDeps): void {
  router.get('/callbacks/:account/one-time', (req, res) => answer(deps, req, res))
}

async function answer(
  deps: OneTimeDeps,
  req: Request<{ account: string }>,
  res: Response,
): Promise<void> {
  res.setHeader('cache-control', 'no-store')
  // the address holds an openid and a value that must not travel on
  res.setHeader('referrer-policy', 'no-referrer')
  res.type('text/plain')
  try {
    const account = await deps.findAccount(req.params.account)
    const taken = account && (await deps.answerLink({ accountId: account.id, ...readAnswer(req) }))
    deps.log.info(
      { account: account?.name, outcome: taken?.action ?? 'refused' },
      'one_time.answered',
    )
    if (!taken) res.status(403).send(REFUSED)
    else if (taken.returnUrl === null) res.send(RECORDED)
    else res.redirect(303, backTo(taken.returnUrl, taken.action))
  } catch (error) {
    deps.log.error({ error: describeError(error) }, 'one_time.failed')
    res.status(503).send(AGAIN)
  }
}

function readAnswer(req: Request) {
  const query = new URL(req.url, 'http://gateway').searchParams
  const one = (name: string) => {
    const values = query.getAll(name)
    return values.length === 1 ? (values[0] ?? '') : ''
  }
  return {
    action: one('action'),
    openid: one('openid'),
    templateId: one('template_id'),
    scene: one('scene'),
    reserved: one('reserved'),
  }
}

function backTo(returnUrl: string, action: string): string {
  const url = new URL(returnUrl)
  url.searchParams.set('action', action)
  return url.href
}
