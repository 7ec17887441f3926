import { NotFoundError } from '../foundation/errors.ts'
import type { Pusher } from './pushes.ts'
import type { World } from './world.ts'

/** What a control route works with. */
export interface Control {
  readonly world: World
  readonly pusher: Pusher
  /** Back to the owners of the options. */
  readonly reset: (recordOnly: boolean) => void
}

export interface ControlCall {
  readonly parameters: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: unknown
}

export interface ControlRoute {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** `{…}` stands for one part. */
  readonly path: string
  readonly serve: (control: Control, call: ControlCall) => unknown
}

/** One address of the control API. */
export function route(
  method: ControlRoute['method'],
  path: string,
  serve: ControlRoute['serve'],
): ControlRoute {
  return { method, path, serve }
}

/** The parts of a path that a pattern names; undefined when the path is another one. */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.replace(/\/$/, '').split('/')
  if (wanted.length !== given.length) return undefined
  const parameters: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const value = decodeURIComponent(given[index] ?? '')
    if (part.startsWith('{')) parameters[part.slice(1, -1)] = value
    else if (part !== value) return undefined
  }
  return parameters
}

/** The act with that name. @throws NotFoundError naming those there are. */
export function findAct<Name extends string>(
  acts: Readonly<Record<Name, unknown>>,
  name: string,
): Name {
  const names = Object.keys(acts)
  const isKnown = (text: string): text is Name => names.includes(text)
  if (isKnown(name)) return name
  const known = names.join(', ')
  throw new NotFoundError('unknown_act', `Nobody can ${name} here; expected one of ${known}.`)
}

/**
 * The outcome of an act, waited for unless `wait=0` says otherwise: then the details alone are
 * checked, which happens before the first wait.
 */
export async function waitForAct<Outcome>(
  { query }: ControlCall,
  act: Promise<Outcome>,
): Promise<Outcome | undefined> {
  if (query.get('wait') !== '0') return act
  return Promise.race([act, Promise.resolve(undefined)])
}
