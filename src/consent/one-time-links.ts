import type { Knex } from 'knex'
import { withTransaction } from '../database/unit-of-work.ts'
import type { Clock } from '../foundation/clock.ts'
import { ConflictError } from '../foundation/errors.ts'
import { sha256 } from '../foundation/ids.ts'
import { oneTimeChanges } from './answer-changes.ts'
import { changeConsents, changeRow } from './consent-store.ts'
import { insertLink, isForOtherTemplate, takeLink, type LinkAction } from './one-time-link-store.ts'

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
  readonly action: LinkAction
  readonly returnUrl: string | null
}

/** Links to the platform's page for one-time subscriptions, and the answers to them. */
export interface OneTimeLinks {
  /** @throws ConflictError `public_base_url_missing` */
  create(wish: LinkWish): Promise<{ readonly url: string; readonly expiresAt: Date }>
  /**
   * Records the answer to a link of ours, once: with the link, and in the ledger of the person whom
   * the redirect names or, for a cancellation, the link was made for; null for everything else: a value we did not make, a
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
  /** Waits for forbidden calls under way; see settle-calls.ts. */
  readonly settle: (accountId: number, subject: string) => Promise<void>
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
      await insertLink(db, {
        ...{ ...wish, accountId: account.id, digest: sha256(reserved) },
        ...{ createdAt, expiresAt },
      })
      const base = deps.publicBaseUrl.replace(/\/$/, '')
      const backTo = `${base}/callbacks/${encodeURIComponent(account.name)}/one-time`
      return {
        url: confirmationUrl({ ...wish, appId: account.appId, reserved, backTo }),
        expiresAt,
      }
    },

    async answer({ accountId, openid, templateId, scene, reserved, ...answer }) {
      const action = readAction(answer.action, openid)
      if (!action || !RESERVED.test(reserved)) return null
      const at = clock.now()
      const taken = await withTransaction(db, async (trx) => {
        const said = { accountId, templateId, scene, action }
        const named = action === 'confirm' ? openid : null
        const wanted = { ...said, digest: sha256(reserved), subject: named, now: at }
        const link = await takeLink(trx, wanted)
        if (!link) return null
        const subject = named ?? link.subject
        if (subject !== null) await record(trx, { ...said, subject, actor: link.actor, at })
        return { returnUrl: link.returnUrl, subject }
      })
      if (!taken) return null
      const { returnUrl, subject } = taken
      if (action === 'cancel' && subject !== null) await deps.settle(accountId, subject)
      return { action, returnUrl }
    },
  }
}

/** What the redirect says; null where it is no answer. A cancellation names nobody. */
function readAction(action: string, openid: string): LinkAction | null {
  if (action === 'cancel') return action
  return action === 'confirm' && OPENID.test(openid) ? action : null
}

/** Who declines one template for a scene has not taken back what they confirmed of another. */
async function record(
  trx: Knex,
  answer: {
    readonly accountId: number
    readonly subject: string
    readonly templateId: string
    readonly scene: string
    readonly action: LinkAction
    readonly actor: string
    readonly at: Date
  },
): Promise<void> {
  const { accountId, subject, actor, ...said } = answer
  const evidence = { kind: 'report', actor } as const
  for (const change of oneTimeChanges(said)) {
    const { scope } = change
    const held = { accountId, subject, scope, templateId: said.templateId }
    if (said.action === 'cancel' && (await isForOtherTemplate(trx, held))) continue
    await changeConsents(trx, [changeRow({ accountId, subject, change, evidence })])
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
