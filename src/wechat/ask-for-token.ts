import { findListedToken, type AskForPage } from './authorizer-list.ts'
import { fetchToken, type TokenReply } from './fetch-token.ts'
import type { RefreshParts, TokenAccount } from './refresh-token.ts'
import { hostOf } from './served-account.ts'
import {
  isParentTokenDead,
  TOKEN_SOURCES,
  tokenSourceOf,
  type Asking,
  type TokenCredentials,
  type TokenSourceName,
} from './token-sources.ts'
import type { Lease } from './token-store.ts'

/** Who asks, under which lease, with what. */
export interface Ask {
  readonly account: TokenAccount
  readonly source: TokenSourceName
  readonly lease: Lease
  readonly credentials: TokenCredentials
  /** The token that we have, dead or alive. */
  readonly known: string | null
}

/** What asking came to; `waiting`: the token of the parent is not to be had before `until`. */
export type AskOutcome =
  TokenReply | { readonly kind: 'waiting'; readonly until: Date } | { readonly kind: 'lease_lost' }

/** The account that an authorizer's or a corp's token depends on. */
type Parent = TokenAccount & { readonly appId: string }

/** The merchant has authorised anew while we asked: theirs is the newer refresh token. */
const CHANGED: AskOutcome = { kind: 'failed', reason: 'authorization_changed' }

/** A merchant's refresh token that the platform does not know (any more). */
const REFRESH_TOKEN_INVALID = 61023

/**
 * Asks for an account's token with everything that belongs to it: the parent's token first, once
 * more with another one when that was dead, the ticket before the newest one where the platform refuses
 * that, and the refresh token stored before the reply is used.
 *
 * @throws whatever the stores throw; nothing has been used then.
 */
export async function askForToken(
  parts: RefreshParts,
  ask: Ask,
  force: boolean,
): Promise<AskOutcome> {
  const parentSource = TOKEN_SOURCES[ask.source].parent
  if (parentSource === null) return askAlone(parts, ask, force)
  const parent = await findParent(parts, ask)
  if (!parent || tokenSourceOf(parent) !== parentSource) {
    return { kind: 'failed', reason: 'no_parent' }
  }
  const first = await askThrough(parts, ask, parent)
  const isDead = first.kind === 'refused' && isParentTokenDead(ask.source, first.errcode)
  return isDead ? askThrough(parts, ask, parent) : first
}

/**
 * One request that no other token goes before; where the platform refuses the newest ticket, once more
 * with the one before, which stays usable until its own time is over (callbacks.md §5.2). What counts
 * is then a token, or the first answer.
 */
async function askAlone(parts: RefreshParts, ask: Ask, force: boolean): Promise<AskOutcome> {
  const { source, credentials, known } = ask
  const asking = askingWith(credentials, { force })
  const first = await fetchToken(parts, { source, asking, known })
  const ticket = credentials.previousTicket ?? null
  const isOver =
    first.kind === 'refused' && TOKEN_SOURCES[source].ticketCodes.includes(first.errcode)
  if (!isOver || ticket === null) return first
  if (!(await parts.store.renewLease(ask.lease, parts.leaseMs))) return { kind: 'lease_lost' }
  const again = await fetchToken(parts, { source, asking: { ...asking, ticket }, known })
  if (again.kind !== 'token') return first
  parts.log.warn(
    { account: ask.account.name, errcode: first.errcode },
    'token.previous_ticket_used',
  )
  return again
}

/** One request with the parent's token; one that proves dead is reported, so that the next is another. */
async function askThrough(parts: RefreshParts, ask: Ask, parent: Parent): Promise<AskOutcome> {
  const token = await parts.tokens.getToken(parent)
  if (token.kind === 'unavailable') return { kind: 'waiting', until: token.until }
  const asking = askingWith(ask.credentials, {
    parent: { appId: parent.appId, token: token.token },
  })
  const reply = await askAndKeep(parts, ask, asking)
  if (reply.kind !== 'refused') return reply
  if (isParentTokenDead(ask.source, reply.errcode)) {
    await parts.tokens.reportRejected(parent, token.version)
  }
  return reply.errcode === REFRESH_TOKEN_INVALID ? recover(parts, ask, { asking, reply }) : reply
}

