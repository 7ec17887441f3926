import { describe, expect, it } from 'vitest'
import type { CallbackMode } from '../../src/accounts/account.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { documentOf, newOpenid } from '../support/push-documents.ts'
import { newAesKey, useRoad, type RoadAccount } from '../support/road.ts'
import { postPush, signPush, type PushChanges, type SignedPush } from '../support/sign-push.ts'

const road = useRoad({
  accounts: [{ mode: 'safe' }, { mode: 'compatible' }, { mode: 'plain' }, { mode: 'safe' }],
})

function accountIn(mode: CallbackMode): RoadAccount {
  return road().accounts[{ safe: 0, compatible: 1, plain: 2 }[mode]]!
}
const otherAccount = () => road().accounts[3]!

function documentFor(account: RoadAccount): string {
  const at = Math.floor(Date.now() / 1000)
  const head = { originalId: account.originalId, openid: newOpenid(), at }
  return documentOf(head, { kind: 'subscribe', key: '' })
}

type Query = SignedPush['query']

const without =
  (...names: string[]) =>
  (query: Query): Query =>
    query.filter(([name]) => !names.includes(name))
const valueOf = (query: Query, wanted: string) => query.find(([name]) => name === wanted)?.[1] ?? ''
const set =
  (name: string, value: string) =>
  (query: Query): Query => [...without(name)(query), [name, value]]

/** A right push for an account, with one thing broken. */
type Break = (account: RoadAccount) => SignedPush

/** A right push of the account's own mode, or another one, whose query is then changed. */
function broken(
  change: (query: Query, account: RoadAccount) => Query,
  changes: PushChanges = {},
): Break {
  return (account) => {
    const push = signPush(account, documentFor(account), changes)
    return { ...push, query: change(push.query, account) }
  }
}

/** Signed and sealed as if the account had something of the other one. */
function borrowed(
  parts: (other: RoadAccount) => Partial<RoadAccount>,
  changes: PushChanges = {},
): Break {
  return (account) =>
    signPush({ ...account, ...parts(otherAccount()) }, documentFor(account), changes)
}

const same = (query: Query): Query => query
const longAgo = () => String(Math.floor(Date.now() / 1000) - 3_600)
const replay: Break = () => signPush(otherAccount(), documentFor(otherAccount()))

/** What is refused in both modes that encrypt; `mode` shapes the body of a right push. */
function sealedCases(mode: 'safe' | 'compatible'): [string, string, Break][] {
  const twice =
    (name: string) =>
    (query: Query): Query => [...query, [name, valueOf(query, name)]]
  return [
    [
      'has no signature at all',
      'not_encrypted',
      broken(without('signature', 'msg_signature'), { mode }),
    ],
    ['has no encrypt_type', 'not_encrypted', broken(without('encrypt_type'), { mode })],
    ['says encrypt_type=raw', 'not_encrypted', broken(set('encrypt_type', 'raw'), { mode })],
    [
      'has signature instead of msg_signature',
      'not_encrypted',
      broken(without('msg_signature'), { mode }),
    ],
    [
      'has the value of signature in msg_signature',
      'bad_signature',
      broken((query) => set('msg_signature', valueOf(query, 'signature'))(query), { mode }),
    ],
    ['is a plain push with a right signature', 'not_encrypted', broken(same, { mode: 'plain' })],
    [
      'is a plain body under the query of an encrypted one',
      'missing_encrypt',
      (account) => {
        const { query } = signPush(account, documentFor(account), { mode })
        return { query, body: documentFor(account) }
      },
    ],
    [
      'has another Encrypt than was signed',
      'bad_signature',
      (account) => {
        const { query } = signPush(account, documentFor(account), { mode })
        return { query, body: signPush(account, documentFor(account), { mode }).body }
      },
    ],
    [
      'is sealed with the key of another account',
      'not_decryptable',
      borrowed(({ aesKey }) => ({ aesKey }), { mode }),
    ],
    [
      'names another receive id',
      'wrong_receive_id',
      borrowed(({ appId }) => ({ appId }), { mode }),
    ],
    [
      'names another ToUserName',
      'wrong_to_user_name',
      (account) => signPush(account, documentFor(otherAccount()), { mode }),
    ],
    [
      'is signed with the Token of another account',
      'bad_signature',
      borrowed(({ token }) => ({ token }), { mode }),
    ],
    ['is the push of another account', 'bad_signature', replay],
    [
      'is an hour old',
      'stale',
      (account) => signPush(account, documentFor(account), { mode, timestamp: longAgo() }),
    ],
    [
      'has its timestamp made younger',
      'bad_signature',
      broken(set('timestamp', String(Math.floor(Date.now() / 1000))), {
        mode,
        timestamp: longAgo(),
      }),
    ],
    ...['msg_signature', 'timestamp', 'nonce', 'encrypt_type'].map(
      (name): [string, string, Break] => [
        `has ${name} twice`,
        'duplicated_parameter',
        broken(twice(name), { mode }),
      ],
    ),
  ]
}

const CASES: readonly [CallbackMode, string, string, Break][] = [
  ...(['safe', 'compatible'] as const).flatMap((mode) =>
    sealedCases(mode).map((row): [CallbackMode, string, string, Break] => [mode, ...row]),
  ),
  [
    'plain',
    'has no signature',
    'missing_parameter',
    broken(without('signature'), { mode: 'plain' }),
  ],
  [
    'plain',
    'has a wrong signature',
    'bad_signature',
    borrowed(({ token }) => ({ token }), { mode: 'plain' }),
  ],
  ['plain', 'is encrypted', 'unexpected_encryption', broken(same)],
  [
    'plain',
    'is encrypted in compatible mode',
    'unexpected_encryption',
    broken(same, { mode: 'compatible' }),
  ],
  [
    'plain',
    'is an hour old',
    'stale',
    (account) => signPush(account, documentFor(account), { mode: 'plain', timestamp: longAgo() }),
  ],
  [
    'plain',
    'is meant for another account',
    'wrong_to_user_name',
    (account) => signPush(account, documentFor(otherAccount()), { mode: 'plain' }),
  ],
  [
    'plain',
    'has timestamp twice',
    'duplicated_parameter',
    broken((query) => [...query, ['timestamp', '1']], { mode: 'plain' }),
  ],
]

