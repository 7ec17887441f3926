import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { checkPermissionSets, lackingPermissions } from '../../src/wechat/permission-sets.ts'

const SERVED = ['official_account', 'mini_program'] as const
const channelsOf = (...asked: Parameters<typeof lackingPermissions>) =>
  lackingPermissions(...asked).map(({ channel }) => channel)

describe('lackingPermissions', () => {
  it('takes any one of the sets that carry a channel', () => {
    expect(channelsOf('official_account', [1, 7, 89])).toEqual([])
    expect(channelsOf('official_account', [100])).toEqual([
      ...['subscription_message', 'one_time_subscription'],
    ])
    expect(lackingPermissions('official_account', [1, 89])).toEqual([
      { channel: 'template_message', sets: [7, 100, 101] },
      { channel: 'one_time_subscription', sets: [7] },
    ])
  })

  it('is not stopped by sets that nobody knows', () => {
    expect(channelsOf('mini_program', [19, 18, 118, 4711])).toEqual([])
  })

  it('lets the operator name other sets, or none', () => {
    const others = { device_message: [4711], subscription_message: [] }
    expect(channelsOf('mini_program', [19], others)).toEqual(['device_message'])
    expect(channelsOf('mini_program', [19, 4711], others)).toEqual([])
  })

  it('is what docs/consent.md shows', async () => {
    const page = await readFile('docs/consent.md', 'utf8')
    const section = page.split('### Parts of a tenant')[1]?.split('\n## ')[0] ?? ''
    const rows = section.split('\n').flatMap((line) => {
      const [, channel, ...cells] = line.split('|').map((cell) => cell.trim())
      const name = /^`([a-z_]+)`$/.exec(channel ?? '')?.[1]
      return name === undefined ? [] : SERVED.map((serves, at) => [serves, name, cells[at]])
    })
    const table = SERVED.flatMap((serves) =>
      lackingPermissions(serves, []).map(({ channel, sets }) => {
        return [serves, channel, sets.join(', ')]
      }),
    )
    const listed = rows
      .filter(([, , sets]) => sets !== '–')
      .map(([serves, channel, sets]) => [serves, channel, sets?.replace(' (unconfirmed)', '')])
    expect(listed.sort()).toEqual(table.sort())
  })
})

describe('checkPermissionSets', () => {
  it('refuses a channel that needs none', () => {
    const others = { template_message: [7] }
    expect(checkPermissionSets(others)).toBe(others)
    expect(() => checkPermissionSets({ ...others, wecom_app_message: [1] })).toThrow(
      /^WCG_PERMISSION_SETS: names wecom_app_message; .*template_message/,
    )
  })
})