/**
 * One call under a lease begun anew, because the parent's token may have taken its time. A refresh
 * token that comes back is stored before the token is used: the one it replaces may be dead already.
 */
async function askAndKeep(parts: RefreshParts, ask: Ask, asking: Asking): Promise<AskOutcome> {
  const { source, known } = ask
  if (!(await parts.store.renewLease(ask.lease, parts.leaseMs))) return { kind: 'lease_lost' }
  const reply = await fetchToken(parts, { source, asking, known })
  if (reply.kind !== 'token' || !isNew(reply.refreshToken, asking.refreshToken)) return reply
  const change = { used: asking.refreshToken, next: reply.refreshToken }
  return (await parts.replaceRefreshToken(ask.account.id, change)) ? reply : CHANGED
}

/**
 * Reads the refresh token again where the platform lists it, and asks once more with it. An answer
 * that was lost between the platform and us, or a new authorisation that we were not told of, is
 * mended so; an authorisation that was withdrawn is not.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getauthorizeraccesstoken.md
 */
async function recover(
  parts: RefreshParts,
  ask: Ask,
  refused: { readonly asking: Asking; readonly reply: TokenReply },
): Promise<AskOutcome> {
  const { asking, reply } = refused
  const listed = await findListed(parts, ask, asking)
  if (listed.kind !== 'listed') return listed
  const next = listed.refreshToken
  if (!isNew(next, asking.refreshToken)) return reply
  const change = { used: asking.refreshToken, next }
  if (!(await parts.replaceRefreshToken(ask.account.id, change))) return CHANGED
  parts.log.info({ account: ask.account.name }, 'token.authorization_recovered')
  return askAndKeep(parts, ask, { ...asking, refreshToken: next })
}

type NotAsked = Extract<AskOutcome, { kind: 'failed' | 'lease_lost' }>
type Listed = { readonly kind: 'listed'; readonly refreshToken: string | null } | NotAsked

/** The refresh token of an account in `api_get_authorizer_list`; null when it is not there. */
async function findListed(parts: RefreshParts, ask: Ask, asking: Asking): Promise<Listed> {
  const askForPage: AskForPage<NotAsked> = async (call) => {
    if (!(await parts.store.renewLease(ask.lease, parts.leaseMs))) {
      return { kind: 'failed', failure: { kind: 'lease_lost' } }
    }
    const outcome = await parts.call({
      ...call,
      host: hostOf(TOKEN_SOURCES[ask.source].space),
      accessToken: asking.parent.token,
      tokenName: TOKEN_SOURCES.component.queryName,
    })
    if (outcome.kind === 'answer') return { kind: 'body', body: outcome.body }
    return { kind: 'failed', failure: { kind: 'failed', reason: outcome.reason } }
  }
  const list = { componentAppId: asking.parent.appId, ask: askForPage }
  const found = await findListedToken(list, asking.appId)
  if (found.kind === 'failed') return found.failure
  return found.kind === 'bad' ? { kind: 'failed', reason: 'bad_authorizer_list' } : found
}

function isNew(next: string | null, used: string): next is string {
  return next !== null && next !== '' && next !== used
}

async function findParent(parts: RefreshParts, { credentials }: Ask): Promise<Parent | undefined> {
  const { parentId } = credentials
  return parentId === undefined || parentId === null ? undefined : parts.findAccount(parentId)
}

function askingWith(
  { appId, secret, ticket, refreshToken, permanentCode }: TokenCredentials,
  more: Partial<Pick<Asking, 'parent' | 'force'>>,
): Asking {
  return {
    appId,
    secret: secret ?? '',
    ticket: ticket ?? '',
    refreshToken: refreshToken ?? '',
    permanentCode: permanentCode ?? '',
    parent: { appId: '', token: '' },
    force: false,
    ...more,
  }
}
