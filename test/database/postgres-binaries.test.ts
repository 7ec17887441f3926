import { describe, expect, it } from 'vitest'
import { findBinaries } from '../../src/database/postgres-binaries.ts'

describe('findBinaries', () => {
  it.each([
    ['sunos', 'x64'],
    ['linux', 'mips'],
    ['win32', 'x64'],
  ])('says to set DATABASE_URL on %s-%s', async (platform, arch) => {
    const error = await findBinaries(platform, arch).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'no_embedded_postgres' })
    expect(String(error)).toContain('DATABASE_URL')
  })
})
