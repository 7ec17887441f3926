import type { Account } from '../accounts/account.ts'
import { InvariantError } from '../foundation/errors.ts'
import { prepareKey, type EnvelopeKeys } from './message-crypto.ts'

/** The callback keys of one account, made ready for use once. */
export interface CallbackKeys {
  readonly token: string
  /** The Token before the last rotation; null when there was none. */
  readonly previousToken: string | null
  /** Null exactly when the account is in plain mode. */
  readonly envelope: EnvelopeKeys | null
}

/**
 * @throws InvariantError when the account has no pair of its own, or the mode needs an EncodingAESKey
 *   and there is none.
 */
export function prepareKeys(account: Account): CallbackKeys {
  const { name, callbackKey, previousCallbackKey: before } = account
  if (!callbackKey) throw new InvariantError(`account ${name} has no callback pair of its own`)
  return {
    token: callbackKey.token,
    previousToken: before?.token ?? null,
    envelope: account.mode === 'plain' ? null : prepareEnvelopeKeys(account),
  }
}

function prepareEnvelopeKeys({ name, callbackKey, previousCallbackKey }: Account): EnvelopeKeys {
  const aesKey = callbackKey?.aesKey ?? null
  if (aesKey === null) {
    throw new InvariantError(`account ${name} expects encrypted pushes and has no EncodingAESKey`)
  }
  const before = previousCallbackKey?.aesKey ?? null
  return {
    current: prepareKey(aesKey),
    previous: before === null ? null : prepareKey(before),
  }
}
