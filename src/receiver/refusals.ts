/** What an operator should know about one reason, and what the sender is told: only the status. */
interface RefusalRule {
  readonly status: 403 | 405 | 408 | 413
  /**
   * `warn` where the sender has proved to be the platform, so that something here or on its page is
   * set wrongly and pushes are being lost; `info` where anybody on the internet could have sent it.
   */
  readonly level: 'info' | 'warn'
  /** The likely cause and what to do, one or two sentences. */
  readonly hint: string
}

/**
 * Every reason for which a push or handshake is refused. The names are stable: they stand in logs,
 * metrics and the documentation. Codes in brackets are those of the platform's sample libraries.
 */
export const REFUSALS = {
  unknown_account: {
    status: 403,
    level: 'info',
    hint: 'No account has this name. Compare the callback URL on the platform page with `wcg account list`.',
  },
  method_not_allowed: {
    status: 405,
    level: 'info',
    hint: 'The platform uses GET for the handshake and POST for pushes; this came from something else.',
  },
  too_large: {
    status: 413,
    level: 'info',
    hint: 'The body is over 262144 bytes; no push of the platform is that large. Look for another system that posts to this URL.',
  },
  slow_body: {
    status: 408,
    level: 'info',
    hint: 'The body did not arrive within 5 seconds. If real pushes are hit, look at the proxy in front of the gateway.',
  },
  incomplete_body: {
    status: 403,
    level: 'info',
    hint: 'The sender closed the connection before the body was complete; the platform repeats such a push by itself.',
  },
  duplicated_parameter: {
    status: 403,
    level: 'info',
    hint: 'A query parameter came twice. Look for a proxy or rewrite rule that appends the query a second time.',
  },
  missing_parameter: {
    status: 403,
    level: 'info',
    hint: 'A query parameter the platform always sends is absent. Look for a proxy that drops the query, or a probe.',
  },
  bad_timestamp: {
    status: 403,
    level: 'info',
    hint: 'The timestamp is not Unix time in seconds, 1 to 10 digits, though the signature fits: look at how the sender makes it.',
  },
  stale: {
    status: 403,
    level: 'warn',
    hint: 'The signature is right but the timestamp is too far from our clock. Check the clock of this machine (NTP); else it is an old request repeated, or the setting freshness_seconds is too small.',
  },
  bad_signature: {
    status: 403,
    level: 'info',
    hint: 'The signature fits neither the current nor the previous Token (-40001). Compare the Token here with the one on the platform page, character by character.',
  },
  not_encrypted: {
    status: 403,
    level: 'info',
    hint: 'The account is configured for encrypted pushes and this one is not marked so. Set 安全模式 on the platform page, or change the mode here; if both are right, somebody tried to bypass the encryption.',
  },
  unexpected_encryption: {
    status: 403,
    level: 'info',
    hint: 'The account is configured for plain mode and this push is encrypted. Change the mode here to the one on the platform page.',
  },
  bad_encoding: {
    status: 403,
    level: 'info',
    hint: 'The body is not UTF-8. Look for a proxy that compresses or re-encodes bodies.',
  },
  bad_document: {
    status: 403,
    level: 'info',
    hint: "The body is not one well-formed document of the account's data format, XML or JSON (-40002). If the platform page offers a choice, `wcg account set --data-format` must say the same.",
  },
  doctype: {
    status: 403,
    level: 'info',
    hint: 'The document declares a DOCTYPE or an entity (-40002). The platform never does; this is an attack or a broken tool.',
  },
  missing_encrypt: {
    status: 403,
    level: 'info',
    hint: 'The body has no Encrypt element. The platform page and the account disagree on the mode, or a proxy rewrote the body.',
  },
  bad_ciphertext: {
    status: 403,
    level: 'warn',
    hint: 'Encrypt is signed correctly but is not base64 of whole 32-byte blocks (-40010). Look at the tool that sealed it.',
  },
  not_decryptable: {
    status: 403,
    level: 'warn',
    hint: 'The Token fits but neither EncodingAESKey opens the push (-40007, -40008). Copy the key from the platform page again with `wcg account rotate`.',
  },
  wrong_receive_id: {
    status: 403,
    level: 'warn',
    hint: 'It was sealed for another appid, corpid or suite id (-40005). Check the ids of the account, and whether another account of the platform points at this URL; the two URLs of a suite are easily exchanged.',
  },
  bad_message: {
    status: 403,
    level: 'warn',
    hint: "The decrypted text is not one well-formed document in UTF-8 of the account's data format, XML or JSON (-40002). If the platform page offers a choice, `wcg account set --data-format` must say the same.",
  },
  wrong_to_user_name: {
    status: 403,
    level: 'warn',
    hint: 'ToUserName is not the original id (in WeCom the corpid) of this account. Compare 原始 ID on the platform page with the account, and the callback URL of each account.',
  },
  unknown_authorizer: {
    status: 403,
    level: 'warn',
    hint: 'The platform sent messages of a merchant or corp that has not authorised this component or suite, or no longer does. If it should have, let it authorise again.',
  },
  duplicated_field: {
    status: 403,
    level: 'warn',
    hint: 'A field that decides what the push means occurs twice, so no reading of it is safe. The platform never does this; keep the request and ask the platform.',
  },
  missing_field: {
    status: 403,
    level: 'warn',
    hint: 'A field that every push to this URL has is absent. Check which product points at it, and that the kind of the account is right.',
  },
} as const satisfies Record<string, RefusalRule>

export type RefusalReason = keyof typeof REFUSALS

/** Why a push was refused; `detail` holds no personal data and no secret. */
export interface Refusal {
  readonly reason: RefusalReason
  readonly detail?: string
}

/** A check that did not pass. */
export interface Refused {
  readonly ok: false
  readonly refusal: Refusal
}

export function refuse(reason: RefusalReason, detail?: string): Refused {
  return { ok: false, refusal: detail === undefined ? { reason } : { reason, detail } }
}
