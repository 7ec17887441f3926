import { describe, expect, it } from 'vitest'
import {
  GROUP_STATES,
  groupResultCall,
  groupTaskCall,
  readGroupResults,
  readGroupTasks,
} from '../../src/wechat/group-message.ts'

describe('the calls that ask what became of a group message', () => {
  it('ask for the members', () => {
    expect(groupTaskCall({ msgid: 'msg1', cursor: '' })).toEqual({
      method: 'POST',
      host: 'wecom',
      path: '/cgi-bin/externalcontact/get_groupmsg_task',
      body: { msgid: 'msg1', limit: 1000 },
    })
  })

  it('ask for the customers of one, page by page', () => {
    expect(groupResultCall({ msgid: 'msg1', userid: 'zhangsan', cursor: 'next' })).toEqual({
      method: 'POST',
      host: 'wecom',
      path: '/cgi-bin/externalcontact/get_groupmsg_send_result',
      body: { msgid: 'msg1', userid: 'zhangsan', limit: 1000, cursor: 'next' },
    })
  })
})

describe('readGroupTasks', () => {
  it('tells who has sent', () => {
    const body = {
      errcode: 0,
      next_cursor: 'next',
      task_list: [
        { userid: 'zhangsan', status: 2, send_time: 1552536375 },
        { userid: 'lisi', status: 0 },
      ],
    }
    expect(readGroupTasks(body)).toEqual({
      items: [
        { userid: 'zhangsan', isSent: true, sentAt: new Date(1552536375000) },
        { userid: 'lisi', isSent: false, sentAt: null },
      ],
      cursor: 'next',
    })
  })

  it.each([null, {}, { task_list: [{ userid: 7 }] }])('reads no page in %j', (body) => {
    expect(readGroupTasks(body)).toBeNull()
  })
})

describe('readGroupResults', () => {
  it('tells the states that the page has, and one it has not', () => {
    const send_list = [0, 1, 2, 3, 9].map((status) => ({
      external_userid: `wm${status}`,
      userid: 'zhangsan',
      status,
      ...(status === 1 && { send_time: 1552536375 }),
    }))
    const page = readGroupResults({ errcode: 0, send_list })
    expect(page?.cursor).toBe('')
    expect(page?.items.map(({ state }) => state)).toEqual([...GROUP_STATES, null])
    expect(page?.items[1]).toEqual({
      externalUserid: 'wm1',
      userid: 'zhangsan',
      state: 'sent',
      sentAt: new Date('2019-03-14T04:06:15Z'),
    })
    expect(page?.items[0]?.sentAt).toBeNull()
  })

  it('reads no page in an answer without one', () => {
    expect(readGroupResults({ errcode: 41047 })).toBeNull()
  })
})
