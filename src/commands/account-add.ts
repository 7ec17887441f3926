import { readNewAccount } from '../accounts/account-input.ts'
import { valueOf } from '../accounts/account-rules.ts'
import {
  accountAnswer,
  accountWarnings,
  callbackLine,
  callbackUrl,
  SETTING_OPTIONS,
  settingsInput,
} from './account-options.ts'
import type { Command, CommandContext } from './command.ts'
import { KINDS } from './help.ts'
import { readTyped } from './typed-secret.ts'

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
      help: { en: 'Required: the AppID.', zh: '必填：AppID。' },
    },
    'original-id': {
      type: 'text',
      value: 'gh_…',
      help: { en: 'Required: the original id (原始 ID).', zh: '必填：原始 ID。' },
    },
    secret: {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'Required: the AppSecret; @file reads it from a file, @- from standard input.',
        zh: '必填：AppSecret；@文件 从文件读取，@- 从标准输入读取。',
      },
    },
    token: {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'Required: the callback Token (令牌), 3 to 32 letters and digits.',
        zh: '必填：令牌 (Token)，3 到 32 位字母或数字。',
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
        en: 'As set on the platform’s page (安全模式, 兼容模式, 明文模式); safe by default.',
        zh: '与平台页面一致：safe 安全模式（默认）、compatible 兼容模式、plain 明文模式。',
      },
    },
    ...SETTING_OPTIONS,
  },

  async run(context) {
    const account = valueOf(readNewAccount(await readInput(context)))
    const { say, output } = context
    await context.withGateway(async ({ parts }, config) => {
      const added = await parts.accounts.add(account)
      const { publicBaseUrl } = config.http
      const url = callbackLine(publicBaseUrl, added.name, say)
      output.answer(
        { ...accountAnswer(added, say), callback_url: callbackUrl(publicBaseUrl, added.name) },
        [say('account_added', { name: added.name }), say('enter_callback', { url })].join('\n'),
      )
      for (const warning of accountWarnings(added, say)) output.note(warning)
    })
  },
}

async function readInput(context: CommandContext) {
  const { args } = context
  return {
    name: args.word(0) || undefined,
    kind: args.text('kind'),
    appId: args.text('app-id'),
    originalId: args.text('original-id'),
    mode: args.text('mode'),
    secret: await readTyped(context, 'secret'),
    token: await readTyped(context, 'token'),
    aesKey: await readTyped(context, 'aes-key'),
    ...settingsInput(args),
  }
}
