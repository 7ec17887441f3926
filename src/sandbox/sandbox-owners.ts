import { COMPONENT_ACTS, type ComponentActName } from './component-acts.ts'
import { componentPlace } from './components.ts'
import { CORP_ACTS, type CorpActName } from './corp-acts.ts'
import { corpPlace } from './corp-notices.ts'
import { makeExternalUserid } from './corps.ts'
import type { EventInput } from './inputs.ts'
import { readMessages } from './log.ts'
import { performPlatformAct, type PlatformActResult } from './platform-act.ts'
import { runReleaseCheck, type ReleaseCheck, type ReleaseCheckInput } from './release-check.ts'
import type { HandshakeResult, Pusher } from './pushes.ts'
import type { MessageRecord, PushRecord } from './record.ts'
import { pushDocument, type ActOptions } from './sandbox-account.ts'
import { SUITE_ACTS, type SuiteActName } from './suite-acts.ts'
import { commandPlace } from './suites.ts'
import { getOwner, type World } from './world.ts'

type Details = Readonly<Record<string, unknown>>

/**
 * What a test can do with an owner that has no followers. An act resolves when its push is
 * acknowledged or given up, with the push and with the codes and ids that the act made.
 */
interface SandboxOwner<ActName extends string> {
  /** An act by its name in the control API, with the details as they stand there. */
  act(name: ActName, details?: Details, options?: ActOptions): Promise<PlatformActResult>
  /** Pushes a document of your own. */
  pushDocument(document: string, options?: Omit<EventInput, 'document'>): Promise<PushRecord>
  /** Makes the GET of the platform's page when the callback's address is saved there. */
  handshake(): Promise<HandshakeResult>
}

/** An Open Platform component in a test's hands. */
export interface SandboxComponent extends SandboxOwner<ComponentActName> {
  readonly appId: string
  releaseCheck(input?: ReleaseCheckInput): Promise<ReleaseCheck>
}

/** A corp in a test's hands; an agent's id, or `kf`, says whose callback is meant. */
export interface SandboxCorp extends SandboxOwner<CorpActName> {
  readonly corpId: string
  newExternalUserid(): string
  handshake(agentId?: string): Promise<HandshakeResult>
  pushDocument(
    document: string,
    options?: Omit<EventInput, 'document'>,
    agentId?: string,
  ): Promise<PushRecord>
  /** What people really received, oldest first. */
  messages(person?: string): readonly MessageRecord[]
}

/** A third-party suite in a test's hands. */
export interface SandboxSuite extends SandboxOwner<SuiteActName> {
  readonly suiteId: string
}

/** One component's half of the JavaScript API. */
export function createSandboxComponent(
  world: World,
  pusher: Pusher,
  appId: string,
): SandboxComponent {
  const owner = () => getOwner(world.components, 'components', appId)
  const place = () => componentPlace(owner())
  return {
    appId,
    act: (name, details = {}, { silent = false } = {}) =>
      performPlatformAct({ world, pusher, owner: owner() }, COMPONENT_ACTS[name], {
        details,
        silent,
      }),
    pushDocument: (document, options = {}) => pushDocument(pusher, place, { ...options, document }),
    handshake: () => pusher.handshake(place()),
    releaseCheck: (input) => runReleaseCheck(world, pusher, { component: owner(), input }),
  }
}

/** One corp's half of the JavaScript API. */
export function createSandboxCorp(world: World, pusher: Pusher, corpId: string): SandboxCorp {
  const owner = () => getOwner(world.corps, 'corps', corpId)
  return {
    corpId,
    newExternalUserid: () => makeExternalUserid(world),
    act: (name, details = {}, { silent = false } = {}) =>
      performPlatformAct({ world, pusher, owner: owner() }, CORP_ACTS[name], { details, silent }),
    pushDocument: (document, options = {}, agentId = undefined) =>
      pushDocument(pusher, () => corpPlace(owner(), agentId), { ...options, document }),
    handshake: (agentId) => pusher.handshake(corpPlace(owner(), agentId)),
    messages: (openid) => readMessages(world.record, { appId: corpId, openid }),
  }
}

/** One suite's half of the JavaScript API. */
export function createSandboxSuite(world: World, pusher: Pusher, suiteId: string): SandboxSuite {
  const owner = () => getOwner(world.suites, 'suites', suiteId)
  const place = () => commandPlace(owner())
  return {
    suiteId,
    act: (name, details = {}, { silent = false } = {}) =>
      performPlatformAct({ world, pusher, owner: owner() }, SUITE_ACTS[name], { details, silent }),
    pushDocument: (document, options = {}) => pushDocument(pusher, place, { ...options, document }),
    // No corp is involved yet: behind the echostr stands the provider itself.
    handshake: () => pusher.handshake(place(), owner().config.provider_corp_id),
  }
}
