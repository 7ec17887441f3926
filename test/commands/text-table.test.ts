import { describe, expect, it } from 'vitest'
import { textTable } from '../../src/commands/text-table.ts'

describe('textTable', () => {
  it('lines up Chinese and Latin columns', () => {
    const table = textTable([
      ['名称', '模式'],
      ['acme-shop', 'safe'],
    ])
    expect(table.split('\n')).toEqual(['名称       模式', 'acme-shop  safe'])
  })

  it('is empty without rows', () => {
    expect(textTable([])).toBe('')
  })
})
