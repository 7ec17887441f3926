import { BlockList, isIP } from 'node:net'

/*
 * An address that somebody else chose must not lead into our own network: to the metadata service of
 * a cloud, to an unprotected administration page, to ourselves.
 */

/**
 * Which addresses beside the public ones may be delivered to.
 *
 * - `refuse`: none.
 * - `loopback`: this machine, for development.
 * - `allow`: private networks and this machine; never link-local ones, where clouds keep credentials.
 */
export const PRIVATE_ADDRESSES = ['refuse', 'loopback', 'allow'] as const
export type PrivateAddresses = (typeof PRIVATE_ADDRESSES)[number]

type AddressClass = 'public' | 'loopback' | 'private' | 'forbidden'

const LOOPBACK = listOf(['127.0.0.0/8', '::1/128'])

/** RFC 1918, RFC 6598, RFC 4193. */
const PRIVATE = listOf([
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  'fc00::/7',
])

/**
 * The rest of IANA's special-purpose registries: nothing that an application listens on. Alibaba
 * Cloud and Amazon keep metadata at private addresses of their own, beside 169.254.169.254.
 * https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry
 */
const FORBIDDEN = listOf([
  '100.100.100.200/32',
  'fd00:ec2::254/128',
  ...['0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/23', '2001:db8::/32'],
  ...['2002::/16', '3fff::/20', '5f00::/16', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
])

/** Whether a connection to this address (an IP address as text) may be opened. */
export function mayConnect(address: string, allowed: PrivateAddresses): boolean {
  switch (classOf(address)) {
    case 'public':
      return true
    case 'loopback':
      return allowed !== 'refuse'
    case 'private':
      return allowed === 'allow'
    case 'forbidden':
      return false
  }
}

/** Whether what is sent there may go unencrypted: only where it stays on the machine or in our network. */
export function mayGoUnencrypted(address: string, allowed: PrivateAddresses): boolean {
  return classOf(address) !== 'public' && mayConnect(address, allowed)
}

/** What can be said about an address before its name is looked up; null when nothing is wrong yet. */
export function plainAddressFault(url: URL, allowed: PrivateAddresses): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const address = host === 'localhost' ? '127.0.0.1' : isIP(host) ? host : undefined
  if (address !== undefined && !mayConnect(address, allowed)) {
    return 'must not lead to a private, link-local or reserved address; WCG_PRIVATE_ENDPOINTS decides which are allowed'
  }
  if (url.protocol === 'https:') return null
  const mayBePlain =
    address === undefined ? allowed === 'allow' : mayGoUnencrypted(address, allowed)
  return mayBePlain ? null : 'must be an https address'
}

function classOf(address: string): AddressClass {
  const plain = mappedIpv4(address) ?? address
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4'
  if (isIP(plain) === 0) return 'forbidden'
  if (LOOPBACK.check(plain, family)) return 'loopback'
  if (FORBIDDEN.check(plain, family)) return 'forbidden'
  return PRIVATE.check(plain, family) ? 'private' : 'public'
}

/** The IPv4 address in `::ffff:7f00:1` or `::ffff:127.0.0.1`; undefined for every other address. */
function mappedIpv4(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined
  // the one form in which the parser of addresses writes it
  const [, high, low] = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(hostOf(address)) ?? []
  if (high === undefined || low === undefined) return undefined
  const bytes = Buffer.from(high.padStart(4, '0') + low.padStart(4, '0'), 'hex')
  return [...bytes].join('.')
}

function hostOf(ipv6: string): string {
  const text = `http://[${ipv6}]/`
  return URL.canParse(text) ? new URL(text).hostname : ''
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [network = '', prefix = ''] = range.split('/')
    list.addSubnet(network, Number(prefix), network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}
