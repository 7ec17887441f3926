import type { AccountOverview } from '../accounts/account-store.ts'
import type { Gateway } from '../compose.ts'
import type { RecordedOverride } from '../wechat/code-override-store.ts'
import { OVERRIDE_CLASSES, overrideFault, type OverrideClass } from '../wechat/code-override.ts'
import { codeSpaceOf, type CodeSpace } from '../wechat/served-account.ts'
import type { Arguments, Command, CommandContext } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { ACTOR_OPTION, actorOf } from './person.ts'
import { readWholeCode } from './read-code.ts'
import { textTable } from './text-table.ts'
import type { Say } from './words.ts'

export const accountOverride: Command = {
  name: 'account override',
  summary: {
    en: 'Give an error code another class for one account, take that back, or list what was decided.',
    zh: '为某帐号修改错误码的分类、撤销修改，或列出已有的修改。',
  },
  words: ['NAME'],
  options: {
    code: {
      type: 'text',
      value: 'errcode',
      help: { en: 'The code; without it the overrides are listed.', zh: '错误码；不填则列出。' },
    },
    class: {
      type: 'text',
      value: 'class',
      help: {
        en: `What the code is from now on: ${OVERRIDE_CLASSES.join(', ')}.`,
        zh: `错误码今后的分类：${OVERRIDE_CLASSES.join('、')}。`,
      },
    },
    remove: {
      type: 'flag',
      help: {
        en: 'Take the override back; the table holds again.',
        zh: '撤销修改，恢复默认分类。',
      },
    },
    reason: {
      type: 'text',
      value: 'text',
      help: {
        en: 'Why; it is recorded, so name no person.',
        zh: '原因；会被记录，请勿写入个人信息。',
      },
    },
    actor: ACTOR_OPTION,
  },

  async run(context) {
    const { args, withGateway } = context
    const typedCode = args.text('code')
    if (typedCode === undefined) refuseWithoutCode(args)
    await withGateway(async ({ parts }) => {
      const account = await parts.accounts.show(args.word(0))
      if (typedCode === undefined) return list(context, parts, account)
      const code = readWholeCode('--code', typedCode)
      return args.flag('remove')
        ? remove(context, parts, { account, code })
        : put(context, parts, { account, code })
    })
  },
}

/** Half a change shall not look like a list. */
function refuseWithoutCode(args: Arguments): void {
  const isChange =
    args.flag('remove') || [args.text('class'), args.text('reason')].some((text) => text)
  if (isChange) refuseArgument('--code', (say) => say('is_required'))
}

type Parts = Gateway['parts']

interface Target {
  readonly account: AccountOverview
  readonly code: number
}

async function put({ args, say, output }: CommandContext, parts: Parts, { account, code }: Target) {
  const chosen = readClass(args.text('class'))
  const fault = overrideFault(codeSpaceOf(account), code, chosen)
  if (fault !== null) refuseArgument('--class', (speak) => speak(fault, { code }))
  const act = actOf(args, { account, code })
  await parts.codeOverrides.put({ ...act, class: chosen })
  output.answer(
    { account: account.name, code, class: chosen, actor: act.actor, reason: act.reason },
    say('override_set', { name: account.name, code, class: chosen }),
  )
}

async function remove({ args, say, output }: CommandContext, parts: Parts, target: Target) {
  const removed = await parts.codeOverrides.remove(actOf(args, target))
  const { account, code } = target
  output.answer(
    { account: account.name, code, removed },
    say(removed ? 'override_removed' : 'override_none', { name: account.name, code }),
  )
}

function actOf(args: Arguments, { account, code }: Target) {
  const reason = args.text('reason')?.trim()
  if (!reason) refuseArgument('--reason', (say) => say('is_required'))
  const actor = actorOf(args.text('actor'))
  return { accountId: account.id, code, actor, reason: reason ?? '' }
}

function readClass(text: string | undefined): OverrideClass {
  const found = OVERRIDE_CLASSES.find((name) => name === text)
  if (found) return found
  return refuseArgument('--class', (say) => say('one_of', { choices: OVERRIDE_CLASSES.join(', ') }))
}

async function list({ say, output }: CommandContext, parts: Parts, account: AccountOverview) {
  const recorded = await parts.codeOverrides.list(account.id)
  const space = codeSpaceOf(account)
  const rows = recorded.map((one) => rowOf(one, { say, space }))
  const headings = [
    say('code'),
    say('class'),
    say('since'),
    say('actor'),
    say('reason'),
    say('state'),
  ]
  output.answer(
    { account: account.name, overrides: recorded.map((one) => answerOf(one, space)) },
    rows.length === 0
      ? say('no_overrides', { name: account.name })
      : textTable([headings, ...rows]),
  )
}

function rowOf(
  one: RecordedOverride,
  { say, space }: { readonly say: Say; readonly space: CodeSpace },
): string[] {
  const state = stateOf(one, { say, space })
  return [String(one.code), one.class, one.createdAt.toISOString(), one.actor, one.reason, state]
}

function stateOf(
  one: RecordedOverride,
  { say, space }: { readonly say: Say; readonly space: CodeSpace },
): string {
  const { code, removedAt, removedBy: actor, removalReason: reason } = one
  if (removedAt !== null) {
    const time = removedAt.toISOString()
    return say('taken_back', { actor: actor ?? '', time, reason: reason ?? '' })
  }
  const fault = overrideFault(space, code, one.class)
  return fault === null ? say('in_force') : say('override_ignored', { why: say(fault, { code }) })
}

function answerOf(one: RecordedOverride, space: CodeSpace) {
  return {
    code: one.code,
    class: one.class,
    actor: one.actor,
    reason: one.reason,
    created_at: one.createdAt.toISOString(),
    removed_at: one.removedAt?.toISOString() ?? null,
    removed_by: one.removedBy,
    removal_reason: one.removalReason,
    ignored: one.removedAt === null ? overrideFault(space, one.code, one.class) : null,
  }
}
