import { sha256 } from '../foundation/ids.ts'

/**
 * Key under which two deliveries of one push to one account count as the same: SHA-256 of the
 * decrypted document, 32 bytes. The account is a column beside it, so the same document sent to two
 * accounts is two events.
 *
 * The platform proposes `MsgId`, or `FromUserName` and `CreateTime` for events; both merge different
 * pushes (two events of one person within one second), and a merged `unsubscribe` is a lost one. The
 * whole document differs whenever anything in it differs, and a repeat is sent again unchanged inside
 * its envelope, however the envelope is encrypted anew.
 *
 * @param document the bytes exactly as decrypted, or their text if the bytes were checked to be UTF-8;
 *   nothing trimmed, nothing replaced, or two different pushes could become one.
 */
export function repeatKey(document: Buffer | string): Buffer {
  return sha256(document)
}
