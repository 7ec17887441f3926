import { describe, expect, it } from 'vitest'
import type { EventSource } from '../../src/accounts/account.ts'
import { rowOf } from '../../src/events/catalogue.ts'
import { readEvent } from '../../src/events/read-event.ts'
import { readKfMessage } from '../../src/events/read-kf-message.ts'

const RECEIVED_AT = new Date('2026-01-02T00:00:01Z')

/** The names the platforms' documents and SDKs know, in the order of their documents. */
const WECHAT_MESSAGES = 'text image voice video shortvideo location link'
const SHARED_EVENTS =
  'subscribe_msg_popup_event subscribe_msg_change_event subscribe_msg_sent_event ' +
  'user_info_modified user_authorization_revoke user_authorization_cancellation wxa_media_check'
const CONTACT_CHANGES =
  'change_contact+create_user change_contact+update_user change_contact+delete_user ' +
  'change_contact+create_party change_contact+update_party change_contact+delete_party ' +
  'change_contact+update_tag ' +
  'change_external_contact+add_external_contact change_external_contact+add_half_external_contact ' +
  'change_external_contact+edit_external_contact change_external_contact+del_external_contact ' +
  'change_external_contact+del_follow_user change_external_contact+transfer_fail ' +
  'change_external_contact+msg_audit_approved ' +
  'change_external_chat+create change_external_chat+update change_external_chat+dismiss ' +
  'change_external_tag+create change_external_tag+update change_external_tag+delete ' +
  'change_external_tag+shuffle ' +
  'customer_acquisition+balance_low customer_acquisition+balance_exhausted ' +
  'customer_acquisition+quota_expire_soon customer_acquisition+link_unavailable ' +
  'customer_acquisition+delete_link customer_acquisition+friend_request ' +
  'customer_acquisition+customer_start_chat'

