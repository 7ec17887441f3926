import { inBoth, SpokenError } from './explain-error.ts'

/** What names the port and the host: settings of the gateway, options of another command. */
const SETTINGS = { port: 'PORT', host: 'HOST' }

/** What to do where a server cannot listen; anything else stays what it is. */
export function explainListen(
  cause: unknown,
  at: { readonly host: string; readonly port: number },
  named: typeof SETTINGS = SETTINGS,
): unknown {
  const code = codeOf(cause)
  if (code === undefined) return cause
  const words = { ...at, port_setting: named.port, host_setting: named.host }
  return new SpokenError(
    code,
    inBoth((say) => say(code, words)),
    { cause },
  )
}

function codeOf(cause: unknown) {
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return 'port_in_use'
    case 'EACCES':
      return 'port_forbidden'
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'address_unknown'
    default:
      return undefined
  }
}
