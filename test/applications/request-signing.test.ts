import { describe, expect, it } from 'vitest'
import { createRequestSigning } from '../../src/applications/request-signing.ts'
import { signatureOf } from '../../src/applications/request-signature.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import {
  createSecretBox,
  newMasterKey,
  parseMasterKey,
} from '../../src/foundation/sealed-secrets.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import { useTestDatabase } from '../support/database.ts'

const database = useTestDatabase()
const ID = '01a1ff9c-0000-7000-8000-000000000001'

/** A process with a master key of its own. */
function aSigning() {
  const key = parseMasterKey(newMasterKey())
  if (!key) throw new Error('a new master key is none')
  const { db } = database()
  return createRequestSigning({ db, box: createSecretBox([key]), clock: systemClock })
}

describe('rotate', () => {
  it('does not keep a secret that nobody can open, so that the new one works', async () => {
    const { db } = database()
    const lost = aSigning().make()
    await db('application').insert({
      ...{ id: ID, name: 'shop', key_hash: sha256('wcg_x'), key_hint: 'wcgx' },
      ...{ signatures: 'required', sealed_signing_secret: lost.sealFor(ID) },
    })
    const signing = aSigning()
    const rotated = await signing.rotate('shop', { endPrevious: false })
    expect(rotated.previousUntil).toBeNull()

    const parts = {
      ...{ method: 'GET', path: '/v1/events', query: '', nonce: '0123456789abcdef' },
      bodyDigest: sha256('').toString('hex'),
      timestamp: String(Math.floor(Date.now() / 1000)),
    }
    const signature = signatureOf(rotated.secret, parts)
    expect(await signing.check(ID, { ...parts, signature })).toBe('proven')

    const again = await signing.rotate('shop', { endPrevious: false })
    expect(again.previousUntil).not.toBeNull()
  })
})
