import { sleep } from '../foundation/clock.ts'
import type { Command, CommandContext } from './command.ts'
import { createDemoApplication, type Ask, type DemoApplication } from './demo-application.ts'
import { tellNext, tellTally } from './demo-report.ts'
import { playKinds } from './demo-kinds.ts'
import { createStages, type Stages } from './demo-stages.ts'
import {
  castPeople,
  crowd,
  everybodyFollows,
  forgersTry,
  lifeGoesOn,
  someLeave,
  type People,
} from './demo-story.ts'
import { tallyAnswer, tallyRun, type Tally } from './demo-tally.ts'
import { startDemoWorld, type DemoWorld } from './demo-world.ts'
import { readWholeNumber } from './parse-arguments.ts'

/** Final statuses; a message in any other is still on its way. */
const UNDER_WAY = new Set(['scheduled', 'queued', 'sending'])
/** Some hundreds of messages take a second or two; ten times that is a fault to be shown. */
const SETTLE_LIMIT_MS = 60_000

export const demo: Command = {
  name: 'demo',
  summary: {
    en: 'Show the whole road: a simulated platform, real encrypted callbacks, sends that obey consent.',
    zh: '演示全流程：模拟平台、真实加密回调、遵守授权的消息发送。',
  },
  options: {
    once: {
      type: 'flag',
      help: {
        en: 'End after the table; exit code 0 only if every number agrees.',
        zh: '打印结果后结束；只有全部数字一致时退出码才为 0。',
      },
    },
    followers: {
      type: 'text',
      value: 'number',
      help: { en: 'How many people; 300 by default.', zh: '人数，默认 300。' },
    },
  },

  async run(context) {
    const { args, output, signal, language } = context
    const followers = readWholeNumber('--followers', args.text('followers') ?? '300', {
      least: 30,
      most: 20_000,
    })
    const stages = createStages({ note: (text) => output.note(text), language })
    const world = await stages.run('start', () =>
      startDemoWorld(context.readConfig(), logLevel(context)),
    )
    try {
      const tally = await play(world, stages, followers)
      output.answer(tallyAnswer(tally), tellTally(tally, language))
      if (!args.flag('once')) {
        output.note(tellNext(world, language))
        await sleep(2 ** 31 - 1, signal)
      }
      return tally.agrees ? 0 : 1
    } finally {
      await world.stop()
    }
  },
}

/** The gateway's own log would drown the story; who wants it asks for it. */
function logLevel(context: CommandContext): string {
  const level = context.readConfig().logLevel
  return level === 'info' ? 'error' : level
}

async function play(world: DemoWorld, stages: Stages, followers: number): Promise<Tally> {
  const { sandbox, account } = world
  const people = castPeople(account, followers)
  const stage = { sandbox, account, people }
  await stages.run('follow', (progress) => everybodyFollows(stage, progress))
  await stages.run('life', (progress) => lifeGoesOn(stage, progress))
  await stages.run('forgers', (progress) => forgersTry(stage, progress))

  const application = createDemoApplication({
    url: world.gatewayUrl,
    key: world.key,
    account: world.accountName,
  })
  const first = firstAsks(people)
  await stages.run('send', async (progress) => {
    const leaving = sleep(300).then(() => someLeave(stage))
    await crowd(first, (ask) => application.ask(ask), { progress })
    await leaving
  })
  await stages.run('settle', (progress) => settled(world, application, progress))

  const again = people.all.map((to): Ask => ({ to, channel: 'template_message' }))
  await stages.run('again', (progress) => crowd(again, (ask) => application.ask(ask), { progress }))
  await stages.run('settle', (progress) => settled(world, application, progress))
  const kinds = await stages.run('kinds', (progress) => playKinds(world, progress))
  await sandbox.settled()
  return tallyRun({
    messages: await application.messages(),
    asked: first.length + again.length,
    kinds,
    report: sandbox.report(),
    appId: account.appId,
  })
}

/** The application writes to everybody it has ever heard of; it need not know who agreed. */
function firstAsks(people: People): Ask[] {
  const template = [...people.all, ...people.strangers]
  // twice: the second finds the one credit spent
  const subscription = [...people.subscribers, ...people.subscribers, ...people.undecided]
  const service = [...people.talkers, ...people.blockers, ...people.strangers]
  return [
    ...template.map((to): Ask => ({ to, channel: 'template_message' })),
    ...subscription.map((to): Ask => ({ to, channel: 'subscription_message' })),
    ...service.map((to): Ask => ({ to, channel: 'customer_service_message' })),
  ]
}

/** Waits until every message has its final status and every receipt has arrived. */
async function settled(
  world: DemoWorld,
  application: DemoApplication,
  progress: (done: number, total: number) => void,
): Promise<void> {
  for (let waitedMs = 0; waitedMs < SETTLE_LIMIT_MS; waitedMs += 200) {
    const messages = await application.messages()
    const done = messages.filter(({ status }) => !UNDER_WAY.has(status)).length
    progress(done, messages.length)
    if (done === messages.length) break
    await sleep(200)
  }
  await world.sandbox.settled()
}
