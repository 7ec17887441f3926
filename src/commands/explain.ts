import type { Gateway } from '../compose.ts'
import { readWholeCode } from './read-code.ts'
import { explainCode, type CodeExplanation } from '../wechat/explain-code.ts'
import { CODE_SPACES, codeSpaceOf, type CodeSpace } from '../wechat/served-account.ts'
import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'
import { textTable } from './text-table.ts'
import type { Language, Say } from './words.ts'

export const explain: Command = {
  name: 'explain',
  summary: {
    en: 'Explain an error code of the platform: meaning, what the gateway does, what you can do.',
    zh: '解释平台错误码：含义、网关的处理、您可以做什么。',
  },
  words: ['CODE'],
  options: {
    platform: {
      type: 'text',
      value: CODE_SPACES.join('|'),
      help: {
        en: 'Whose code it is; oa by default. WeCom uses the same numbers for other things.',
        zh: '错误码所属平台，默认 oa；企业微信的同一数字含义不同。',
      },
    },
    account: {
      type: 'text',
      value: 'name',
      help: {
        en: 'As it is for this account, with what an operator decided about it.',
        zh: '按此帐号解释，并显示运营者的覆盖设置。',
      },
    },
  },

  async run({ args, say, language, output, withGateway }) {
    const code = readWholeCode('CODE', args.word(0))
    const platform = readPlatform(args.text('platform'))
    const account = args.text('account')
    if (account !== undefined && platform !== undefined) {
      refuseArgument('--platform', (speak) => speak('platform_or_account'))
    }
    const explained =
      account === undefined
        ? explainCode(platform ?? 'oa', code)
        : await withGateway(({ parts }) => explainFor(parts, account, code))
    output.answer(answerOf(explained), textTable(rowsOf(explained, say, language)))
  },
}

async function explainFor(
  { accounts, codeOverrides }: Gateway['parts'],
  name: string,
  code: number,
): Promise<CodeExplanation> {
  const account = await accounts.show(name)
  const recorded = await codeOverrides.list(account.id)
  const held = recorded.find((one) => one.code === code && one.removedAt === null)
  return explainCode(codeSpaceOf(account), code, held)
}

function readPlatform(text: string | undefined): CodeSpace | undefined {
  const found = CODE_SPACES.find((space) => space === text)
  if (text === undefined || found) return found
  return refuseArgument('--platform', (say) => say('one_of', { choices: CODE_SPACES.join(', ') }))
}

/** As `GET /v1/error-codes` answers it. */
function answerOf({ foundIn, advice, override, ...explained }: CodeExplanation) {
  return {
    ...explained,
    found_in: foundIn,
    action: advice,
    override: override && {
      replaces: override.replaces,
      actor: override.actor,
      reason: override.reason,
      created_at: override.createdAt.toISOString(),
    },
  }
}

function rowsOf(explained: CodeExplanation, say: Say, language: Language): string[][] {
  const { code, platform, foundIn, name, override } = explained
  return [
    [say('code'), `${code} (${foundIn ?? platform})`],
    [
      say('meaning'),
      name ? `${name[language]}${otherWords(name, language)}` : say('code_unlisted'),
    ],
    [say('class'), explained.class],
    [say('effect'), explained.effect[language]],
    [say('retry'), say(`retry_${explained.retry}`)],
    [say('action'), explained.advice[language]],
    [say('source'), explained.source ?? '–'],
    ...(override
      ? [
          [
            say('override'),
            say('override_line', {
              from: override.replaces,
              to: override.class,
              actor: override.actor,
              time: override.createdAt.toISOString(),
              reason: override.reason,
            }),
          ],
        ]
      : []),
  ]
}

/** The platform's words in the other language too: one of them is what stands in the log. */
function otherWords(name: { readonly en: string; readonly zh: string }, language: Language) {
  return ` / ${language === 'en' ? name.zh : name.en}`
}
