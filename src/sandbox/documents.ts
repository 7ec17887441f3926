import {
  writeJson,
  writeXml,
  type DocumentFormat,
  type Element,
  type Node,
} from './document-writer.ts'

/**
 * How JSON documents hold the items of a subscription event (callbacks.md §6.2): in `List`, which is
 * an object when there is one and an array when there are several; in `List`, always an array; or in
 * the older, documented wrapper.
 */
export type JsonLists = 'object_when_one' | 'always_array' | 'wrapped'

/** Who a document is from and for, and when; `at` in seconds since 1970. XML where not said. */
export interface DocumentHead {
  readonly originalId: string
  readonly openid: string
  readonly at: number
  readonly format?: DocumentFormat
  readonly jsonLists?: JsonLists
}

export interface PopupItem {
  readonly template_id: string
  readonly status: 'accept' | 'reject'
}

/** Names as in the platform's samples (callbacks.md §7); `CreateTime` and ids are bare numbers. */
function headFields(head: DocumentHead, type: string): Element[] {
  return [
    { name: 'ToUserName', text: head.originalId },
    { name: 'FromUserName', text: head.openid },
    { name: 'CreateTime', text: String(head.at), bare: true },
    { name: 'MsgType', text: type },
  ]
}

function write(head: DocumentHead, type: string, rest: readonly Node[]): string {
  const fields = [...headFields(head, type), ...rest]
  return head.format === 'json' ? writeJson(fields) : writeXml(fields)
}

/** An event with fields of its own, in the order given. */
export function writeEvent(head: DocumentHead, event: string, fields: readonly Element[]): string {
  return write(head, 'event', [{ name: 'Event', text: event }, ...fields])
}

/** A text message a person typed. */
export function writeText(head: DocumentHead, content: string, msgId: string): string {
  return write(head, 'text', [
    { name: 'Content', text: content },
    { name: 'MsgId', text: msgId, bare: true },
  ])
}

/** One `subscribe_msg_popup_event`; `scene` 0 is a Mini Program, 1 a web page, 2 an article. */
export function writePopup(head: DocumentHead, items: readonly PopupItem[], scene: string): string {
  const lists = items.map((item) => [
    { name: 'TemplateId', text: item.template_id },
    { name: 'SubscribeStatusString', text: item.status },
    { name: 'PopupScene', text: scene, bare: true },
  ])
  return writeLists(head, 'popup', lists)
}

/** The person switched one subscription message off in the settings. */
export function writeChange(head: DocumentHead, templateId: string): string {
  const list = [
    { name: 'TemplateId', text: templateId },
    { name: 'SubscribeStatusString', text: 'reject' },
  ]
  return writeLists(head, 'change', [list])
}

/** What became of a subscription message. */
export function writeSent(
  head: DocumentHead,
  result: { templateId: string; msgid: string; errorCode: string; errorStatus: string },
): string {
  const list = [
    { name: 'TemplateId', text: result.templateId },
    { name: 'MsgID', text: result.msgid, bare: true },
    { name: 'ErrorCode', text: result.errorCode, bare: true },
    { name: 'ErrorStatus', text: result.errorStatus },
  ]
  return writeLists(head, 'sent', [list])
}

const WRAPPERS = {
  popup: { event: 'subscribe_msg_popup_event', wrapper: 'SubscribeMsgPopupEvent' },
  change: { event: 'subscribe_msg_change_event', wrapper: 'SubscribeMsgChangeEvent' },
  sent: { event: 'subscribe_msg_sent_event', wrapper: 'SubscribeMsgSentEvent' },
} as const

function writeLists(
  head: DocumentHead,
  kind: keyof typeof WRAPPERS,
  lists: readonly (readonly Element[])[],
): string {
  const { event, wrapper } = WRAPPERS[kind]
  const name = { name: 'Event', text: event }
  if (head.format !== 'json') {
    // Several items are several `List` elements, not one with several items in it.
    const fields = lists.map((list) => ({ name: 'List', fields: list }))
    return write(head, 'event', [name, { name: wrapper, fields }])
  }
  const list: Node = { name: 'List', text: writeJsonList(lists, head.jsonLists), bare: true }
  const wrapped = { name: wrapper, fields: [list] }
  return write(head, 'event', [name, head.jsonLists === 'wrapped' ? wrapped : list])
}

/** In JSON the fields of an item are texts all, ids too. */
function writeJsonList(
  lists: readonly (readonly Element[])[],
  how: JsonLists = 'object_when_one',
): string {
  const items = lists.map((list) => writeJson(list.map(({ name, text }) => ({ name, text }))))
  return items.length === 1 && how !== 'always_array' ? (items[0] ?? '{}') : `[${items.join(',')}]`
}
