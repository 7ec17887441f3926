import { cdata } from '../receiver/xml.ts'

/** Who a document is from and for, and when; `at` in seconds since 1970. */
export interface DocumentHead {
  readonly originalId: string
  readonly openid: string
  readonly at: number
}

/** An element written out: its text in CDATA, unless `bare`. */
interface Element {
  readonly name: string
  readonly text: string
  readonly bare?: boolean
}

export interface PopupItem {
  readonly template_id: string
  readonly status: 'accept' | 'reject'
}

/** Names as in the platform's samples (callbacks.md §7); `CreateTime` and ids are bare numbers. */
function write(head: DocumentHead, type: string, rest: string): string {
  return [
    `<xml><ToUserName>${cdata(head.originalId)}</ToUserName>`,
    `<FromUserName>${cdata(head.openid)}</FromUserName>`,
    `<CreateTime>${head.at}</CreateTime>`,
    `<MsgType>${cdata(type)}</MsgType>`,
    rest,
    '</xml>',
  ].join('\n')
}

function element({ name, text, bare }: Element): string {
  return `<${name}>${bare ? text : cdata(text)}</${name}>`
}

/** An event with fields of its own, in the order given. */
export function writeEvent(head: DocumentHead, event: string, fields: readonly Element[]): string {
  return write(head, 'event', [{ name: 'Event', text: event }, ...fields].map(element).join('\n'))
}

/** A text message a person typed. */
export function writeText(head: DocumentHead, content: string, msgId: string): string {
  const fields = [
    { name: 'Content', text: content },
    { name: 'MsgId', text: msgId, bare: true },
  ]
  return write(head, 'text', fields.map(element).join('\n'))
}

/** One `subscribe_msg_popup_event` with one or many items; `scene` 1 is a web page, 2 an article. */
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

/** Several items are several `List` elements, not one with several items in it. */
function writeLists(
  head: DocumentHead,
  kind: keyof typeof WRAPPERS,
  lists: readonly (readonly Element[])[],
): string {
  const { event, wrapper } = WRAPPERS[kind]
  const items = lists.map((list) => `<List>${list.map(element).join('')}</List>`).join('')
  const name = element({ name: 'Event', text: event })
  return write(head, 'event', `${name}\n<${wrapper}>${items}</${wrapper}>`)
}
