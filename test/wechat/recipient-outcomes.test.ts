import { describe, expect, it } from 'vitest'
import { recipientOutcomes } from '../../src/wechat/recipient-outcomes.ts'

const OK = { errcode: 0, errmsg: 'ok', msgid: 'invented' }

describe('recipientOutcomes', () => {
  it.each([
    ['everybody reached', OK, { ZhangSan: 'accepted', lisi: 'accepted' }],
    ['empty lists', { ...OK, invaliduser: '', unlicenseduser: '' }, { lisi: 'accepted' }],
    [
      'names in lower case',
      { ...OK, invaliduser: 'zhangsan|other', unlicenseduser: 'wangwu' },
      { ZhangSan: 'invalid', lisi: 'accepted', WangWu: 'unlicensed' },
    ],
    [
      'departments and tags, which we never name',
      { ...OK, invalidparty: '1|2', invalidtag: '3' },
      { lisi: 'accepted' },
    ],
    [
      'the list of a group message',
      { ...OK, fail_list: ['wmOne'] },
      { wmOne: 'invalid', wmTwo: 'accepted' },
    ],
    ['a form nobody knows', { ...OK, invaliduser: 7 }, { lisi: 'accepted' }],
  ])('%s', (_name, body, outcomes) => {
    const found = recipientOutcomes(body, Object.keys(outcomes))
    expect(Object.fromEntries(found)).toEqual(outcomes)
  })
})
