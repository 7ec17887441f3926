import { hasFollowers } from '../accounts/account-kinds.ts'
import { readNewAccount, type NewAccount } from '../accounts/account-input.ts'
import type { Gateway } from '../compose.ts'
import type { Config } from '../config.ts'
import { queueFirstSync } from '../consent/follower-jobs.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import {
  accountAnswer,
  accountWarnings,
  addressAnswer,
  addressLines,
  idWarnings,
  refuseBadWelcome,
  refuseUnknownChannels,
  SETTING_OPTIONS,
  settingsInput,
} from './account-options.ts'
import type { Command, CommandContext } from './command.ts'
import { KINDS } from './help.ts'
import { readAllTyped } from './typed-secret.ts'

export const accountAdd: Command = {
  name: 'account add',
  summary: {
    en: 'Add a WeChat account to serve.',
    zh: '添加一个要服务的微信帐号。',
  },
  words: ['NAME'],
  checksItself: true,
  options: {
    kind: {
      type: 'text',
      value: 'kind',
      help: { en: `Required: ${KINDS}.`, zh: `必填：${KINDS}。` },
    },
    'app-id': {
      type: 'text',
      value: 'wx…',
      help: {
        en: 'Required for official_account, mini_program, component: the AppID.',
        zh: 'official_account、mini_program、component 必填：AppID。',
      },
    },
    'original-id': {
      type: 'text',
      value: 'gh_…',
      help: {
        en: 'Required for official_account, mini_program: the original id (原始 ID).',
        zh: 'official_account、mini_program 必填：原始 ID。',
      },
    },
    'corp-id': {
      type: 'text',
      value: 'ww…',
      help: {
        en: 'Required for wecom_app, wecom_kf: the corpid (企业 ID).',
        zh: 'wecom_app、wecom_kf 必填：企业 ID (corpid)。',
      },
    },
    'agent-id': {
      type: 'text',
      value: 'number',
      help: {
        en: 'Required for wecom_app: the AgentId of the application.',
        zh: 'wecom_app 必填：应用的 AgentId。',
      },
    },
    'suite-id': {
      type: 'text',
      value: 'ww…',
      help: {
        en: 'Required for wecom_suite: the suite id (SuiteID).',
        zh: 'wecom_suite 必填：SuiteID。',
      },
    },
    'provider-corp-id': {
      type: 'text',
      value: 'ww…',
      help: {
        en: 'Required for wecom_suite: the provider’s own corpid.',
        zh: 'wecom_suite 必填：服务商自己的企业 ID。',
      },
    },
    secret: {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'Required: the AppSecret (of WeCom: Secret, suite secret); @file reads it from a file, @- from standard input.',
        zh: '必填：AppSecret（企业微信为应用 Secret 或 suite_secret）；@文件 从文件读取，@- 从标准输入读取。',
      },
    },
    'provider-secret': {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'The ProviderSecret of a wecom_suite’s provider.',
        zh: 'wecom_suite 服务商的 ProviderSecret。',
      },
    },
    token: {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'Required: the callback Token (令牌), 3 to 32 letters and digits (WeCom: 1 to 32).',
        zh: '必填：令牌 (Token)，3 到 32 位字母或数字（企业微信为 1 到 32 位）。',
      },
    },
    'aes-key': {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'The EncodingAESKey, 43 letters and digits; required but in plain mode.',
        zh: '消息加解密密钥 (EncodingAESKey)，43 位；除明文模式外必填。',
      },
    },
    mode: {
      type: 'text',
      value: 'safe|compatible|plain',
      help: {
        en: 'As set on the platform’s page (安全模式, 兼容模式, 明文模式); safe by default, and the only one of component and WeCom.',
        zh: '与平台页面一致：safe 安全模式（默认）、compatible 兼容模式、plain 明文模式；component 和企业微信只有 safe。',
      },
    },
    'data-format': {
      type: 'text',
      value: 'xml|json',
      help: {
        en: 'As set on a mini_program’s page (数据格式); xml by default.',
        zh: '与小程序页面的“数据格式”一致；默认 xml。',
      },
    },
    'no-sync': {
      type: 'flag',
      help: {
        en: 'Do not read from the platform who follows the account already.',
        zh: '不从平台读取已有的关注者。',
      },
    },
    ...SETTING_OPTIONS,
  },

  async run(context) {
    const account = await readAccount(context)
    refuseBadWelcome(account.settings)
    refuseUnknownChannels(account.settings)
    const { args, say, output } = context
    const isFollowed = hasFollowers({ kind: account.kind, serves: null })
    const syncs = isFollowed && !args.flag('no-sync')
    const add = async ({ parts }: Gateway, config: Config) => {
      const added = await parts.accounts.add(account, syncs ? queueFirstSync : undefined)
      const { publicBaseUrl } = config.http
      const lines = addressLines(publicBaseUrl, added, say)
      output.answer(
        {
          ...accountAnswer(added, say),
          ...addressAnswer(publicBaseUrl, added),
          ...(isFollowed && { follower_sync: syncs ? 'queued' : 'not_asked' }),
        },
        [
          say('account_added', { name: added.name }),
          ...lines.map(({ what, url }) => say('enter_callback', { what, url })),
          ...(isFollowed
            ? [say(syncs ? 'first_sync_queued' : 'first_sync_not_asked', { name: added.name })]
            : []),
        ].join('\n'),
      )
      for (const warning of [...idWarnings(added, say), ...accountWarnings(added, say)]) {
        output.note(warning)
      }
    }
    await context.withGateway(add, { masterKey: 'own' })
  },
}

const SECRETS = ['secret', 'provider-secret', 'token', 'aes-key'] as const

/** @throws InvalidInputError `bad_account` with every fault, of files that cannot be read too. */
async function readAccount(context: CommandContext): Promise<NewAccount> {
  const { read, faults } = await readAllTyped(context, SECRETS)
  const reading = readNewAccount(await readInput(context, read))
  if (reading.ok && faults.length === 0) return reading.value
  const unread = new Set(faults.map(({ field }) => field))
  const others = reading.ok ? [] : reading.faults.filter(({ field }) => !unread.has(field))
  throw new InvalidInputError('bad_account', [...faults, ...others])
}

async function readInput(
  context: CommandContext,
  secrets: Readonly<Partial<Record<(typeof SECRETS)[number], string>>>,
) {
  const { args } = context
  return {
    name: args.word(0) || undefined,
    kind: args.text('kind'),
    appId: args.text('app-id'),
    originalId: args.text('original-id'),
    corpId: args.text('corp-id'),
    agentId: args.text('agent-id'),
    suiteId: args.text('suite-id'),
    providerCorpId: args.text('provider-corp-id'),
    mode: args.text('mode'),
    dataFormat: args.text('data-format'),
    secret: secrets.secret,
    providerSecret: secrets['provider-secret'],
    token: secrets.token,
    aesKey: secrets['aes-key'],
    ...(await settingsInput(context)),
  }
}
