import { z } from 'zod'
import type { GatewayProcess } from './gateway-process.ts'

const lineSchema = z.looseObject({ msg: z.string(), pid: z.int() })
export type LogLine = z.output<typeof lineSchema>

/** The lines of one name that a gateway has written so far, from any of its processes. */
export function linesNamed({ lines }: GatewayProcess, name: string): LogLine[] {
  return lines.flatMap((text) => {
    if (!text.includes(`"${name}"`)) return []
    const line = lineSchema.parse(JSON.parse(text))
    return line.msg === name ? [line] : []
  })
}

/** The processes behind the port of a gateway, in the order of their starts; some may have died. */
export function pidsBehind(gateway: GatewayProcess): number[] {
  return linesNamed(gateway, 'service.started').map(({ pid }) => pid)
}
