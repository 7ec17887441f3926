/** Longer than any line with a recipient and their data; a limit, because a line is held whole. */
export const MAX_LINE_BYTES = 16 * 1024

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d

/** A line of a stream, without its end. */
export interface RawLine {
  /** From 1. */
  readonly number: number
  /** As far as it was kept. */
  readonly bytes: Buffer
  readonly isTooLong: boolean
}

/**
 * The lines of a stream of bytes, each as soon as it is complete; the last one needs no line end.
 * Bounded: of a line that is too long only the beginning is kept.
 *
 * @param limitOf how many bytes the line with this number may have.
 */
export async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  limitOf: (number: number) => number,
): AsyncGenerator<RawLine, void> {
  let number = 1
  let kept: Buffer[] = []
  let length = 0

  function keep(part: Buffer): void {
    const room = limitOf(number) + 1 - length
    if (room > 0 && part.length > 0) kept.push(part.length > room ? part.subarray(0, room) : part)
    length += part.length
  }

  function take(): RawLine {
    const bytes = kept.length === 1 && kept[0] ? kept[0] : Buffer.concat(kept)
    const isTooLong = length > limitOf(number)
    const line = { number, bytes: isTooLong ? bytes : withoutReturn(bytes), isTooLong }
    number += 1
    kept = []
    length = 0
    return line
  }

  for await (const chunk of chunks) {
    let from = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from)
      if (end < 0) break
      keep(chunk.subarray(from, end))
      yield take()
      from = end + 1
    }
    keep(chunk.subarray(from))
  }
  if (length > 0) yield take()
}

function withoutReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes
}

/** Whether there is nothing but white space on a line; such lines are passed over. */
export function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09)
}