async function countEvents(): Promise<number> {
  const [row] = await road().database.db('event').count()
  return Number(row?.['count'])
}

function refusalLines(gateway: GatewayProcess, account: RoadAccount, reason: string): number {
  return gateway.lines.filter((line) =>
    [`"push.refused"`, `"account":"${account.name}"`, `"reason":"${reason}"`].every((part) =>
      line.includes(part),
    ),
  ).length
}

async function refusalCount(gateway: GatewayProcess, account: RoadAccount, reason: string) {
  const text = await (await fetch(`${gateway.url}/metrics`)).text()
  const sample = `wcg_push_refusals_total{account="${account.name}",reason="${reason}"} `
  const line = text.split('\n').find((one) => one.startsWith(sample))
  return Number(line?.slice(sample.length) ?? 0)
}

describe('p10 mode-is-ours', { timeout: 60_000 }, () => {
  it.each(['safe', 'compatible', 'plain'] as const)(
    'takes a right push in %s mode',
    async (mode) => {
      const account = accountIn(mode)
      const answer = await road().push(documentFor(account), { account, mode })
      expect(answer).toMatchObject({ status: 200, text: 'success' })
    },
  )

  it.each(CASES)('refuses, in %s mode, a push that %s: %s', async (mode, _, reason, breakPush) => {
    const gateway = road().gateways[0]!
    const account = accountIn(mode)
    const [events, lines, counted] = [
      await countEvents(),
      refusalLines(gateway, account, reason),
      await refusalCount(gateway, account, reason),
    ]
    const answer = await postPush(road().callbackUrl(gateway, account), breakPush(account))
    expect(answer).toMatchObject({ status: 403, text: '' })
    expect(await countEvents()).toBe(events)
    const logged = () => refusalLines(gateway, account, reason)
    await expect.poll(logged, { timeout: 10_000 }).toBe(lines + 1)
    expect(await refusalCount(gateway, account, reason)).toBe(counted + 1)
  })

  it('believes only what is sealed, never its plain twin beside it', async () => {
    const account = accountIn('compatible')
    const [sealed, forged] = [documentFor(account), documentFor(account)]
    const push = signPush(account, sealed, { mode: 'compatible' })
    const encrypt = /<Encrypt>.*<\/Encrypt>/s.exec(push.body)?.[0] ?? ''
    const body = forged.replace('</xml>', () => `${encrypt}</xml>`)
    const answer = await postPush(road().callbackUrl(undefined, account), { ...push, body })
    expect(answer).toMatchObject({ status: 200, text: 'success' })
    const documents = await road().database.db('event').whereIn('document', [sealed, forged])
    expect(documents.map(({ document }) => document as string)).toEqual([sealed])
  })

  it('says nothing secret or personal about what it refused', () => {
    const refusals = road().gateways[0]!.lines.filter((line) => line.includes('"push.refused"'))
    expect(refusals.length).toBeGreaterThan(CASES.length / 2)
    for (const { token, aesKey, secret, appId } of road().accounts) {
      for (const hidden of [token, aesKey, secret, appId]) {
        expect(refusals.filter((line) => line.includes(hidden))).toEqual([])
      }
    }
    expect(refusals.filter((line) => /o[\w-]{27}/.test(line))).toEqual([])
  })
})

describe('p10 mode-is-ours, when an operator changes the account', { timeout: 60_000 }, () => {
  const changing = useRoad({ processes: 2 })

  /** Waits until every process answers a push signed and sealed so with this status. */
  async function answers(status: number, side: Partial<RoadAccount>, mode: CallbackMode) {
    const account = { ...changing().account, ...side }
    for (const gateway of changing().gateways) {
      const pushed = async () => {
        const url = changing().callbackUrl(gateway, account)
        return (await postPush(url, signPush(account, documentFor(account), { mode }))).status
      }
      await expect.poll(pushed, { timeout: 15_000 }).toBe(status)
    }
  }

  it('takes pushes in the new mode, and only in it, within seconds and in every process', async () => {
    const { name } = changing().account
    await answers(200, {}, 'safe')
    await changing().store.setMode(name, 'plain')
    await answers(200, {}, 'plain')
    await answers(403, {}, 'safe')
    await changing().store.setMode(name, 'safe')
    await answers(403, {}, 'plain')
    await answers(200, {}, 'safe')
  })

  it('takes the previous key after a rotation, and no longer once it is dropped', async () => {
    const { name } = changing().account
    const next = { token: 'rotatedToken1', aesKey: newAesKey() }
    await changing().store.rotate(name, { ...next, secret: undefined })
    await answers(200, next, 'safe')
    await answers(200, {}, 'safe')
    await changing().store.dropPrevious(name)
    await answers(403, {}, 'safe')
    await answers(200, next, 'safe')
  })

  it('takes nothing for an account that is switched off', async () => {
    const { name } = changing().account
    const now = { token: 'rotatedToken2', aesKey: newAesKey() }
    await changing().store.rotate(name, { ...now, secret: undefined })
    await answers(200, now, 'safe')
    await changing().store.disable(name)
    await answers(403, now, 'safe')
  })
})
