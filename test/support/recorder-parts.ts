import { createSecretBox, parseMasterKey } from '../../src/foundation/sealed-secrets.ts'

const masterKey = parseMasterKey('5e'.repeat(32))
if (!masterKey) throw new Error('a master key has 32 bytes')

/** Seals what pushes carry in tests that record without a whole gateway. */
const recorderBox = createSecretBox([masterKey])

/** What a recorder needs beside the database, where nobody stands behind anybody. */
export const recorderParts = {
  findTenant: async () => undefined,
  findStoredTenant: async () => undefined,
  seal: (text: string, place: string) => ({
    sealed: recorderBox.seal(text, place),
    keyId: recorderBox.keyId,
  }),
}
