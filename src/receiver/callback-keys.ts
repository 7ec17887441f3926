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

/** @throws InvariantError when the mode needs an EncodingAESKey and the account has none. */
export function prepareKeys(account: Account): CallbackKeys {
  const { callbackKey, previousCallbackKey: before } = account
  return {
    token: callbackKey.token,
    previousToken: before?.token ?? null,
    envelope: account.mode === 'plain' ? null : prepareEnvelopeKeys(account),
  }
}

function prepareEnvelopeKeys({ name, callbackKey, previousCallbackKey }: Account): EnvelopeKeys {
  if (callbackKey.aesKey === null) {
    throw new InvariantError(`account ${name} expects encrypted pushes and has no EncodingAESKey`)
  }
  const before = previousCallbackKey?.aesKey ?? null
  return {
    current: prepareKey(callbackKey.aesKey),
    previous: before === null ? null : prepareKey(before),
  }
}
