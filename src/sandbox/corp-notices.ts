import { InvalidInputError } from '../foundation/errors.ts'
import type { Corp, CorpApp } from './corps.ts'
import { elements, writeXml, type Element } from './document-writer.ts'
import { nowhere } from './kf-notices.ts'
import { unixSeconds } from './movable-clock.ts'
import type { PlatformEffect } from './platform-act.ts'
import { commandPlace } from './suites.ts'
import type { World } from './world.ts'

/** Somebody acting at a corp. */
export interface CorpScene {
  readonly world: World
  readonly owner: Corp
  readonly now: Date
}

/** The app an act is meant for: the one named, else the corp's first. */
export function findApp({ owner }: CorpScene, agentId: string | undefined): CorpApp {
  const apps = owner.apps.filter((app) => app.agentId !== null)
  const app = agentId === undefined ? apps[0] : apps.find((one) => one.agentId === agentId)
  if (app) return app
  const known = apps.map((one) => one.agentId).join(', ') || 'none'
  const rule = `expected an app of the corp (known: ${known})`
  throw new InvalidInputError('invalid_sandbox_input', [{ field: 'agent_id', rule }])
}

/** What a member does in an app: `FromUserName` is the member, and the agent is named. */
export function memberNotice(
  { owner, now }: CorpScene,
  app: CorpApp,
  what: {
    readonly member: string
    readonly type: string
    readonly event?: string
    readonly fields?: readonly Element[]
  },
): PlatformEffect {
  const { member, type, event, fields = [] } = what
  const document = writeXml([
    { name: 'ToUserName', text: owner.config.corp_id },
    { name: 'FromUserName', text: member },
    { name: 'CreateTime', text: String(unixSeconds(now)), bare: true },
    { name: 'MsgType', text: type },
    ...elements({ Event: event }),
    ...fields,
    { name: 'AgentID', text: app.agentId ?? '', bare: true },
  ])
  return { push: { place: app.place, event: event ?? type, document, person: member } }
}

/**
 * A change in the corp: `sys` speaks, and `ChangeType` says what changed. A suite is told the same
 * on its 指令回调 URL, with `InfoType` instead of the head.
 */
export function changeNotice(
  scene: CorpScene,
  app: CorpApp,
  change: {
    readonly event: string
    readonly changeType: string | undefined
    readonly person: string
    readonly fields: Readonly<Record<string, string | undefined>>
  },
): PlatformEffect {
  const { world, owner, now } = scene
  const { event, changeType, person } = change
  const { corp_id } = owner.config
  const at = String(unixSeconds(now))
  const rest = elements({ ChangeType: changeType, ...change.fields })
  const suite = world.suites.get(app.suiteId ?? '')
  const head = suite
    ? [
        ...elements({ SuiteId: suite.config.suite_id, AuthCorpId: corp_id, InfoType: event }),
        { name: 'TimeStamp', text: at, bare: true },
      ]
    : [
        ...elements({ ToUserName: corp_id, FromUserName: 'sys' }),
        { name: 'CreateTime', text: at, bare: true },
        ...elements({ MsgType: 'event', Event: event }),
      ]
  const document = writeXml([...head, ...rest])
  const place = suite ? () => commandPlace(suite) : app.place
  const name = changeType === undefined ? event : `${event}.${changeType}`
  return { push: { place, event: name, document, person } }
}

/** The first callback of a corp, for its handshake and documents of one's own. */
export function corpPlace(corp: Corp, agentId: string | undefined) {
  const app =
    agentId === undefined
      ? corp.apps[0]
      : corp.apps.find((one) => (one.agentId ?? 'kf') === agentId)
  return app?.place() ?? nowhere(corp.config.corp_id)
}
