import { describe, expect, it } from 'vitest'
import { DEFAULT_SETTINGS, EVENT_SOURCES, type Account } from '../../src/accounts/account.ts'
import { consentChanges } from '../../src/consent/consent-changes.ts'
import { kfMessageChanges } from '../../src/consent/kf-changes.ts'
import { CATALOGUE, KF_CATALOGUE, type CatalogueRow } from '../../src/events/catalogue.ts'
import { readEvent, readReceipt } from '../../src/events/read-event.ts'
import { readKfMessage } from '../../src/events/read-kf-message.ts'
import { verifyPush } from '../../src/receiver/receive-push.ts'
import {
  CONSENT_PUSHES,
  CUSTOMER,
  KF_ITEMS,
  SENT_AT,
  type ConsentPush,
} from '../fixtures/consent-pushes.ts'
import { readJsonFields } from '../support/json-fields.ts'
import { inputFor, KIND_ACCOUNTS, sealFor } from '../support/kind-accounts.ts'
import { tell } from '../support/told-changes.ts'

const AT = new Date(SENT_AT * 1000)
const RECEIVED_AT = new Date(SENT_AT * 1000 + 800)
/** Effects from which no change of consent ever follows. */
const STILL = ['none', 'signal', 'mass_receipt']

/** Who receives the pushes of each source first. */
const RECEIVERS = {
  official_account: KIND_ACCOUNTS.official_account,
  mini_program: KIND_ACCOUNTS.mini_program,
  component: KIND_ACCOUNTS.component,
  wecom: KIND_ACCOUNTS.wecom_app,
  wecom_suite: KIND_ACCOUNTS.wecom_suite,
} as const satisfies Record<ConsentPush['source'], Account>

/** What the receiver makes of a push, sealed and signed as its platform does. */
function read({ source, format, document }: ConsentPush) {
  const receiver: Account = RECEIVERS[source]
  const account = source === 'mini_program' ? { ...receiver, bodyFormat: format } : receiver
  const sealed = sealFor(account, document, account.appId)
  const result = verifyPush({ ...inputFor(account, sealed), now: RECEIVED_AT })
  if (!result.ok) throw new Error(`${result.refusal.reason}: ${result.refusal.detail ?? ''}`)
  return readEvent(result.push)
}

/** The data formats in which the platform writes an event. */
function formatsOf(source: ConsentPush['source'], { name }: CatalogueRow) {
  const isOfArchive = source === 'wecom_suite' && name.startsWith('chat_archive_audit_approved_')
  const hasBoth = source === 'mini_program' || isOfArchive
  return hasBoth ? (['xml', 'json'] as const) : (['xml'] as const)
}

describe('consentChanges of what the platforms send', () => {
  it.each(CONSENT_PUSHES)('$kind of $source in $format: $changes', (push) => {
    const event = read(push)
    expect(event).toMatchObject({
      source: push.source,
      kind: push.kind,
      subject: push.subject,
      tenant: push.tenant ?? null,
      effectiveAt: AT,
    })
    const changes = consentChanges(event, DEFAULT_SETTINGS)
    expect(tell(changes, event)).toEqual(push.changes)
    for (const change of changes) expect(change.effectiveAt).toEqual(AT)
  })

  it('has a push for every row that touches consent, in every format of its source', () => {
    const had = new Set(
      CONSENT_PUSHES.map(({ source, kind, format }) => `${source} ${kind} ${format}`),
    )
    const wanted = EVENT_SOURCES.flatMap((source) =>
      CATALOGUE[source]
        .filter((row) => !STILL.includes(row.effect))
        .flatMap((row) =>
          formatsOf(source, row).map((format) => `${source} ${row.kind} ${format}`),
        ),
    )
    expect(wanted.filter((one) => !had.has(one))).toEqual([])
  })

  it.each(CONSENT_PUSHES.filter(({ kind }) => kind === 'event.subscribe_msg_sent_event'))(
    'finds the receipt in $source $format',
    (push) => {
      expect(readReceipt(read(push))).toMatchObject([
        { msgId: '1864323726461255681', status: 'delivered' },
      ])
    },
  )

  it.each(EVENT_SOURCES.flatMap((source) => CATALOGUE[source].map((row) => ({ source, row }))))(
    'changes nothing at $row.kind of $source when it names nobody',
    ({ source, row }) => {
      const name = row.name.replace('*', 'x')
      const fields = {
        InfoType: name,
        MsgType: row.kind.includes('message.') ? name : 'event',
        Event: name,
        ChangeType: row.changeType ?? '',
        Content: 'TD',
        List: { TemplateId: 'a', SubscribeStatusString: 'accept' },
      }
      const event = readEvent({ source, fields, timestamp: undefined, receivedAt: RECEIVED_AT })
      expect(event.subject).toBeNull()
      expect(consentChanges(event, DEFAULT_SETTINGS)).toEqual([])
    },
  )
})

