import { SECRET_NAMES, type Row } from './catalogue-row.ts'

/**
 * Notices to a third-party platform's 授权事件接收 URL, by `InfoType`. `AppId` is the component,
 * `appid` the account it is about; they stand in one document.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/authorize_event.html
 */
export const COMPONENT_NOTICES = [
  {
    kind: 'component.component_verify_ticket',
    name: 'component_verify_ticket',
    subject: null,
    effect: 'none',
    secrets: ['ComponentVerifyTicket'],
    followUp: 'keep_ticket',
    needs: 'ComponentVerifyTicket',
    note: 'The ticket that tokens are made with; a new one about every 10 minutes',
  },
  {
    kind: 'component.authorized',
    name: 'authorized',
    subject: 'AuthorizerAppid',
    effect: 'tenant_granted',
    secrets: ['AuthorizationCode', 'PreAuthCode'],
    followUp: 'exchange_authorization_code',
    needs: 'AuthorizationCode',
    note: 'The account lets us act for it; comes again without an `unauthorized` between',
  },
  {
    kind: 'component.updateauthorized',
    name: 'updateauthorized',
    subject: 'AuthorizerAppid',
    effect: 'tenant_granted',
    secrets: ['AuthorizationCode', 'PreAuthCode'],
    followUp: 'exchange_authorization_code',
    needs: 'AuthorizationCode',
    note: 'The account changed what we may do',
  },
  {
    kind: 'component.unauthorized',
    name: 'unauthorized',
    subject: 'AuthorizerAppid',
    effect: 'tenant_revoked',
    followUp: 'erase_tenant',
    note: 'The account withdrew our right: nothing is sent on its behalf',
  },
  {
    kind: 'component.notify_third_fasteregister',
    name: 'notify_third_fasteregister',
    subject: 'appid',
    effect: 'tenant_registered',
    secrets: ['auth_code'],
    followUp: 'exchange_authorization_code',
    needs: 'auth_code',
    note: 'A Mini Program was registered through us; `status` 0 with a code gives us the right to act for it',
  },
  {
    kind: 'component.notify_third_fastregisterbetaapp',
    name: 'notify_third_fastregisterbetaapp',
    subject: 'appid',
    effect: 'tenant_registered',
    secrets: ['auth_code'],
    followUp: 'exchange_authorization_code',
    needs: 'auth_code',
    note: 'The same for a trial Mini Program',
  },
  {
    kind: 'component.notify_third_fastverifybetaapp',
    name: 'notify_third_fastverifybetaapp',
    subject: 'appid',
    effect: 'none',
    note: 'A trial Mini Program became a regular one',
  },
  {
    kind: 'component.notify_3rd_wxa_auth',
    name: 'notify_3rd_wxa_auth',
    subject: 'appid',
    effect: 'none',
    note: 'Progress of a verification',
  },
  {
    kind: 'component.notify_3rd_wxa_wxverify',
    name: 'notify_3rd_wxa_wxverify',
    subject: 'appid',
    effect: 'signal',
    note: 'A verification is due or ran out; sends may fail from now on',
  },
  {
    kind: 'component.notify_3rd_wxa_auth_and_icp',
    name: 'notify_3rd_wxa_auth_and_icp',
    subject: null,
    effect: 'none',
    note: 'Progress of verification and filing together',
  },
  {
    kind: 'component.notify_icpfiling_verify_result',
    name: 'notify_icpfiling_verify_result',
    subject: 'verify_appid',
    effect: 'none',
    note: 'Result of an identity check for the filing',
  },
  {
    kind: 'component.notify_apply_icpfiling_result',
    name: 'notify_apply_icpfiling_result',
    subject: 'authorizer_appid',
    effect: 'none',
    note: 'Result of the filing (备案)',
  },
  {
    kind: 'component.order_path_apply_result_notify',
    name: 'order_path_apply_result_notify',
    subject: null,
    effect: 'none',
    note: 'Result of setting order pages',
  },
  {
    kind: 'component.order_path_audit_result_notify',
    name: 'order_path_audit_result_notify',
    subject: null,
    effect: 'none',
    note: 'Result of the review of order pages',
  },
] as const satisfies readonly Row[]

/** The component's own, though they come as ordinary events, by `Event`. */
export const COMPONENT_EVENTS = [
  {
    kind: 'component.betaapp_verify_event',
    name: 'betaapp_verify_event',
    subject: null,
    effect: 'none',
    note: 'A trial Mini Program was verified',
  },
  {
    kind: 'component.betaapp_verify_apply_event',
    name: 'betaapp_verify_apply_event',
    subject: null,
    effect: 'none',
    note: "A trial Mini Program's verification was asked for",
  },
] as const satisfies readonly Row[]

export const UNKNOWN_TO_COMPONENT = {
  kind: 'component.unknown',
  name: '(anything else)',
  subject: null,
  effect: 'none',
  secrets: SECRET_NAMES,
  note: 'Recorded without what may be a credential, and logged; changes nothing',
} as const satisfies Row
