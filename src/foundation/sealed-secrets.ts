import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { AppError } from './errors.ts'

const VERSION = 'v1'

/** A key that seals secrets: 32 bytes, known by the first 8 hex digits of its SHA-256. */
export interface MasterKey {
  readonly id: string
  readonly bytes: Buffer
}

/**
 * Seals and opens the secrets that rest in the database.
 *
 * The first key seals; every key opens, so that a new master key can be put in front while rows
 * sealed under the old one are sealed again one by one.
 */
export interface SecretBox {
  /** The id of the key that seals now. */
  readonly keyId: string
  /** The ids of all keys that open, the one that seals first. */
  readonly keyIds: readonly string[]
  /**
   * @param place where the sealed text will rest, e.g. `account/7/app_secret`. It is bound into the
   *   seal: a sealed text moved to another row or column does not open.
   */
  seal(plain: string, place: string): string
  /** @throws AppError `unknown_master_key`, `broken_seal` */
  open(sealed: string, place: string): string
  /** The id of the key that sealed this text. */
  keyIdOf(sealed: string): string
}

/**
 * Reads one master key.
 *
 * @param text 32 bytes as 64 hex digits or as base64 (with or without padding, either alphabet).
 * @returns undefined when the text is neither.
 */
export function parseMasterKey(text: string): MasterKey | undefined {
  const bytes = /^[0-9a-fA-F]{64}$/.test(text)
    ? Buffer.from(text, 'hex')
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
      ? Buffer.from(text, 'base64')
      : undefined
  if (bytes?.length !== 32) return undefined
  return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 8), bytes }
}

/** A fresh master key in the form `parseMasterKey` reads. */
export function newMasterKey(): string {
  return randomBytes(32).toString('base64')
}

/**
 * AES-256-GCM under the first of the keys. A sealed text reads
 * `v1.<key id>.<nonce>.<tag>.<ciphertext>`, the last three in base64url.
 */
export function createSecretBox(keys: readonly [MasterKey, ...MasterKey[]]): SecretBox {
  const byId = new Map(keys.map((key) => [key.id, key]))
  const current = keys[0]

  return {
    keyId: current.id,
    keyIds: [...byId.keys()],

    seal(plain, place) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', current.bytes, nonce)
      cipher.setAAD(Buffer.from(place))
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      const parts = [nonce, cipher.getAuthTag(), body].map((part) => part.toString('base64url'))
      return [VERSION, current.id, ...parts].join('.')
    },

    open(sealed, place) {
      const [version, keyId, nonce, tag, body] = sealed.split('.')
      const key = byId.get(keyId ?? '')
      if (version !== VERSION || nonce === undefined || tag === undefined || body === undefined) {
        throw new AppError('broken_seal', `the secret at ${place} is not in the form ${VERSION}`)
      }
      if (!key) {
        throw new AppError(
          'unknown_master_key',
          `the secret at ${place} was sealed under master key ${keyId}, which WCG_MASTER_KEY does not hold; ` +
            'add that key behind the current one, separated by a comma',
        )
      }
      try {
        const decipher = createDecipheriv(
          'aes-256-gcm',
          key.bytes,
          Buffer.from(nonce, 'base64url'),
          {
            authTagLength: 16,
          },
        )
        decipher.setAAD(Buffer.from(place))
        decipher.setAuthTag(Buffer.from(tag, 'base64url'))
        return Buffer.concat([
          decipher.update(Buffer.from(body, 'base64url')),
          decipher.final(),
        ]).toString('utf8')
      } catch (cause) {
        throw new AppError(
          'broken_seal',
          `the secret at ${place} does not open: it was changed or moved`,
          {
            cause,
          },
        )
      }
    },

    keyIdOf: (sealed) => sealed.split('.')[1] ?? '',
  }
}

/** Whether a sealed text opens under the master keys of this process, at its place. */
export function opens(
  box: SecretBox,
  { sealed, place }: { sealed: string; place: string },
): boolean {
  try {
    box.open(sealed, place)
    return true
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

/** How what rests sealed stands to the master keys of this process. */
export interface SealCount {
  readonly total: number
  /** Sealed by a key that still opens, but seals no more: resealing moves them. */
  readonly underOldKeys: number
  /** Sealed by a key that this process does not hold; absent where none is. */
  readonly lost?: LostSeals
}

/** What no key of this process opens. */
export interface LostSeals {
  readonly count: number
  /** The first of them: where it rests, and the id of the key that sealed it. */
  readonly place: string
  readonly keyId: string
}

/** Something that rests sealed, in one text or more. */
export interface SealedThing {
  readonly place: string
  readonly keyIds: readonly string[]
  /** How many others rest under the same keys, this one among them; 1 when absent. */
  readonly count?: number
}

/** Counts sealed things by what this process can do with them. */
export function countSeals(held: SecretBox['keyIds'], things: readonly SealedThing[]): SealCount {
  const lost = things.filter((thing) => lostKeyOf(held, thing) !== undefined)
  const old = things.filter((thing) => thing.keyIds.some((id) => id !== held[0]))
  const [first] = lost
  return {
    total: sizeOf(things),
    underOldKeys: sizeOf(old) - sizeOf(lost),
    ...(first && {
      lost: {
        count: sizeOf(lost),
        place: first.place,
        keyId: lostKeyOf(held, first) ?? '',
      },
    }),
  }
}

function sizeOf(things: readonly SealedThing[]): number {
  return things.reduce((all, { count = 1 }) => all + count, 0)
}

function lostKeyOf(held: readonly string[], thing: SealedThing): string | undefined {
  return thing.keyIds.find((id) => !held.includes(id))
}

/** The counts of several rooms as one. */
export function addSeals(counts: readonly SealCount[]): SealCount {
  const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0)
  const lost = counts.flatMap((count) => count.lost ?? [])
  const [first] = lost
  return {
    total: sum(counts.map(({ total }) => total)),
    underOldKeys: sum(counts.map(({ underOldKeys }) => underOldKeys)),
    ...(first && { lost: { ...first, count: sum(lost.map(({ count }) => count)) } }),
  }
}

/**
 * Whether the keys of this process are no keys of this database: things rest sealed in it, and none of
 * the keys opens a single one. What such a process seals, nobody else opens.
 */
export function isForeign({ total, lost }: SealCount): boolean {
  return total > 0 && lost?.count === total
}
