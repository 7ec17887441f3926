import { createCipheriv, createHash } from 'node:crypto'

/** Random values that are the same again for the same seed and the same order of questions. */
export interface Randomness {
  bytes(count: number): Buffer
  /** Lower-case hex digits. */
  hex(length: number): string
  digits(length: number): string
  /** Letters, digits, `-` and `_`. */
  urlSafe(length: number): string
  /** 0 ≤ x < 1. */
  fraction(): number
  /** The same items in another order; with two or more different items never the order given. */
  shuffle<T>(items: readonly T[]): T[]
  /** The next 64-bit id, as decimal text: always above 2^53, always greater than the one before. */
  nextMessageId(): string
}

/** The size of a piece of the key stream; any size gives the same values. */
const BLOCK_BYTES = 4096
/** Real ids have 19 digits (sending.md §9.4); JavaScript numbers lose the last three of them. */
const FIRST_MESSAGE_ID = 3_400_000_000_000_000_000n

/** The AES key stream under the hash of the seed: quick, and nobody's global state. */
export function createRandomness(seed: string): Randomness {
  const key = createHash('sha256').update(seed).digest()
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const zeros = Buffer.alloc(BLOCK_BYTES)
  let pool: Buffer = Buffer.alloc(0)

  const bytes = (count: number): Buffer => {
    while (pool.length < count) pool = Buffer.concat([pool, stream.update(zeros)])
    const taken = pool.subarray(0, count)
    pool = pool.subarray(count)
    return taken
  }
  const fraction = () => bytes(6).readUIntBE(0, 6) / 2 ** 48

  let messageId = FIRST_MESSAGE_ID + BigInt(bytes(6).readUIntBE(0, 6)) * 64n

  return {
    bytes,
    fraction,
    hex: (length) =>
      bytes(Math.ceil(length / 2))
        .toString('hex')
        .slice(0, length),
    digits: (length) => Array.from(bytes(length), (byte) => byte % 10).join(''),
    urlSafe: (length) => bytes(length).toString('base64url').slice(0, length),
    shuffle: (items) => shuffled(items, fraction),
    nextMessageId() {
      messageId += 1n + BigInt(bytes(1).readUInt8(0))
      return messageId.toString()
    },
  }
}

function shuffled<T>(items: readonly T[], fraction: () => number): T[] {
  const keyed = items.map((item) => ({ item, order: fraction() }))
  const result = keyed.toSorted((a, b) => a.order - b.order).map(({ item }) => item)
  const unchanged = result.every((item, index) => item === items[index])
  return unchanged ? result.toReversed() : result
}
