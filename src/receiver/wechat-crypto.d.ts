/** The part of wechat-crypto 0.0.2 (untyped CommonJS) that this project uses. */
declare module 'wechat-crypto' {
  class WXBizMsgCrypt {
    /** @throws Error when an argument is empty or the key does not decode to 32 bytes. */
    constructor(token: string, encodingAesKey: string, id: string)
    /** SHA-1, lower-case hex, over the sorted strings. Reads nothing of the instance but `token`. */
    getSignature(
      this: { readonly token: string },
      timestamp: string,
      nonce: string,
      encrypt: string,
    ): string
    decrypt(text: string): { message: string; id: string }
    encrypt(text: string): string
  }
  export = WXBizMsgCrypt
}
