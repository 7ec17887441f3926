/**
 * What the platform takes as the value of a template's field. A field is called after its type:
 * `thing1`, `character_string4`. The rules are those of the page of subscription messages, which
 * template messages share (47003 `argument invalid! data.thing1.value invalid`). Where the page is
 * not exact, we take more than the platform may: a wrong refusal here costs a message.
 *
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/sendMessage.html
 */
interface FieldType {
  /** Behind “must be”. */
  readonly rule: string
  readonly fits: (value: string) => boolean
}

const HAN = /\p{Script=Han}/u

/** Digits, their separators, and the words of a date; at least one digit. */
const TIMES = /^(?=.*\d)[\d\s年月日号时点分秒:：/.\-~～—至T]{1,64}$/u

/** What in a time or date cannot be what it is called: the number, and the most that it may be. */
const PARTS = [
  { part: /(\d+)[:：时点]\d*/gu, least: 0, most: 24 },
  { part: /(?<=\d[:：时点])(\d+)(?![\d年])/gu, least: 0, most: 59 },
  { part: /(\d+)月/gu, least: 1, most: 12 },
  { part: /(\d+)[日号]/gu, least: 1, most: 31 },
  { part: /\d{4}[-/.](\d{1,2})(?=[-/.]\d)/gu, least: 1, most: 12 },
  { part: /\d{4}[-/.]\d{1,2}[-/.](\d{1,2})/gu, least: 1, most: 31 },
] as const

/**
 * Not taken since 2023-05.
 *
 * @see https://developers.weixin.qq.com/doc/service/api/notify/template/api_sendtemplatemessage.html
 */
const BREAKS = /[\p{Cc}\p{Zl}\p{Zp}]/u

export const FIELD_TYPES = {
  thing: { rule: 'at most 20 characters', fits: atMost(20) },
  number: {
    rule: 'a number of at most 32 digits; decimals are allowed',
    fits: (value) => /^[+-]?\d+(\.\d+)?$/.test(value) && digitsOf(value) <= 32,
  },
  letter: { rule: 'at most 32 letters', fits: (value) => /^[A-Za-z]{1,32}$/.test(value) },
  symbol: { rule: 'at most 5 symbols', fits: atMost(5) },
  character_string: {
    rule: 'at most 32 letters, digits or symbols, without Chinese characters',
    fits: (value) => atMost(32)(value) && !HAN.test(value),
  },
  time: {
    rule: 'a time of 24 hours such as 15:01 or 2026年3月1日 15:01; a span has ~ in between',
    fits: isTime,
  },
  date: {
    rule: 'a date such as 2026年3月1日 or 2026-03-01 15:01; a span has ~ in between',
    fits: isTime,
  },
  amount: {
    rule: 'an amount: a currency sign if any, at most 10 digits, decimals, 元 at the end if any',
    fits: isAmount,
  },
  phone_number: {
    rule: 'at most 17 digits and symbols',
    fits: (value) => atMost(17)(value) && !/\p{L}/u.test(value),
  },
  car_number: { rule: 'a number plate of at most 8 characters', fits: atMost(8) },
  name: {
    rule: 'a name of at most 10 characters with Chinese ones in it, of at most 20 without',
    fits: (value) => atMost(HAN.test(value) ? 10 : 20)(value),
  },
  phrase: {
    rule: 'at most 5 Chinese characters',
    fits: (value) => /^\p{Script=Han}{1,5}$/u.test(value),
  },
  enum: { rule: 'one of the values of the template', fits: () => true },
  enum_string: { rule: 'one of the values of the template', fits: () => true },
  const: { rule: 'one of the values of the template', fits: () => true },
} as const satisfies Record<string, FieldType>

export type FieldTypeName = keyof typeof FIELD_TYPES

/**
 * The type in a field's name; null for the fields of old templates (`first`, `keyword1`, `remark`)
 * and for types that we do not know, which take any text.
 */
export function fieldTypeOf(field: string): FieldTypeName | null {
  const type = /^([a-z_]+?)\d+$/.exec(field)?.[1]
  return type !== undefined && Object.hasOwn(FIELD_TYPES, type) ? (type as FieldTypeName) : null
}

/**
 * What is expected of a field's value; null when it fits. The value is not repeated: it may be
 * personal.
 *
 * @param choices the values the platform lists for this field, where it does.
 */
export function valueFault(
  field: string,
  value: string,
  choices?: readonly string[],
): string | null {
  if (value.trim() === '') return 'must not be empty or blank'
  if (choices && choices.length > 0) {
    return choices.includes(value) ? null : `must be one of ${choices.join(', ')}`
  }
  const type = fieldTypeOf(field)
  if (type === null) return null
  if (BREAKS.test(value)) return `must not have line breaks or control characters (type ${type})`
  if (FIELD_TYPES[type].fits(value)) return null
  const has = [...value].length
  return `must be ${FIELD_TYPES[type].rule} (type ${type}); it has ${has} characters`
}

/** By character, however many bytes or UTF-16 units it has. */
function atMost(most: number): (value: string) => boolean {
  return (value) => [...value].length <= most
}

function digitsOf(value: string): number {
  return value.replace(/\D/g, '').length
}

function isTime(value: string): boolean {
  const fits = ({ part, least, most }: (typeof PARTS)[number]) =>
    [...value.matchAll(part)].every(([, n]) => Number(n) >= least && Number(n) <= most)
  return TIMES.test(value) && PARTS.every(fits)
}

function isAmount(value: string): boolean {
  const whole = /^(?:\p{Sc}|[A-Za-z]{1,3})?\s?[+-]?([\d,]+)(?:\.\d+)?\s?\p{L}{0,3}$/u.exec(
    value,
  )?.[1]
  return whole !== undefined && digitsOf(whole) >= 1 && digitsOf(whole) <= 10
}
