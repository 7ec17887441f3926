import { z } from 'zod'
import { InvalidInputError } from '../foundation/errors.ts'
import { sleep } from '../foundation/clock.ts'
import { COMPONENT_ACTS } from './component-acts.ts'
import { accountPlace, type Component } from './components.ts'
import { writeEvent, writeText, type DocumentHead } from './documents.ts'
import { openWindow } from './followers.ts'
import { readInput } from './inputs.ts'
import { unixSeconds } from './movable-clock.ts'
import { documentHead } from './perform-act.ts'
import { performPlatformAct } from './platform-act.ts'
import type { Pusher } from './pushes.ts'
import { openReply, readElement } from './raw-envelope.ts'
import type { PushRecord } from './record.ts'
import {
  getAccount,
  makeOpenid,
  meetFollower,
  putAccount,
  type Account,
  type World,
} from './world.ts'

/** The two authorizers that the platform's check uses (callbacks.md §2.3). */
const CHECKERS = {
  official_account: { app_id: 'wx570bc396a51b8ff8', original_id: 'gh_0c0ffee0c0ff' },
  mini_program: { app_id: 'wxd101a85aa106f53e', original_id: 'gh_0decade0deca' },
} as const

const TEXT = 'TESTCOMPONENT_MSG_TYPE_TEXT'
const POLL_MS = 10

const checkSchema = z.strictObject({
  kind: z.enum(['official_account', 'mini_program']).default('official_account'),
  /** How long the customer-service message may take, in real milliseconds. */
  wait_ms: z.int().min(1).max(600_000).default(5000),
})

/** What the check is asked with. */
export type ReleaseCheckInput = z.input<typeof checkSchema>

/** One expectation of the check. */
export interface Expectation {
  readonly passed: boolean
  readonly expected: string
  /** What came instead; null when nothing did. */
  readonly got: string | null
}

export interface ReleaseCheck {
  readonly passed: boolean
  readonly text_reply: Expectation
  readonly api_reply: Expectation
  readonly event_reply: Expectation
}

interface Stage {
  readonly world: World
  readonly pusher: Pusher
  readonly component: Component
  readonly account: Account
  readonly openid: string
}

/**
 * Runs the platform's check before a release (全网发布检测, callbacks.md §2.3): a ticket, then a text
 * that must be answered with a passive reply, a text with a code that must be exchanged and answered
 * through the API, and the older event.
 *
 * @throws InvalidInputError when the component has no message URL.
 */
export async function runReleaseCheck(
  world: World,
  pusher: Pusher,
  request: { readonly component: Component; readonly input: unknown },
): Promise<ReleaseCheck> {
  const { component } = request
  const { kind, wait_ms } = readInput(checkSchema, request.input ?? {})
  if (!component.config.message_url) {
    const rule = 'expected a message URL: the check sends its messages there'
    throw new InvalidInputError('invalid_sandbox_input', [{ field: 'message_url', rule }])
  }
  const stage = makeStage({ world, pusher, component }, kind)
  const act = { details: {}, silent: false }
  const own = { world, pusher, owner: component }
  await performPlatformAct(own, COMPONENT_ACTS.push_ticket, act)

  const text_reply = await checkText(stage)
  const api_reply = await checkApi(stage, wait_ms)
  const event_reply = await checkEvent(stage)
  const all = [text_reply, api_reply, event_reply]
  return { passed: all.every(({ passed }) => passed), text_reply, api_reply, event_reply }
}

function makeStage(
  parts: Pick<Stage, 'world' | 'pusher' | 'component'>,
  kind: keyof typeof CHECKERS,
): Stage {
  const { world, component } = parts
  const { app_id, original_id } = CHECKERS[kind]
  if (world.accounts.get(app_id)?.config.component_app_id !== component.config.app_id) {
    putAccount(world, { app_id, original_id, kind, component_app_id: component.config.app_id })
  }
  const account = getAccount(world, app_id)
  const openid = makeOpenid(world)
  const follower = meetFollower(account, openid)
  follower.follows = true
  openWindow(follower, 'message', world.clock.now().getTime())
  return { ...parts, account, openid }
}

async function checkText(stage: Stage): Promise<Expectation> {
  grantAgain(stage)
  const document = writeText(head(stage), TEXT, stage.world.random.nextMessageId())
  return judge(`${TEXT}_callback`, readReply(stage, await push(stage, 'text', document)))
}

async function checkEvent(stage: Stage): Promise<Expectation> {
  const fields = [{ name: 'EventKey', text: '' }]
  const document = writeEvent(head(stage), 'LOCATION', fields)
  const answered = await push(stage, 'LOCATION', document)
  return judge('LOCATIONfrom_callback', readReply(stage, answered))
}

/** The code is good for one exchange; the token it brings sends the answer. */
async function checkApi(stage: Stage, waitMs: number): Promise<Expectation> {
  const { world, openid, account } = stage
  const code = grantAgain(stage)
  const expected = `${code}_from_api`
  const document = writeText(head(stage), `QUERY_AUTH_CODE:${code}`, world.random.nextMessageId())
  const answered = await push(stage, 'text', document)
  const answer = answered.tries.at(-1)?.answer ?? null
  if (answer !== '' && answer !== 'success') return { passed: false, expected, got: answer }
  const until = world.clock.monotonicMs() + waitMs
  const find = () =>
    world.record.messages
      .list()
      .filter((message) => message.app_id === account.config.app_id && message.openid === openid)
      .map(({ content }) => JSON.stringify(content))
  while (!find().some((text) => text.includes(expected)) && world.clock.monotonicMs() < until) {
    await sleep(POLL_MS)
  }
  const got = find().find((text) => text.includes(expected))
  return { passed: got !== undefined, expected, got: got ?? find().at(-1) ?? null }
}

/** The checking account authorises once more: what the code is worth depends on nothing before. */
function grantAgain({ world, component, account }: Stage): string {
  const details = { app_id: account.config.app_id }
  const scene = { world, owner: component, now: world.clock.now() }
  return COMPONENT_ACTS.authorize(scene, details).made?.auth_code ?? ''
}

function push(stage: Stage, event: string, document: string): Promise<PushRecord> {
  const { world, pusher, account, openid } = stage
  const place = () => accountPlace(world, account)
  return pusher.push({ place, event, openid, document, readsReply: true })
}

function readReply({ component }: Stage, answered: PushRecord): string | null {
  const answer = answered.tries.at(-1)?.answer ?? null
  if (answer === null || !answer.startsWith('<xml>')) return answer
  const { token, app_id } = component.config
  const document = openReply(answer, { token, key: component.key, receiveId: app_id })
  return document === undefined
    ? 'a reply whose signature or envelope is wrong'
    : (readElement(document, 'Content') ?? document)
}

function judge(expected: string, got: string | null): Expectation {
  return { passed: got === expected, expected, got }
}

function head(stage: Stage): DocumentHead {
  const { world, account, openid } = stage
  return documentHead(world, account, { openid, at: unixSeconds(world.clock.now()) })
}
