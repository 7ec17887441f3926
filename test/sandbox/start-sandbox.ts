import { createSandbox } from '../../src/sandbox/sandbox.ts'
import type { PlatformRules, PushRules } from '../../src/sandbox/options.ts'
import type { AccountInput } from '../../src/sandbox/inputs.ts'
import { AES_KEY, TOKEN, startReceiver } from './callback-receiver.ts'

export const APP_ID = 'wx7f3a9c2e5b8d1046'
export const SECRET = 'sandboxsecretsandboxsecret000001'
export const TEMPLATE = 'k3VtQm8ZrYxL1nWcB5uJpHs0GfEaD7oT2iKvRyMqXwN'

interface Choices {
  readonly account?: Partial<AccountInput>
  readonly platform?: Partial<PlatformRules>
  readonly push?: Partial<PushRules>
}

/** A sandbox with one account whose pushes go to a receiver, and the calls that tests make. */
export async function startSandbox(choices: Choices = {}) {
  const receiver = await startReceiver(APP_ID)
  const sandbox = createSandbox({
    seed: 'tests',
    accounts: [
      {
        app_id: APP_ID,
        secret: SECRET,
        original_id: 'gh_5c1e8a2b7d90',
        token: TOKEN,
        aes_key: AES_KEY,
        callback_url: receiver.url,
        ...choices.account,
      },
    ],
    platform: { receiptDelayMs: 1, ...choices.platform },
    push: { answerTimeoutMs: 300, repeatAfterNoConnectionMs: 1, ...choices.push },
  })
  const { url } = await sandbox.listen()

  const post = (path: string, body: unknown) =>
    fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
  const classicPath = `/cgi-bin/token?grant_type=client_credential&appid=${APP_ID}&secret=${SECRET}`
  const json = async (response: Response): Promise<Record<string, unknown>> => {
    const value: unknown = await response.json()
    return { ...(typeof value === 'object' ? value : {}) }
  }
  const stable = (more: object = {}) =>
    post('/cgi-bin/stable_token', {
      grant_type: 'client_credential',
      appid: APP_ID,
      secret: SECRET,
      ...more,
    }).then(json)
  let token: string | undefined
  let tokenDies = 0
  const api = async (
    path: string,
    body?: unknown,
    method = body === undefined ? 'GET' : 'POST',
  ) => {
    if (sandbox.now().getTime() > tokenDies) {
      token = String((await stable()).access_token)
      tokenDies = sandbox.now().getTime() + 6_000_000
    }
    const address = `${url}${path}${path.includes('?') ? '&' : '?'}access_token=${token ?? ''}`
    return fetch(address, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  }

  return {
    sandbox,
    receiver,
    url,
    account: sandbox.account(APP_ID),
    post,
    json,
    api,
    stable,
    classic: () => fetch(url + classicPath).then(json),
    /** The errcode that a token meets at an API. */
    tryToken: async (value: unknown) =>
      (await json(await fetch(`${url}/cgi-bin/getcallbackip?access_token=${String(value)}`)))
        .errcode,
    sendTemplate: (openid: string, more: object = {}) =>
      api('/cgi-bin/message/template/send', {
        touser: openid,
        template_id: TEMPLATE,
        data: { thing1: { value: '到货' } },
        ...more,
      }),
    sendSubscription: (openid: string, more: object = {}) =>
      api('/cgi-bin/message/subscribe/bizsend', {
        touser: openid,
        template_id: TEMPLATE,
        data: { thing1: { value: '到货' } },
        ...more,
      }),
    reply: (openid: string, content = '您好') =>
      api('/cgi-bin/message/custom/send', { touser: openid, msgtype: 'text', text: { content } }),
    errcodeOf: async (answer: Promise<Response>) => (await json(await answer)).errcode,
    async stop() {
      await sandbox.close()
      await receiver.close()
    },
  }
}
