import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { useRoad, type Road, type RoadAccount } from '../support/road.ts'
import { agree, createSender } from '../support/send-road.ts'
import { runWcg } from '../support/run-wcg.ts'

/*
 * The incident that this product was asked for after: production, test and an old script shared one
 * AppID. Each fetched classic tokens for itself; each new token retired the others' after five
 * minutes, until the day's 2,000 were used up and nobody could send.
 */
describe('three environments that share one AppID', () => {
  const road = useRoad({
    processes: 2,
    accounts: [{ settings: { token_kind: 'stable' } }, { settings: { token_kind: 'classic' } }],
    sandbox: { platform: { limits: { '/cgi-bin/token': { perDay: 40 } } } },
  })

  /** Another environment: a token of its own for every send, as the script did. */
  async function otherEnvironment({ appId, secret }: RoadAccount): Promise<number> {
    const query = `grant_type=client_credential&appid=${appId}&secret=${secret}`
    const answer = await fetch(`${road().sandboxUrl}/cgi-bin/token?${query}`)
    const body = z.object({ errcode: z.int().optional() }).parse(await answer.json())
    return body.errcode ?? 0
  }

  it('do not concern a gateway with a stable token, even when the classic day is used up', async () => {
    const account = accountAt(0)
    const send = await sendWith(road(), account)
    await send()
    const answers: number[] = []
    for (let n = 0; n < 25; n += 1) {
      answers.push(await otherEnvironment(account), await otherEnvironment(account))
    }
    expect(answers.filter((code) => code === 45009)).toHaveLength(10)
    road().sandbox.advance(301)
    await send()
    await send()
    const counts = road().sandbox.report().accounts[account.appId]
    expect(counts).toMatchObject({ 'token:stable': 1, 'token:classic': 40 })
    expect(await check(account)).toMatchObject({ early_deaths: [] })
  })

  it('are named to the operator of a gateway with a classic token, which sends on', async () => {
    const account = accountAt(1)
    const send = await sendWith(road(), account)
    await send()
    await otherEnvironment(account)
    await otherEnvironment(account)
    road().sandbox.advance(301)
    await send()

    expect(await check(account)).toMatchObject({ early_deaths: [{ cause: 'classic_elsewhere' }] })
    const spoken = await runWcg(road().database.url, ['account', 'check', account.name])
    expect(spoken.err).toContain('another system fetches tokens at /cgi-bin/token')
    expect(spoken.err).toContain(`wcg account set ${account.name} --token-kind stable`)
    const chinese = await runWcg(road().database.url, ['doctor', '--lang', 'zh'])
    expect(chinese.out).toContain('可能有其他系统用同一 AppSecret 调用 /cgi-bin/token')
    const lines = road().gateways.flatMap((gateway) => gateway.lines)
    const deaths = lines.filter((line) => line.includes('"token.died_early"'))
    expect(deaths).toHaveLength(1)
    expect(deaths[0]).toContain(account.name)
  })

  function accountAt(index: number): RoadAccount {
    const account = road().accounts[index]
    if (!account) throw new Error('there is no such account')
    return account
  }

  async function check({ name }: RoadAccount): Promise<unknown> {
    const { out } = await runWcg(road().database.url, ['account', 'check', name, '--json'])
    return JSON.parse(out)
  }
})

/** Messages, each until it has arrived; the people agree now, because clocks will be moved. */
async function sendWith(road: Road, account: RoadAccount) {
  const urls = () => road.gateways.map(({ url }) => url)
  const sender = createSender({ urls, key: road.key, account: account.name })
  const people = [1, 2, 3].map(() => account.platform.newOpenid())
  for (const person of people) await agree(account.platform, person, 'template_message')
  return async () => {
    const id = await sender.ask({ to: people.pop() ?? '', channel: 'template_message' })
    await sender.ended(id, ['sent', 'delivered'])
  }
}
