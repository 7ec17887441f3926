import { endpointBody, secretBody } from '../api/endpoint-routes.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'

export const endpointRotate: Command = {
  name: 'endpoint rotate',
  summary: {
    en: 'Give an endpoint a new signing secret, shown this once; the one before signs too for a day.',
    zh: '更换签名密钥（只显示一次）；旧密钥在一天内仍同时签名。',
  },
  words: ['ID'],

  async run({ args, say, output, withGateway }) {
    const id = args.word(0)
    const rotated = await withGateway(
      async ({ parts }) => parts.endpoints.rotate(await operatorOf(parts), id),
      { masterKey: 'own' },
    )
    output.answer(secretBody(rotated), `${say('endpoint_rotated', { id })}\n${rotated.secret}`)
  },
}

export const endpointRemove: Command = {
  name: 'endpoint remove',
  summary: {
    en: 'Remove an endpoint; what still waits for it is dropped.',
    zh: '删除接收地址；尚未送达的通知将被丢弃。',
  },
  words: ['ID'],

  async run({ args, say, output, withGateway }) {
    const id = args.word(0)
    const removed = await withGateway(async ({ parts }) =>
      parts.endpoints.remove(await operatorOf(parts), id),
    )
    output.answer(endpointBody(removed), say('endpoint_removed', { id }))
  },
}

export const endpointPause: Command = {
  name: 'endpoint pause',
  summary: {
    en: 'Post nothing to an endpoint for now; what is for it is kept until it is resumed.',
    zh: '暂停向接收地址投递；通知会保留，恢复后再投递。',
  },
  words: ['ID'],

  async run({ args, say, output, withGateway }) {
    const id = args.word(0)
    const paused = await withGateway(async ({ parts }) =>
      parts.endpoints.change(await operatorOf(parts), id, { paused: true }),
    )
    output.answer(endpointBody(paused), say('endpoint_paused', { id }))
  },
}

export const endpointResume: Command = {
  name: 'endpoint resume',
  summary: {
    en: 'Post to a paused endpoint again: what has waited, and what was given up while it took nothing.',
    zh: '恢复投递：补投暂停期间保留的通知，以及接收地址持续失败期间放弃的通知。',
  },
  words: ['ID'],

  async run({ args, say, output, withGateway }) {
    const id = args.word(0)
    const resumed = await withGateway(async ({ parts }) =>
      parts.endpoints.change(await operatorOf(parts), id, { paused: false }),
    )
    output.answer(endpointBody(resumed), say('endpoint_resumed', { id }))
  },
}
