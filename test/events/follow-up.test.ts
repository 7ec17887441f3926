import { describe, expect, it } from 'vitest'
import { EVENT_SOURCES, type EventSource } from '../../src/accounts/account.ts'
import { CATALOGUE } from '../../src/events/catalogue.ts'
import type { Fields } from '../../src/events/document.ts'
import { followUp } from '../../src/events/follow-up.ts'
import { readEvent } from '../../src/events/read-event.ts'
import { readKfMessage } from '../../src/events/read-kf-message.ts'

const RECEIVED_AT = new Date('2026-01-02T00:00:01Z')
const read = (source: EventSource, fields: Fields) =>
  readEvent({ source, fields, timestamp: undefined, receivedAt: RECEIVED_AT })
const component = (InfoType: string, more: Fields = {}) => read('component', { InfoType, ...more })
const suite = (InfoType: string, more: Fields = {}) => read('wecom_suite', { InfoType, ...more })
const wecom = (Event: string, more: Fields = {}) =>
  read('wecom', { MsgType: 'event', Event, ...more })
const contact = (ChangeType: string, more: Fields = {}) =>
  wecom('change_external_contact', { ChangeType, UserID: 'a', ExternalUserID: 'b', ...more })
const chat = (ChangeType: string, more: Fields = {}) =>
  wecom('change_external_chat', { ChangeType, ...more })
const renamed = (more: Fields) =>
  wecom('change_contact', { ChangeType: 'update_user', UserID: 'a', ...more })
const left = wecom('change_contact', { ChangeType: 'delete_user', UserID: 'a' })
const kf = (event: Fields) =>
  readKfMessage({ fields: { msgtype: 'event', origin: '4', event }, receivedAt: RECEIVED_AT })

describe('followUp', () => {
  it.each([
    [
      'a ticket',
      component('component_verify_ticket', { ComponentVerifyTicket: 't' }),
      'keep_ticket',
    ],
    ['a ticket without its text', component('component_verify_ticket'), null],
    ['a suite ticket', suite('suite_ticket', { SuiteTicket: 't' }), 'keep_ticket'],
    ['a code', component('authorized', { AuthorizationCode: 'c' }), 'exchange_authorization_code'],
    [
      'an update',
      component('updateauthorized', { AuthorizationCode: 'c' }),
      'exchange_authorization_code',
    ],
    ['no code', component('authorized', { AuthorizationCode: ' ' }), null],
    [
      'a registration',
      component('notify_third_fasteregister', { status: '0', auth_code: 'c' }),
      'exchange_authorization_code',
    ],
    ['a failed registration', component('notify_third_fasteregister', { status: '1' }), null],
    ['a withdrawal', component('unauthorized'), 'erase_tenant'],
    ['a suite code', suite('create_auth', { AuthCode: 'x'.repeat(512) }), 'exchange_auth_code'],
    [
      'a new permanent code',
      suite('reset_permanent_code', { AuthCode: 'c' }),
      'exchange_auth_code',
    ],
    ['a changed authorisation', suite('change_auth', { AuthCorpId: 'ww1' }), 'read_tenant'],
    ['an authorisation of nobody', suite('change_auth'), null],
    ['a cancelled authorisation', suite('cancel_auth', { AuthCorpId: 'ww1' }), 'erase_tenant'],
    ['what no document knows', suite('del_auth', { AuthCorpId: 'ww1' }), 'check_tenant'],
    ['a migration', suite('agree_external_userid_migration'), 'rekey_external_contacts'],
    [
      'messages of customer service',
      wecom('kf_msg_or_event', { Token: 't', OpenKfId: 'wk1' }),
      'pull_kf_messages',
    ],
    ['messages without a Token', wecom('kf_msg_or_event', { OpenKfId: 'wk1' }), 'pull_kf_messages'],
    ['messages of no account', wecom('kf_msg_or_event', { Token: 't' }), null],
    ['other kf accounts', wecom('kf_account_auth_change'), 'read_kf_accounts'],
    ['a welcome code', contact('add_external_contact', { WelcomeCode: 'w' }), 'welcome'],
    ['a half contact', contact('add_half_external_contact', { WelcomeCode: 'w' }), 'welcome'],
    ['no welcome code', contact('add_external_contact'), null],
    ['a lost contact', contact('del_follow_user', { WelcomeCode: 'w' }), null],
    ['a renamed member', renamed({ NewUserID: 'b' }), 'rekey_member'],
    ['a changed member', renamed({ Name: 'b' }), null],
    ['a member who left', left, 'end_member'],
    ['a customer group', chat('create', { ChatId: 'wr1' }), 'note_chat'],
    ['a dismissed group', chat('dismiss', { ChatId: 'wr1' }), 'forget_chat'],
    ['a group without its id', chat('update'), null],
    ['a session', kf({ event_type: 'enter_session', welcome_code: 'w' }), 'welcome'],
    ['a session of one who was welcomed', kf({ event_type: 'enter_session' }), null],
    ['a failed message', kf({ event_type: 'msg_send_fail', welcome_code: 'w' }), null],
  ] as const)('of %s', (_name, event, job) => {
    expect(followUp(event)).toBe(job)
  })

  it('is nothing for an Official Account and a Mini Program', () => {
    const rows = (['official_account', 'mini_program'] as const).flatMap(
      (source) => CATALOGUE[source],
    )
    expect(rows.filter((row) => row.followUp !== undefined)).toEqual([])
  })

  it('needs something wherever a credential is worked with', () => {
    const rows = EVENT_SOURCES.flatMap((source) => CATALOGUE[source])
    const bare = rows.filter((row) => row.followUp !== undefined && row.secrets && !row.needs)
    expect(bare).toEqual([])
  })
})
