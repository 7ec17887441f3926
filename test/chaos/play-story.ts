import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { sleep } from '../../src/foundation/clock.ts'
import type { ActResult } from '../../src/sandbox/perform-act.ts'
import { NOTICE, nextSecond, SUBSCRIPTION, type RoadChannel } from '../support/send-road.ts'
import type { OptOutWay, PlannedAsk, Story } from './chaos-plan.ts'
import type { ChaosAccount, Ground } from './ground.ts'

/** A message that was asked for, as the application remembers it. */
export interface Asked {
  readonly id: string
  /** In the content of this message and of no other. */
  readonly tag: string
  readonly account: ChaosAccount
  readonly person: string
  readonly channel: RoadChannel
  readonly askedMs: number
}

/** A no, and while it was known and held; `Infinity` when nobody acknowledged it, or it holds. */
export interface Refusal {
  readonly account: ChaosAccount
  readonly person: string
  readonly way: OptOutWay
  readonly fromMs: number
  readonly untilMs: number
}

/** What happened in a run, as those saw it who are not the gateway. */
export interface Happenings {
  readonly asked: Asked[]
  readonly refusals: Refusal[]
  /** Requests that answered another id than the same request before. */
  readonly splitKeys: string[]
}

/** One person's part in the run. */
interface Scene {
  readonly ground: Ground
  readonly account: ChaosAccount
  readonly person: string
  readonly happenings: Happenings
  /** Resolves when there is room for one more message. */
  readonly room: () => Promise<void>
}

const acceptedSchema = z.object({ id: z.string() })

/** Plays one story to its end; the messages may still be under way then. */
export async function playStory(
  stage: Pick<Scene, 'ground' | 'happenings' | 'room'>,
  story: Story,
): Promise<void> {
  const account = stage.ground.accounts[story.account]
  if (!account) throw new Error(`there is no account ${story.account}`)
  const scene = { ...stage, account, person: account.people.newOpenid() }
  await agreeToAll(scene, story.credits)
  await askAll(scene, story.before)
  if (!story.optOut) return
  const { way, atMs, around, after, returns } = story.optOut
  const [fromMs] = await Promise.all([
    sleep(atMs).then(() => sayNo(scene, way)),
    askAll(scene, around),
  ])
  const held = { account, person: scene.person, way, fromMs }
  if (!returns) stage.happenings.refusals.push({ ...held, untilMs: Infinity })
  await askAll(scene, after)
  if (!returns) return
  // the platform's clock is whole, and in one second the refusal wins
  await nextSecond()
  stage.happenings.refusals.push({ ...held, untilMs: performance.now() })
  await agreeToAll(scene, 1)
  await askAll(scene, returns)
}

/** Every channel is open afterwards. */
async function agreeToAll({ account: { people }, person }: Scene, credits: number): Promise<void> {
  await people.follow(person)
  await people.say(person, '你好')
  const accept = (popupScene: string) => people.accept(person, [SUBSCRIPTION], { popupScene })
  // one popup is one credit; the same popup twice in a second would be a repeat
  for (let scene = 1; scene <= credits; scene += 1) await accept(String(scene))
}

/** Says no. @returns when that was acknowledged; Infinity when it was not. */
async function sayNo(scene: Scene, way: OptOutWay): Promise<number> {
  const { account, person } = scene
  const { people } = account
  const push = async (act: Promise<ActResult>) => (await act)?.acknowledged_ms ?? Infinity
  switch (way) {
    case 'unfollow':
      return push(people.unfollow(person))
    case 'block':
      return push(people.block(person))
    case 'switch_off':
      return push(people.switchOff(person, SUBSCRIPTION))
    case 'reject_popup':
      return push(people.reject(person, [SUBSCRIPTION]))
    case 'refuse_notice':
      return push(people.reject(person, [NOTICE]))
    case 'keyword':
      return push(people.say(person, ' 退订 '))
    case 'revoke_authorization':
      return push(people.revokeAuthorization(person))
    case 'api_everything':
      return optOut(scene, 'everything')
    case 'api_follow':
      return optOut(scene, 'follow')
    case 'api_template':
      return optOut(scene, `template:${SUBSCRIPTION}`)
    case 'api_conversation':
      await optOut(scene, 'conversation:action')
      return optOut(scene, 'conversation')
  }
}

async function optOut({ ground, account, person }: Scene, scope: string): Promise<number> {
  const path = `/v1/accounts/${account.name}/consents/${person}/opt-out`
  const answer = await ground.ask(path, { body: { scope, reason: 'chaos' } })
  if (answer.status !== 200) throw new Error(`an opt-out was answered ${answer.status}`)
  return answer.arrivedMs
}

async function askAll(scene: Scene, asks: readonly PlannedAsk[]): Promise<void> {
  await Promise.all(
    asks.map(async (ask) => {
      await sleep(ask.atMs)
      await scene.room()
      await askFor(scene, ask)
    }),
  )
}

async function askFor(scene: Scene, ask: PlannedAsk): Promise<void> {
  const { ground, account, person, happenings } = scene
  const tag = randomUUID().slice(0, 18)
  const { channel, priority } = ask
  const content = contentOf(channel, tag)
  const body = { account: account.name, to: person, channel, priority, content }
  const askedMs = performance.now()
  const answers = await Promise.all(
    Array.from({ length: ask.copies }, () => ground.ask('/v1/messages', { body, key: tag })),
  )
  const ids = answers.map((answer) => {
    if (answer.status !== 202) throw new Error(`a message was answered ${answer.status}`)
    return acceptedSchema.parse(answer.body).id
  })
  const [id = ''] = ids
  happenings.splitKeys.push(...ids.filter((other) => other !== id))
  happenings.asked.push({ id, tag, account, person, channel, askedMs })
  if (ask.cancels) await ground.ask(`/v1/messages/${id}/cancel`, { body: {} })
}

function contentOf(channel: RoadChannel, tag: string): Record<string, unknown> {
  const data = { character_string1: { value: tag } }
  switch (channel) {
    case 'template_message':
      return { template_id: NOTICE, data }
    case 'subscription_message':
      return { template_id: SUBSCRIPTION, data }
    case 'customer_service_message':
      return { msgtype: 'text', text: { content: tag } }
  }
}

/** The tag that `contentOf` put into a message, as its person has received it. */
export function tagIn(content: Readonly<Record<string, unknown>>): string {
  const { data, text } = content as {
    readonly data?: { readonly character_string1?: { readonly value?: string } }
    readonly text?: { readonly content?: string }
  }
  return data?.character_string1?.value ?? text?.content ?? ''
}
