import { describe, expect, it } from 'vitest'
import { closest } from '../../src/commands/closest.ts'

describe('closest', () => {
  it.each([
    ['serv', 'serve'],
    ['migrat', 'migrate'],
    ['acount add', 'account add'],
    ['doktor', 'doctor'],
    ['deploy', undefined],
    ['', undefined],
  ])('%j means %j', (typed, meant) => {
    expect(closest(typed, ['serve', 'migrate', 'account add', 'account', 'doctor'])).toBe(meant)
  })
})
