/**
 * JSON whose long integers keep every digit.
 *
 * The platform writes message ids as bare 64-bit numbers (3487542469355618313); a JavaScript number
 * rounds them (…618300), and the receipt of that message is then never found. Such integers come
 * back as strings; everything else is as `JSON.parse` has it.
 *
 * @returns `unknown`: parse it further before use.
 * @throws SyntaxError when the text is not JSON.
 */
export function parseJson(text: string): unknown {
  return MAY_HOLD_LONG_INTEGER.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text)
}

/** 2^53 − 1, the last safe integer, has 16 digits; a text without such a run needs no second look. */
const MAY_HOLD_LONG_INTEGER = /\d{16}/

const INTEGER = /^-?\d+$/

function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined) return value
  return INTEGER.test(source) && !Number.isSafeInteger(value) ? source : value
}
