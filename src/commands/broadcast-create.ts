import { broadcastBody } from '../api/broadcast-routes.ts'
import { parseStrictJson } from '../api/strict-json.ts'
import { systemClock } from '../foundation/clock.ts'
import type { Gateway } from '../compose.ts'
import type { Config } from '../config.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import { AUDIENCE_SCOPES, isAudienceScope } from '../messages/broadcast-request.ts'
import {
  createAudienceBroadcast,
  createListedBroadcast,
  MAX_HEAD_BYTES,
  type CreateBroadcastDeps,
} from '../messages/create-broadcast.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command, CommandContext } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'

export const broadcastCreate: Command = {
  name: 'broadcast create',
  summary: {
    en: 'Send to the recipients of a file, or to everyone with a consent; a running gateway sends.',
    zh: '向文件中的接收人群发，或向拥有某项有效同意的所有人群发；由运行中的网关发送。',
  },
  options: {
    file: {
      type: 'text',
      value: 'path|-',
      required: true,
      help: {
        en: 'Lines of JSON: the first the broadcast, each other one a recipient; - is standard input.',
        zh: '每行一个 JSON：第一行为群发内容，其余每行一个接收人；- 表示标准输入。',
      },
    },
    everyone: {
      type: 'text',
      value: 'scope',
      help: {
        en: 'To everyone with live consent of this scope; the file then holds the broadcast alone.',
        zh: '发给拥有此范围有效同意的所有人；此时文件中只写群发内容。',
      },
    },
  },

  async run(context) {
    const { args, openFile, withGateway } = context
    const everyone = args.text('everyone')
    if (everyone !== undefined && !isAudienceScope(everyone)) {
      const choices = AUDIENCE_SCOPES.join(', ')
      refuseArgument('--everyone', (say) => say('one_of', { choices }))
    }
    const chunks = openFile(args.text('file') ?? '-')
    await withGateway((gateway, config) =>
      everyone === undefined
        ? createForList(context, depsOf(gateway, config), { gateway, chunks })
        : createForEveryone(context, depsOf(gateway, config), { gateway, chunks, everyone }),
    )
  },
}

function depsOf({ parts }: Gateway, config: Config): CreateBroadcastDeps {
  return {
    store: parts.broadcasts,
    findSender: (id) => parts.accounts.findById(id),
    findTemplates: (id) => parts.findTemplates(id),
    callbacks: parts.endpoints,
    clock: systemClock,
    log: parts.log,
    lifetimeHours: config.dispatch.messageLifetimeHours,
  }
}

interface Given {
  readonly gateway: Gateway
  readonly chunks: AsyncIterable<Buffer>
}

async function createForList(
  { say, output }: CommandContext,
  deps: CreateBroadcastDeps,
  { gateway, chunks }: Given,
): Promise<void> {
  const caller = await operatorOf(gateway.parts)
  const asked = { caller, chunks, parse: parseStrictJson, idempotencyKey: null }
  const { broadcast, badLines } = await createListedBroadcast(deps, asked)
  for (const { line, reason } of badLines) {
    output.note(say('broadcast_bad_line', { line, reason }))
  }
  const { id, status } = broadcast
  const { accepted, duplicate, bad } = broadcast.lines
  output.answer(
    { ...broadcastBody(broadcast), bad_lines: badLines },
    say('broadcast_accepted', { id, status, accepted, duplicate, bad }),
  )
}

async function createForEveryone(
  { say, output }: CommandContext,
  deps: CreateBroadcastDeps,
  { gateway, chunks, everyone: scope }: Given & { readonly everyone: string },
): Promise<void> {
  const head = await readHead(chunks)
  const caller = await operatorOf(gateway.parts)
  const asked = { caller, body: { ...head, audience: { scope } }, idempotencyKey: null }
  const { broadcast } = await createAudienceBroadcast(deps, asked)
  const { id, status } = broadcast
  output.answer(
    { ...broadcastBody(broadcast), bad_lines: [] },
    say('broadcast_to_everyone', { id, status, scope }),
  )
}

/** The broadcast alone, without recipients; it may stand on several lines. */
async function readHead(chunks: AsyncIterable<Buffer>): Promise<object> {
  const kept: Buffer[] = []
  let length = 0
  for await (const chunk of chunks) {
    length += chunk.length
    if (length > MAX_HEAD_BYTES) refuseArgument('--file', (say) => say('only_the_broadcast'))
    kept.push(chunk)
  }
  try {
    const head = parseStrictJson(Buffer.concat(kept))
    if (typeof head === 'object' && head !== null && !('audience' in head)) return head
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
  }
  return refuseArgument('--file', (say) => say('only_the_broadcast'))
}
