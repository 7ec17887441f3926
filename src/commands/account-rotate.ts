import { readRotation } from '../accounts/account-input.ts'
import { valueOf } from '../accounts/account-rules.ts'
import type { Gateway } from '../compose.ts'
import type { Command } from './command.ts'
import { readTyped } from './typed-secret.ts'

export const accountRotate: Command = {
  name: 'account rotate',
  summary: {
    en: 'Put new secrets in place; the callback key before stays accepted until it is dropped.',
    zh: '更换密钥；旧的回调密钥在删除之前仍可使用。',
  },
  words: ['NAME'],
  options: {
    token: {
      type: 'text',
      value: 'text|@file',
      help: { en: 'The new callback Token.', zh: '新的令牌 (Token)。' },
    },
    'aes-key': {
      type: 'text',
      value: 'text|@file',
      help: { en: 'The new EncodingAESKey.', zh: '新的 EncodingAESKey。' },
    },
    secret: {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'The new AppSecret (of WeCom: Secret, suite secret); the token endpoint is asked afresh.',
        zh: '新的 AppSecret（企业微信为应用 Secret 或 suite_secret）；将重新获取 access_token。',
      },
    },
    'provider-secret': {
      type: 'text',
      value: 'text|@file',
      help: {
        en: 'The new ProviderSecret of a wecom_suite’s provider.',
        zh: 'wecom_suite 服务商的新 ProviderSecret。',
      },
    },
    'master-key-lost': {
      type: 'flag',
      help: {
        en: 'Go on although WCG_MASTER_KEY opens nothing in the database: the key before it is lost.',
        zh: '即使 WCG_MASTER_KEY 无法解开数据库中的任何密文也继续：之前的主密钥已丢失。',
      },
    },
    'drop-previous': {
      type: 'flag',
      help: { en: 'Forget the previous callback key.', zh: '删除旧的回调密钥。' },
    },
  },

  async run(context) {
    const { args, say, output } = context
    const name = args.word(0)
    const dropPrevious = args.flag('drop-previous')
    const rotation = valueOf(
      readRotation({
        token: await readTyped(context, 'token'),
        aesKey: await readTyped(context, 'aes-key'),
        secret: await readTyped(context, 'secret'),
        providerSecret: await readTyped(context, 'provider-secret'),
        dropPrevious,
      }),
    )
    const masterKey = args.flag('master-key-lost') ? 'any' : 'own'
    const rotate = async ({ parts: { accounts } }: Gateway) => {
      const changed = await accounts.rotate(name, rotation)
      const dropped = dropPrevious && (await accounts.dropPrevious(name))
      const isKept = changed.callbackKey && !changed.previousLost && !dropPrevious
      const lines = [
        ...(changed.previousLost ? [say('pair_replaced', { name })] : []),
        ...(isKept ? [say('key_rotated', { name })] : []),
        ...(changed.secret ? [say('secret_replaced', { name })] : []),
        ...(changed.providerSecret ? [say('provider_secret_replaced', { name })] : []),
        ...(dropPrevious && !changed.previousLost
          ? [say(dropped ? 'previous_dropped' : 'no_previous', { name })]
          : []),
      ]
      output.answer(
        {
          name,
          callback_key_rotated: changed.callbackKey,
          previous_lost: changed.previousLost,
          secret_replaced: changed.secret,
          provider_secret_replaced: changed.providerSecret,
          previous_dropped: dropped,
        },
        lines.join('\n') || say('nothing_changed'),
      )
    }
    await context.withGateway(rotate, { masterKey })
  },
}