describe('kfMessageChanges', () => {
  it('is beside a receipt of the message that did not arrive', () => {
    const failed = KF_ITEMS.filter(({ kind }) => kind === 'kf.msg_send_fail').map((item) =>
      readReceipt(
        readKfMessage({ fields: readJsonFields(item.document), receivedAt: RECEIVED_AT }),
      ),
    )
    const msgId = '4Wd7Kq2Zx9Lm5Ra'
    expect(failed.flat()).toEqual(
      [
        ...['unknown (0)', 'account_deleted (1)', 'over_48_hours (4)', 'session_closed (5)'],
        ...['over_five_messages (6)', 'no_channels_account (7)', 'customer (10)', 'unknown (100)'],
      ].map((reason) => {
        return { channel: 'wecom_kf_message', msgId, status: 'not_delivered', reason }
      }),
    )
  })

  it.each(KF_ITEMS)('$kind: $document', ({ kind, document, changes }) => {
    const event = readKfMessage({ fields: readJsonFields(document), receivedAt: RECEIVED_AT })
    expect(event).toMatchObject({
      source: 'wecom',
      kind,
      subject: CUSTOMER,
      tenant: null,
      occurredAt: AT,
      effectiveAt: AT,
      msgId: '4Wd7Kq2Zx9Lm5Rb',
    })
    const told = kfMessageChanges(event, DEFAULT_SETTINGS)
    expect(tell(told, event)).toEqual(changes)
    expect(consentChanges(event, DEFAULT_SETTINGS)).toEqual(told)
  })

  it('has an item for every row that touches consent', () => {
    const had = KF_ITEMS.map(({ kind }) => kind)
    const wanted = KF_CATALOGUE.filter((row) => !STILL.includes(row.effect)).map(({ kind }) => kind)
    expect(had).toEqual(expect.arrayContaining(wanted))
  })

  it.each([
    ['nobody', { external_userid: '' }],
    ['no account', { open_kfid: '' }],
    ['every account', { open_kfid: '*' }],
  ])('changes nothing of %s', (_name, more) => {
    const fields = {
      msgtype: 'text',
      origin: '3',
      open_kfid: 'wk1',
      external_userid: 'wm1',
      ...more,
    }
    const event = readKfMessage({ fields, receivedAt: RECEIVED_AT })
    expect(event.kind).toBe('kf.message')
    expect(kfMessageChanges(event, DEFAULT_SETTINGS)).toEqual([])
  })

  it('takes account and customer from the event where the item has none', () => {
    const inner = {
      event_type: 'msg_send_fail',
      open_kfid: 'wk1',
      external_userid: 'wm1',
      fail_type: '10',
    }
    const fields = { msgtype: 'event', origin: '4', send_time: String(SENT_AT), event: inner }
    const event = readKfMessage({ fields, receivedAt: RECEIVED_AT })
    expect(event.subject).toBe('wm1')
    expect(tell(kfMessageChanges(event, DEFAULT_SETTINGS), event)).toEqual([
      'kf:wk1 revoked :customer',
    ])
  })
})
