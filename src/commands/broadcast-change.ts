import { broadcastBody } from '../api/broadcast-routes.ts'
import {
  cancelBroadcast,
  pauseBroadcast,
  resumeBroadcast,
  type ChangeBroadcastDeps,
} from '../messages/change-broadcast.ts'
import type { StoredBroadcast } from '../messages/broadcast-store.ts'
import type { Caller } from '../messages/caller.ts'
import { operatorOf } from './broadcast-caller.ts'
import type { Command } from './command.ts'

export const broadcastPause = changing({
  name: 'broadcast pause',
  summary: {
    en: 'Hold a broadcast; what a worker has in hand still goes out.',
    zh: '暂停群发；正在发送的消息仍会发出。',
  },
  change: pauseBroadcast,
})

export const broadcastResume = changing({
  name: 'broadcast resume',
  summary: { en: 'Go on with a paused broadcast.', zh: '继续已暂停的群发。' },
  change: resumeBroadcast,
})

export const broadcastCancel = changing({
  name: 'broadcast cancel',
  summary: {
    en: 'End a broadcast for good; what a worker has in hand still goes out.',
    zh: '终止群发，不可恢复；正在发送的消息仍会发出。',
  },
  change: cancelBroadcast,
})

function changing({
  change,
  ...facts
}: Pick<Command, 'name' | 'summary'> & {
  readonly change: (
    deps: ChangeBroadcastDeps,
    wanted: { readonly caller: Caller; readonly id: string },
  ) => Promise<StoredBroadcast>
}): Command {
  return {
    ...facts,
    words: ['ID'],
    async run({ args, say, output, withGateway }) {
      await withGateway(async ({ parts }) => {
        const wanted = { caller: await operatorOf(parts), id: args.word(0) }
        const broadcast = await change({ store: parts.broadcasts, log: parts.log }, wanted)
        const { id, status } = broadcast
        output.answer(broadcastBody(broadcast), say('broadcast_status', { id, status }))
      })
    },
  }
}
