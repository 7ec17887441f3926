import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS } from '../../src/accounts/account.ts'
import type { AccountApi, ApiAnswer } from '../../src/wechat/account-api.ts'
import { readTemplateList, templateChannelsOf } from '../../src/wechat/template-lists.ts'

const ACCOUNT = {
  id: 1,
  name: 'acme',
  kind: 'official_account',
  settings: DEFAULT_SETTINGS,
} as const

/** A platform that answers this, whatever it is asked. */
function answering(body: Record<string, unknown>): AccountApi {
  const { errcode = 0, errmsg = '' } = body as { errcode?: number; errmsg?: string }
  const rest: Pick<ApiAnswer, 'httpStatus' | 'rid' | 'platformTime'> = {
    ...{ httpStatus: 200, rid: null, platformTime: null },
  }
  return async () => ({ ...rest, errcode, errmsg, body })
}

describe('readTemplateList', () => {
  it('reads template messages, and passes over entries without an id', async () => {
    const list = [
      { template_id: 'T1', title: '发货', content: '{{thing1.DATA}}', primary_industry: 'IT' },
      { title: 'no id' },
      'nonsense',
    ]
    const api = answering({ template_list: list })
    expect(await readTemplateList(api, ACCOUNT, 'template_message')).toEqual({
      kind: 'listed',
      templates: [
        {
          ...{ templateId: 'T1', title: '发货', content: '{{thing1.DATA}}', example: '' },
          ...{ type: null, choices: {} },
        },
      ],
    })
  })

  it('reads subscription messages with their types and the choices of their fields', async () => {
    const keywordEnumValueList = [
      { keywordCode: 'enum_string1.DATA', enumValueList: ['派送中', '已签收'] },
      { enumValueList: ['nobody says of what'] },
    ]
    const data = [
      { priTmplId: 'S1', title: '派送', content: 'x', example: 'y', type: 2, keywordEnumValueList },
      { priTmplId: 'S2', type: '3' },
      { priTmplId: 'S3' },
    ]
    const list = await readTemplateList(answering({ data }), ACCOUNT, 'subscription_message')
    expect(list).toMatchObject({
      templates: [
        { templateId: 'S1', type: 'one_time', choices: { enum_string1: ['派送中', '已签收'] } },
        { templateId: 'S2', type: 'long_term', title: '', choices: {} },
        { templateId: 'S3', type: null },
      ],
    })
  })

  it('does not take an answer without a list for an empty one', async () => {
    await expect(
      readTemplateList(answering({}), ACCOUNT, 'template_message'),
    ).rejects.toMatchObject({ code: 'platform_answer_unreadable' })
    expect(
      await readTemplateList(answering({ template_list: [] }), ACCOUNT, 'template_message'),
    ).toEqual({ kind: 'listed', templates: [] })
  })

  it('tells a refusal for good from one that may pass', async () => {
    const refused = answering({ errcode: 48001, errmsg: 'api unauthorized' })
    expect(await readTemplateList(refused, ACCOUNT, 'subscription_message')).toMatchObject({
      kind: 'refused',
      errcode: 48001,
    })
    await expect(
      readTemplateList(answering({ errcode: -1 }), ACCOUNT, 'subscription_message'),
    ).rejects.toMatchObject({ code: 'platform_refused' })
  })
})

describe('templateChannelsOf', () => {
  it('has both lists for an official account, one for a mini program, none in WeCom', () => {
    expect(templateChannelsOf({ kind: 'official_account' })).toHaveLength(2)
    expect(templateChannelsOf({ kind: 'mini_program' })).toEqual(['subscription_message'])
    expect(templateChannelsOf({ kind: 'authorizer', serves: 'mini_program' })).toHaveLength(1)
    expect(templateChannelsOf({ kind: 'wecom_app' })).toEqual([])
  })
})
