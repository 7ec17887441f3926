import { DEFAULT_SETTINGS, type Account, type AccountSettings } from '../../src/accounts/account.ts'
import type { ProvenPush } from '../../src/consent/record-push.ts'
import type { Fields } from '../../src/events/document.ts'

/** An account as the receiver knows it; nothing here needs its keys. */
export function accountOf(id: number, settings: Partial<AccountSettings> = {}): Account {
  return {
    id,
    name: `account-${id}`,
    kind: 'official_account',
    appId: 'wx0000000000000000',
    originalId: 'gh_0000000000',
    agentId: null,
    providerCorpId: null,
    parentId: null,
    serves: null,
    mode: 'safe',
    bodyFormat: 'xml',
    callbackKey: { token: 'token', aesKey: null },
    previousCallbackKey: null,
    settings: { ...DEFAULT_SETTINGS, ...settings },
  }
}

/** A push whose signature has been checked. `at` is the platform's second. */
export function pushOf(
  account: Account,
  push: { readonly from: string; readonly at?: Date; readonly fields: Fields },
): ProvenPush {
  const seconds = String(Math.floor((push.at ?? new Date()).getTime() / 1000))
  const fields = {
    ToUserName: account.originalId ?? account.appId,
    FromUserName: push.from,
    CreateTime: seconds,
    ...push.fields,
  }
  return {
    account,
    source: 'official_account',
    document: JSON.stringify(fields),
    fields,
    timestamp: seconds,
    receivedAt: new Date(),
  }
}

/** An event push. */
export function eventOf(
  account: Account,
  push: {
    readonly from: string
    readonly at?: Date
    readonly name: string
    readonly more?: Fields
  },
): ProvenPush {
  const { name, more, ...rest } = push
  return pushOf(account, { ...rest, fields: { MsgType: 'event', Event: name, ...more } })
}
