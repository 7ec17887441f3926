import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addAccount } from '../api/served-api.ts'
import { useTestDatabase } from '../support/database.ts'
import { giveConsent, newPerson } from '../support/messages.ts'
import { runWcg } from '../support/run-wcg.ts'

const database = useTestDatabase()
let folder = ''
let account: { id: number; name: string }
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wcg-send-'))
  account = await addAccount(database().db, 'acme')
  await database().db('account').insert({
    name: 'corp',
    kind: 'wecom_app',
    app_id: 'wwcorp',
    agent_id: '1000002',
    mode: 'safe',
  })
})
afterAll(() => rm(folder, { recursive: true }))

// the accounts here have no secrets, which a gateway would say
const QUIET = { env: { LOG_LEVEL: 'silent' } }
const send = (...typed: string[]) => runWcg(database().url, ['send', ...typed, '--json'], QUIET)

async function accepted(...typed: string[]) {
  const { out, err, code } = await send(...typed)
  if (code !== 0) throw new Error(`exit code ${code}: ${err}`)
  const { id } = JSON.parse(out) as { id: string }
  return database().db('message').where({ id }).first<Record<string, unknown> | undefined>()
}

describe('wcg send', () => {
  it('plans the first channel that is allowed of those it is given', async () => {
    const person = newPerson()
    await giveConsent(database().db, { accountId: account.id, subject: person, scope: 'follow' })
    const content = {
      template_message: { template_id: 'T1', data: {} },
      subscription_message: { template_id: 'S1', data: {} },
    }
    const typed = ['--account', 'acme', '--to', person, '--channel', 'auto']
    const message = await accepted(...typed, '--content', JSON.stringify(content))
    expect(message).toMatchObject({ channel: 'template_message', template_id: 'T1' })
    const order = 'template_message,wecom_app_message'
    const refused = await send(...typed, '--content', JSON.stringify(content), '--order', order)
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('order.1')])
  })

  it('names the employee of a welcome message', async () => {
    const content = join(folder, 'welcome.json')
    await writeFile(
      content,
      JSON.stringify({ welcome_code: 'CODE-1', text: { content: 'Welcome' } }),
    )
    const typed = ['--account', 'corp', '--to', 'wmCustomer', '--channel', 'wecom_welcome_message']
    const message = await accepted(...typed, '--content', `@${content}`, '--sender', 'zhangsan')
    expect(message).toMatchObject({ consent_scope: 'external_contact:zhangsan' })
    expect(JSON.stringify(message)).not.toContain('CODE-1')
  })

  it('takes the key of a robot from a file, and not from the command line', async () => {
    const key = join(folder, 'robot.key')
    await writeFile(key, 'aaaabbbb-1111-2222-3333-ccccddddeeee\n')
    const content = JSON.stringify({ msgtype: 'text', text: { content: 'Hello' } })
    const typed = ['--account', 'corp', '--to', 'group', '--channel', 'wecom_robot_message']
    const message = await accepted(...typed, '--content', content, '--robot-key', `@${key}`)
    expect(message?.['sealed_secret']).toMatch(/^v1\./)
    const refused = await send(...typed, '--content', content, '--robot-key', 'aaaabbbb-1111')
    expect([refused.code, refused.out]).toEqual([2, ''])
    expect(refused.err).toContain('must be @file or @-')
    expect(refused.err).not.toContain('aaaabbbb')
  })
})
