import type { Gateway, Parts } from '../compose.ts'
import type { Config } from '../config.ts'
import { sleep, systemClock } from '../foundation/clock.ts'
import type { Caller } from '../messages/caller.ts'
import { findMessage } from '../messages/find-message.ts'
import { isFinal, type Message } from '../messages/message.ts'
import { sendMessage } from '../messages/send-message.ts'
import { AUTO } from '../messages/send-request.ts'
import { CHANNEL_NAMES } from '../wechat/channels.ts'
import type { Command, CommandContext } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { readTyped, readUntyped } from './typed-secret.ts'

/** How long `--wait` waits, and how often it looks. A call may take 30 s, and be tried again. */
const WAIT_MS = 120_000
const POLL_MS = 250

/** Statuses after which the person has, or will have, the message. */
const GOOD = new Set(['sent', 'delivered'])

export const send: Command = {
  name: 'send',
  summary: {
    en: 'Ask for one message, as an application would; a running gateway sends it.',
    zh: '请求发送一条消息（与业务应用相同）；由运行中的网关发送。',
  },
  options: {
    account: {
      type: 'text',
      value: 'name',
      required: true,
      help: { en: 'The account to send by.', zh: '发送帐号。' },
    },
    to: {
      type: 'text',
      value: 'openid',
      required: true,
      help: { en: 'The person.', zh: '接收人。' },
    },
    channel: {
      type: 'text',
      value: 'channel',
      required: true,
      help: {
        en: `One of ${CHANNEL_NAMES.join(', ')}, or ${AUTO}: the first of several that is allowed.`,
        zh: `${CHANNEL_NAMES.join('、')} 之一；${AUTO} 表示多个渠道中第一个允许的。`,
      },
    },
    content: {
      type: 'text',
      value: 'json|@file',
      required: true,
      help: {
        en: 'The platform’s request body for the channel, without recipient and token; for auto an object with one for each channel.',
        zh: '平台该接口的请求体，不含接收人和 token；auto 时为各渠道的请求体组成的对象。',
      },
    },
    order: {
      type: 'text',
      value: 'channel,…',
      help: {
        en: 'For auto: the channels in the order to try them; the usual order when absent.',
        zh: '用于 auto：按优先顺序列出渠道；不填则用默认顺序。',
      },
    },
    sender: {
      type: 'text',
      value: 'userid',
      help: {
        en: 'For wecom_welcome_message: the employee whose contact the customer is.',
        zh: '用于 wecom_welcome_message：该客户所添加的员工的 userid。',
      },
    },
    event: {
      type: 'text',
      value: 'id',
      help: {
        en: 'For wecom_welcome_message: the event whose welcome code is used, within 20 seconds of it.',
        zh: '用于 wecom_welcome_message：带来 welcome_code 的事件的 id，须在事件发生后 20 秒内使用。',
      },
    },
    'robot-key': {
      type: 'text',
      value: '@file|@-',
      help: {
        en: 'For wecom_robot_message: the robot’s key, from a file or standard input, never typed here.',
        zh: '用于 wecom_robot_message：群机器人的 key，从文件或标准输入读取，不得直接写在命令行上。',
      },
    },
    wait: {
      type: 'flag',
      help: {
        en: 'Wait until it is known what became of it, at most two minutes; exit with 1 unless sent.',
        zh: '等待最终结果，最多两分钟；未发送成功则以 1 退出。',
      },
    },
  },

  async run(context) {
    const { args, say, output, withGateway } = context
    const body = await readBody(context)
    const seals = 'robot_key' in body || body['channel'] === 'wecom_welcome_message'
    const send = async ({ parts }: Gateway, config: Config) => {
      const { id: accountId, name } = await parts.accounts.show(args.text('account') ?? '')
      const caller: Caller = { id: null, name: 'cli', accounts: [{ id: accountId, name }] }
      const accepted = await sendMessage(
        {
          store: parts.messages,
          findSender: (id) => parts.accounts.findById(id),
          findTemplates: (id) => parts.findTemplates(id),
          decide: parts.decide,
          findLimits: parts.findLimits,
          findWelcomeCode: parts.findWelcomeCode,
          seal: parts.seal,
          callbacks: parts.endpoints,
          clock: systemClock,
          log: parts.log,
          lifetimeHours: config.dispatch.messageLifetimeHours,
        },
        { caller, body, idempotencyKey: null },
      )
      const { id } = accepted
      if (!args.flag('wait')) {
        const { status } = accepted
        output.answer({ id, status, reason: null }, say('message_accepted', { id, status }))
        return 0
      }
      const message = await waitForEnd(parts, { caller, id, signal: context.signal })
      const { status, reason, missingScope } = message
      const attempts = await parts.messages.attemptsOf(id)
      output.answer(
        {
          id,
          status,
          reason,
          missing_scope: missingScope,
          attempts: attempts.map(({ outcome, errcode, errmsg }) => ({ outcome, errcode, errmsg })),
        },
        reason === null
          ? say('message_accepted', { id, status })
          : say('message_status', { id, status, reason }),
      )
      if (!isFinal(status)) output.note(say('still_under_way'))
      return GOOD.has(status) ? 0 : 1
    }
    return withGateway(send, { masterKey: seals ? 'own' : 'any' })
  },
}

/** The body of `POST /v1/messages`; what was not typed is not in it. */
async function readBody(context: CommandContext): Promise<Record<string, unknown>> {
  const { args } = context
  const typed = {
    account: args.text('account'),
    to: args.text('to'),
    channel: args.text('channel'),
    content: await readContent(context),
    order: args.text('order')?.split(','),
    sender: args.text('sender'),
    event_id: args.text('event'),
    robot_key: await readUntyped(context, 'robot-key'),
  }
  return Object.fromEntries(Object.entries(typed).filter(([, value]) => value !== undefined))
}

async function readContent(context: CommandContext): Promise<unknown> {
  const text = (await readTyped(context, 'content')) ?? ''
  try {
    const content: unknown = JSON.parse(text)
    if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content
  } catch {
    // Said below, together with JSON of another form.
  }
  return refuseArgument('--content', (say) => say('not_json'))
}

async function waitForEnd(
  parts: Parts,
  wanted: { readonly caller: Caller; readonly id: string; readonly signal: AbortSignal },
): Promise<Message> {
  const { signal } = wanted
  const giveUpAt = systemClock.monotonicMs() + WAIT_MS
  for (;;) {
    const message = await findMessage(parts.messages, wanted)
    const isOver = systemClock.monotonicMs() >= giveUpAt || signal.aborted
    if (isFinal(message.status) || isOver) return message
    await sleep(POLL_MS, signal)
  }
}
