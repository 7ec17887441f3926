import { SECRET_NAMES, type Row } from './catalogue-row.ts'
import { WECOM_CHANGES } from './wecom-rows.ts'

/**
 * Notices to a suite's 指令回调 URL, by `InfoType`; their time is `TimeStamp`.
 *
 * @see https://developer.work.weixin.qq.com/document/path/90628
 * @see https://developer.work.weixin.qq.com/document/path/97175
 */
export const SUITE_NOTICES = [
  {
    kind: 'suite.suite_ticket',
    name: 'suite_ticket',
    subject: null,
    effect: 'none',
    secrets: ['SuiteTicket'],
    followUp: 'keep_ticket',
    needs: 'SuiteTicket',
    note: 'The ticket that tokens are made with; a new one about every 10 minutes',
  },
  {
    kind: 'suite.create_auth',
    name: 'create_auth',
    subject: 'AuthCorpId',
    effect: 'tenant_granted',
    secrets: ['AuthCode', 'State'],
    followUp: 'exchange_auth_code',
    needs: 'AuthCode',
    note: 'A corp lets us act for it; it names no corp, so the right is recorded once the code is exchanged',
  },
  {
    kind: 'suite.change_auth',
    name: 'change_auth',
    subject: 'AuthCorpId',
    effect: 'tenant_changed',
    secrets: ['State'],
    followUp: 'read_tenant',
    needs: 'AuthCorpId',
    note: 'The corp changed what we may do',
  },
  {
    kind: 'suite.cancel_auth',
    name: 'cancel_auth',
    subject: 'AuthCorpId',
    effect: 'tenant_revoked',
    followUp: 'erase_tenant',
    note: 'The corp withdrew our right: nothing is sent on its behalf',
  },
  {
    kind: 'suite.reset_permanent_code',
    name: 'reset_permanent_code',
    subject: 'AuthCorpId',
    effect: 'tenant_changed',
    secrets: ['AuthCode'],
    followUp: 'exchange_auth_code',
    needs: 'AuthCode',
    note: 'A new permanent code, once the code is exchanged; the old one stops working',
  },
  {
    kind: 'suite.del_auth',
    name: 'del_auth',
    subject: 'AuthCorpId',
    effect: 'tenant_doubted',
    followUp: 'check_tenant',
    note: "Not in the platform's documents; nothing is sent until the authorisation was looked up",
  },
  {
    kind: 'suite.approve_special_auth',
    name: 'approve_special_auth',
    subject: 'AuthCorpId',
    effect: 'signal',
    followUp: 'read_tenant',
    note: 'The corp lets us use one API more',
  },
  {
    kind: 'suite.cancel_special_auth',
    name: 'cancel_special_auth',
    subject: 'AuthCorpId',
    effect: 'signal',
    followUp: 'read_tenant',
    note: 'The corp withdrew one API',
  },
  {
    kind: 'suite.agree_external_userid_migration',
    name: 'agree_external_userid_migration',
    subject: 'AuthCorpId',
    effect: 'signal',
    followUp: 'rekey_external_contacts',
    note: 'The ids of its customers are to be changed',
  },
  {
    kind: 'suite.share_agent_change',
    name: 'share_agent_change',
    subject: 'CorpId',
    effect: 'signal',
    followUp: 'read_tenant',
    note: 'The app is shared with other corps, or no longer',
  },
  {
    kind: 'suite.corp_arch_auth',
    name: 'corp_arch_auth',
    subject: 'AuthCorpId',
    effect: 'signal',
    followUp: 'read_tenant',
    note: 'What we may read of the contacts changed',
  },
  {
    kind: 'suite.register_corp',
    name: 'register_corp',
    subject: 'AuthCorpId',
    effect: 'none',
    secrets: ['RegisterCode', 'AccessToken', 'State'],
    note: 'A corp was registered through us',
  },
  {
    kind: 'suite.enter_register_package',
    name: 'enter_register_package',
    subject: 'AuthCorpId',
    effect: 'none',
    secrets: ['RegisterCode', 'AccessToken', 'State'],
    note: 'A corp came through a registration package',
  },
  {
    kind: 'suite.batch_job_result',
    name: 'batch_job_result',
    subject: 'AuthCorpId',
    effect: 'none',
    note: 'Result of a batch job on the contacts',
  },
  {
    kind: 'suite.open_order',
    name: 'open_order',
    subject: 'PaidCorpId',
    effect: 'none',
    note: 'An order was placed',
  },
  {
    kind: 'suite.change_order',
    name: 'change_order',
    subject: 'PaidCorpId',
    effect: 'none',
    note: 'An order changed',
  },
  {
    kind: 'suite.pay_for_app_success',
    name: 'pay_for_app_success',
    subject: 'PaidCorpId',
    effect: 'none',
    note: 'An order was paid',
  },
  {
    kind: 'suite.refund',
    name: 'refund',
    subject: 'PaidCorpId',
    effect: 'none',
    note: 'An order was paid back',
  },
  {
    kind: 'suite.change_editon',
    name: 'change_editon',
    subject: 'PaidCorpId',
    effect: 'none',
    note: 'The edition changed; the platform spells it so',
  },
  {
    kind: 'suite.license_pay_success',
    name: 'license_pay_success',
    subject: null,
    effect: 'none',
    note: 'Licences were paid',
  },
  {
    kind: 'suite.license_refund',
    name: 'license_refund',
    subject: null,
    effect: 'none',
    note: 'Licences were paid back',
  },
  {
    kind: 'suite.auto_activate',
    name: 'auto_activate',
    subject: null,
    effect: 'none',
    note: 'Licences were switched on',
  },
  {
    kind: 'suite.conversation_new_message',
    name: 'conversation_new_message',
    subject: 'AuthCorpId',
    effect: 'signal',
    secrets: ['Token', 'token'],
    note: 'The archive has new messages',
  },
  {
    kind: 'suite.hit_keyword',
    name: 'hit_keyword',
    subject: 'AuthCorpId',
    effect: 'signal',
    secrets: ['Token', 'token'],
    note: 'A keyword occurred in the archive',
  },
  {
    kind: 'suite.chat_archive_audit_approved_single',
    name: 'chat_archive_audit_approved_single',
    subject: 'ExternalUserID',
    effect: 'archive_agreed',
    note: 'The customer agreed to the chat archive; allows no message',
  },
  {
    kind: 'suite.chat_archive_audit_approved_room',
    name: 'chat_archive_audit_approved_room',
    subject: 'ExternalUserID',
    effect: 'archive_agreed',
    note: 'The same in a group; its fields are not published',
  },
  {
    kind: 'suite.chat_archive_export_finished',
    name: 'chat_archive_export_finished',
    subject: 'AuthCorpId',
    effect: 'none',
    note: 'An export of the archive is ready',
  },
  {
    kind: 'suite.advanced_api_expired',
    name: 'advanced_api_expired',
    subject: 'AuthCorpId',
    effect: 'signal',
    note: 'A paid API ran out',
  },
  {
    kind: 'suite.advanced_api_trial_expired',
    name: 'advanced_api_trial_expired',
    subject: 'AuthCorpId',
    effect: 'signal',
    note: 'The trial of a paid API ran out',
  },
  {
    kind: 'suite.device_data_auth_change',
    name: 'device_data_auth_change',
    subject: 'AuthCorpId',
    effect: 'none',
    note: 'What we may read of devices changed',
  },
  {
    kind: 'suite.add_device',
    name: 'add_device',
    subject: 'AuthCorpId',
    effect: 'none',
    note: 'A device was added',
  },
  {
    kind: 'suite.delete_device',
    name: 'delete_device',
    subject: 'AuthCorpId',
    effect: 'none',
    note: 'A device was deleted',
  },
] as const satisfies readonly Row[]