const NAMES: readonly (readonly [EventSource, 'MsgType' | 'Event' | 'InfoType', string])[] = [
  ['official_account', 'MsgType', WECHAT_MESSAGES],
  [
    'official_account',
    'Event',
    'subscribe unsubscribe SCAN LOCATION CLICK VIEW view_miniprogram scancode_push ' +
      'scancode_waitmsg pic_sysphoto pic_photo_or_album pic_weixin location_select ' +
      'TEMPLATESENDJOBFINISH MASSSENDJOBFINISH FREEPUBLISHJOBFINISH PUBLISHJOBFINISH ' +
      'kf_create_session kf_close_session kf_switch_session qualification_verify_success ' +
      'naming_verify_success annual_renew verify_expired qualification_verify_fail ' +
      'naming_verify_fail card_pass_check card_not_pass_check user_get_card user_gifting_card ' +
      'user_del_card user_consume_card user_pay_from_pay_cell user_view_card ' +
      'user_enter_session_from_card update_member_card card_sku_remind card_pay_order ' +
      'submit_membercard_user_info merchant_order open_product_order_pay guide_invented ' +
      SHARED_EVENTS,
  ],
  ['mini_program', 'MsgType', `${WECHAT_MESSAGES} miniprogrampage`],
  [
    'mini_program',
    'Event',
    'user_enter_tempsession weapp_audit_success weapp_audit_fail weapp_audit_delay ' +
      'wxa_nickname_audit wxa_category_audit wxa_privacy_apply wxa_illegal_record ' +
      'wxa_appeal_record wxa_punish_event wxalive_follow_notify xpay_goods_deliver_notify ' +
      'xpay_coin_pay_notify trade_manage_invented add_express_path wx_verify_pay_succ ' +
      'wx_verify_dispatch debug_demo betaapp_verify_event betaapp_verify_apply_event ' +
      SHARED_EVENTS,
  ],
  [
    'component',
    'InfoType',
    'component_verify_ticket authorized updateauthorized unauthorized notify_third_fasteregister ' +
      'notify_third_fastregisterbetaapp notify_third_fastverifybetaapp notify_3rd_wxa_auth ' +
      'notify_3rd_wxa_wxverify notify_3rd_wxa_auth_and_icp notify_icpfiling_verify_result ' +
      'notify_apply_icpfiling_result order_path_apply_result_notify ' +
      'order_path_audit_result_notify',
  ],
  ['component', 'Event', 'betaapp_verify_event betaapp_verify_apply_event'],
  ['wecom', 'MsgType', 'text image voice video location link'],
  [
    'wecom',
    'Event',
    'subscribe unsubscribe enter_agent LOCATION click view view_miniprogram scancode_push ' +
      'scancode_waitmsg pic_sysphoto pic_photo_or_album pic_weixin location_select ' +
      'taskcard_click template_card_event template_card_menu_event batch_job_result ' +
      'open_approval_change sys_approval_change close_inactive_agent reopen_inactive_agent ' +
      'inactive_alert low_active_alert low_active active_restored share_agent_change ' +
      'share_chain_change switch_workbench_mode change_app_admin living_status_change ' +
      'change_school_contact+subscribe change_school_contact+unsubscribe ' +
      'change_school_contact+create_student change_school_contact+update_student ' +
      'change_school_contact+delete_student change_school_contact+create_parent ' +
      'change_school_contact+update_parent change_school_contact+delete_parent ' +
      'change_school_contact+create_department change_chain+create_chain ' +
      'security+change_domain_ip unlicensed_notify add_calendar add_schedule meeting_change ' +
      'book_meeting_room wedrive_file_change device_invented app_email_change ' +
      'kf_msg_or_event kf_account_auth_change msgaudit_notify ' +
      CONTACT_CHANGES,
  ],
  [
    'wecom_suite',
    'InfoType',
    'suite_ticket create_auth change_auth cancel_auth reset_permanent_code ' +
      'approve_special_auth cancel_special_auth agree_external_userid_migration ' +
      'share_agent_change corp_arch_auth register_corp enter_register_package batch_job_result ' +
      'open_order change_order pay_for_app_success refund change_editon license_pay_success ' +
      'license_refund auto_activate conversation_new_message hit_keyword ' +
      'chat_archive_audit_approved_single chat_archive_audit_approved_room ' +
      'chat_archive_export_finished advanced_api_expired advanced_api_trial_expired del_auth ' +
      CONTACT_CHANGES,
  ],
  ['wecom_suite', 'Event', 'change_app_admin unlicensed_notify program_notify'],
]

const KF_EVENTS =
  'enter_session msg_send_fail session_status_change servicer_status_change user_recall_msg ' +
  'servicer_recall_msg reject_customer_msg_switch_change'

const CASES = NAMES.flatMap(([source, route, names]) =>
  names.split(' ').map((text) => {
    const [name = '', changeType] = text.split('+')
    return { source, route, name, changeType, text }
  }),
)

describe('every name of the platform', () => {
  it.each(CASES)('is known: $text of $source', ({ source, route, name, changeType }) => {
    const record = readEvent({
      source,
      fields: {
        ...(route === 'Event' && { MsgType: 'event' }),
        [route]: name,
        ...(changeType !== undefined && { ChangeType: changeType }),
      },
      timestamp: undefined,
      receivedAt: RECEIVED_AT,
    })
    const row = rowOf(record.kind)
    expect(record.kind).not.toMatch(/unknown$/)
    expect(row.changeType).toBe(changeType)
    if (row.name.endsWith('*')) expect(name.startsWith(row.name.slice(0, -1))).toBe(true)
    else expect(row.name).toBe(name)
  })

  it.each(KF_EVENTS.split(' '))('is known: %s of customer service', (name) => {
    const fields = { msgtype: 'event', origin: '4', event: { event_type: name } }
    const record = readKfMessage({ fields, receivedAt: RECEIVED_AT })
    expect(record).toMatchObject({ kind: `kf.${name}`, name })
  })
})
