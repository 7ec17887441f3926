import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  choosePostgresAccount,
  findBlockingDirectory,
} from '../../src/database/postgres-account.ts'

const STRANGER = { uid: 54_321, gid: 54_321 }

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), `wcg-test-${process.ppid}-`))
  await mkdir(join(root, 'clone', 'data'), { recursive: true })
  await chmod(root, 0o755)
})

afterEach(async () => {
  await rm(root, { recursive: true })
})

describe('findBlockingDirectory', () => {
  it.each([
    [0o755, undefined],
    [0o711, undefined],
    [0o700, 'clone'],
    [0o750, 'clone'],
    [0o744, 'clone'],
  ])('judges a parent of mode %o for a stranger', async (mode, blocking) => {
    await chmod(join(root, 'clone'), mode)
    const found = await findBlockingDirectory([root, join(root, 'clone', 'data')], STRANGER)
    expect(found).toBe(blocking && join(root, blocking))
  })

  it('looks at the parents, not at the folder itself', async () => {
    await chmod(join(root, 'clone', 'data'), 0o000)
    expect(await findBlockingDirectory([join(root, 'clone', 'data')], STRANGER)).toBeUndefined()
  })
})

describe('choosePostgresAccount', () => {
  it('never chooses root', async () => {
    await chmod(join(root, 'clone'), 0o700)
    const account = await choosePostgresAccount([join(root, 'clone', 'data')], { uid: 0, gid: 0 })
    expect(account.ids?.uid ?? process.getuid?.()).toBeGreaterThan(0)
  })
})