/** Notices of the provider's side that come as ordinary events, by `Event`. */
export const SUITE_EVENTS = [
  {
    kind: 'suite.change_app_admin',
    name: 'change_app_admin',
    subject: null,
    effect: 'none',
    note: "The app's administrators changed",
  },
  {
    kind: 'suite.unlicensed_notify',
    name: 'unlicensed_notify',
    subject: 'FromUserName',
    effect: 'signal',
    note: 'A call for this member needs a licence',
  },
  {
    kind: 'suite.program_notify',
    name: 'program_notify',
    subject: null,
    effect: 'none',
    note: 'A program of the data zone (专区) has something to say',
  },
] as const satisfies readonly Row[]

/** What a corp's contacts do, told to the suite: the same, by `InfoType` and `ChangeType`. */
export const SUITE_CHANGES = WECOM_CHANGES.map(toldToSuite)

export const UNKNOWN_TO_SUITE = {
  kind: 'suite.unknown',
  name: '(anything else)',
  subject: null,
  effect: 'none',
  secrets: SECRET_NAMES,
  note: 'Recorded without what may be a credential, and logged; changes nothing',
} as const satisfies Row

type WecomChange = (typeof WECOM_CHANGES)[number]
type SuiteKind<Kind extends string> = Kind extends `wecom.${infer Rest}` ? `suite.${Rest}` : never
type SuiteChange = Row & { readonly kind: SuiteKind<WecomChange['kind']> }

function toldToSuite(row: WecomChange): SuiteChange {
  return { ...row, kind: row.kind.replace('wecom.', 'suite.') as SuiteChange['kind'] }
}
