import type { Knex } from 'knex'
import { withTransaction } from '../database/unit-of-work.ts'
import type { Clock } from '../foundation/clock.ts'
import { ConflictError } from '../foundation/errors.ts'
import { sha256 } from '../foundation/ids.ts'
import { oneTimeChanges } from './answer-changes.ts'
import { changeConsents, changeRow } from './consent-store.ts'
import { insertLink, takeLink } from './one-time-link-store.ts'

/** What an application wants a person to be asked. */
export interface LinkWish {
  readonly account: { readonly id: number; readonly name: string; readonly appId: string }
  readonly templateId: string
  readonly scene: string
  /** The only person who may answer; null where anybody may who opens the link. */
  readonly subject: string | null
  readonly returnUrl: string | null
  readonly actor: string
}

/** What the platform's redirect brings; none of it is signed. */
export interface LinkAnswer {
  readonly accountId: number
  readonly action: string
  readonly openid: string
  readonly templateId: string
  readonly scene: string
  readonly reserved: string
}

export interface TakenAnswer {
  readonly action: 'confirm' | 'cancel'
  readonly returnUrl: string | null
}

/** Links to the platform's page for one-time subscriptions, and the answers to them. */
export interface OneTimeLinks {
  /** @throws ConflictError `public_base_url_missing` */
  create(wish: LinkWish): Promise<{ readonly url: string; readonly expiresAt: Date }>
  /**
   * Records the answer to a link of ours, once; null for everything else: a value we did not make, a
   * link that was used or is over, another template, scene, account or person than it was made for.
   */
  answer(answer: LinkAnswer): Promise<TakenAnswer | null>
}

/** A link is made when somebody is about to tap it. */
const LINK_LIFETIME_MS = 3_600_000
/** The page's own limit is 128 characters of [a-zA-Z0-9]. */
const RESERVED = /^[0-9a-f]{48}$/
const OPENID = /^[\x21-\x7e]{1,128}$/

/** @param deps.randomHex hex digits, two for each of so many random bytes. */
export function createOneTimeLinks(deps: {
  readonly db: Knex
  readonly clock: Clock
  readonly randomHex: (bytes: number) => string
  /** How the platform, and here a browser, reaches the gateway. */
  readonly publicBaseUrl: string | null
}): OneTimeLinks {
  const { db, clock } = deps
  return {
    async create({ account, ...wish }) {
      if (deps.publicBaseUrl === null) {
        throw new ConflictError(
          'public_base_url_missing',
          'the person is sent back to this gateway: set PUBLIC_BASE_URL, and register its host with the platform',
        )
      }
      const reserved = deps.randomHex(24)
      const createdAt = clock.now()
      const expiresAt = new Date(createdAt.getTime() + LINK_LIFETIME_MS)
      const subjectHash = wish.subject === null ? null : sha256(wish.subject)
      await insertLink(db, {
        ...{ ...wish, accountId: account.id, digest: sha256(reserved) },
        ...{ subjectHash, createdAt, expiresAt },
      })
      const base = deps.publicBaseUrl.replace(/\/$/, '')
      const backTo = `${base}/callbacks/${encodeURIComponent(account.name)}/one-time`
      return {
        url: confirmationUrl({ ...wish, appId: account.appId, reserved, backTo }),
        expiresAt,
      }
    },

    async answer({ accountId, action, openid, templateId, scene, reserved }) {
      const isAnswer = action === 'confirm' ? OPENID.test(openid) : action === 'cancel'
      if (!isAnswer || !RESERVED.test(reserved)) return null
      const now = clock.now()
      const subjectHash = action === 'confirm' ? sha256(openid) : null
      return withTransaction(db, async (trx) => {
        const wanted = { digest: sha256(reserved), accountId, templateId, scene, subjectHash, now }
        const link = await takeLink(trx, wanted)
        if (!link) return null
        const evidence = { kind: 'report', actor: link.actor } as const
        const rows = oneTimeChanges({ action, scene, at: now }).map((change) =>
          changeRow({ accountId, subject: openid, change, evidence }),
        )
        if (rows.length > 0) await changeConsents(trx, rows)
        return { action: action === 'confirm' ? 'confirm' : 'cancel', returnUrl: link.returnUrl }
      })
    },
  }
}

/**
 * The platform's page, to be opened inside WeChat.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/One-time_subscription_info.html
 */
function confirmationUrl(link: {
  readonly appId: string
  readonly templateId: string
  readonly scene: string
  readonly reserved: string
  readonly backTo: string
}): string {
  const query = new URLSearchParams({
    action: 'get_confirm',
    appid: link.appId,
    scene: link.scene,
    template_id: link.templateId,
    redirect_url: link.backTo,
    reserved: link.reserved,
  })
  return `https://mp.weixin.qq.com/mp/subscribemsg?${query.toString()}#wechat_redirect`
}
