import { randomBytes } from 'node:crypto'
import express from 'express'
import request from 'supertest'
import { beforeAll, describe, expect, it } from 'vitest'
import { decideSend } from '../../src/consent/consent-store.ts'
import { forgetOldLinks } from '../../src/consent/one-time-link-store.ts'
import { createOneTimeLinks } from '../../src/consent/one-time-links.ts'
import { settleCalls } from '../../src/consent/settle-calls.ts'
import { sha256 } from '../../src/foundation/ids.ts'
import { createLog } from '../../src/foundation/log.ts'
import { addOneTimeRoute } from '../../src/receiver/one-time-route.ts'
import { useTestDatabase } from '../support/database.ts'
import { newPerson, readLedger } from '../support/messages.ts'
import { accountOf } from '../support/proven-pushes.ts'
import { insertAccount } from '../support/rows.ts'

const database = useTestDatabase()
const db = () => database().db
const lines: string[] = []
const log = createLog('debug', { write: (line: string) => void lines.push(line) })
let accountId: number
let aheadMs = 0
const clock = { now: () => new Date(Date.now() + aheadMs), monotonicMs: () => performance.now() }

beforeAll(async () => {
  accountId = await insertAccount(db())
})

const links = (publicBaseUrl: string | null = 'https://wechat.example.com/') =>
  createOneTimeLinks({
    ...{ db: db(), clock, publicBaseUrl },
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
    settle: (account, subject) => settleCalls(db(), account, subject),
  })

function app() {
  const server = express()
  addOneTimeRoute(server, {
    findAccount: (name) => Promise.resolve(name === 'acme' ? accountOf(accountId) : undefined),
    answerLink: (answer) => links().answer(answer),
    log,
  })
  return request(server)
}

async function newLink(more: { subject?: string; returnUrl?: string; templateId?: string } = {}) {
  const { url, expiresAt } = await links().create({
    account: { id: accountId, name: 'acme', appId: 'wx1' },
    ...{ templateId: more.templateId ?? 'T', scene: '7', actor: 'shop' },
    ...{ subject: more.subject ?? null, returnUrl: more.returnUrl ?? null },
  })
  const query = new URL(url).searchParams
  return { url, expiresAt, query, reserved: query.get('reserved') ?? '' }
}

/** The redirect of the platform's page. */
function comeBack(reserved: string, changes: Record<string, string> = {}, account = 'acme') {
  const query = { openid: 'oNobody', template_id: 'T', action: 'confirm', scene: '7', reserved }
  return app()
    .get(`/callbacks/${account}/one-time`)
    .query({ ...query, ...changes })
}

const decide = (subject: string, templateId = 'T') =>
  decideSend(db(), {
    ...{ accountId, subject, channel: 'one_time_subscription', templateId },
    ...{ consentScope: 'one_time:7', at: clock.now() },
  })

describe('a link for a one-time subscription', () => {
  it('leads to the platform and back, with a value that nobody can guess', async () => {
    const { url, query, reserved } = await newLink()
    expect(url).toMatch(/^https:\/\/mp\.weixin\.qq\.com\/mp\/subscribemsg\?.+#wechat_redirect$/)
    expect(Object.fromEntries(query)).toEqual({
      action: 'get_confirm',
      appid: 'wx1',
      scene: '7',
      template_id: 'T',
      redirect_url: 'https://wechat.example.com/callbacks/acme/one-time',
      reserved,
    })
    expect(reserved).toMatch(/^[a-zA-Z0-9]{48}$/)
    expect(JSON.stringify(await db()('one_time_link'))).not.toContain(reserved)
  })

  it('is not made without an address to come back to', async () => {
    const wish = {
      account: { id: accountId, name: 'acme', appId: 'wx1' },
      templateId: 'T',
      scene: '7',
    }
    const creating = links(null).create({ ...wish, subject: null, returnUrl: null, actor: 'shop' })
    await expect(creating).rejects.toMatchObject({ code: 'public_base_url_missing' })
  })

  it('allows one message once it is confirmed, and works once', async () => {
    const openid = newPerson()
    const { reserved } = await newLink()
    expect((await decide(openid)).reason).toBe('one_time_unknown')
    const answer = await comeBack(reserved, { openid })
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    })
    expect(await decide(openid)).toMatchObject({ allowed: true, scope: 'one_time:7' })

    expect((await comeBack(reserved, { openid: newPerson() })).status).toBe(403)
    expect(await readLedger(db(), accountId, openid)).toEqual(['one_time:7 granted'])
    expect(lines.join()).not.toContain(reserved)
    expect(lines.join()).not.toContain(openid)
  })

  it('is used up by one of two redirects that arrive at once', async () => {
    const { reserved } = await newLink()
    const people = [newPerson(), newPerson(), newPerson()]
    const answers = await Promise.all(people.map((openid) => comeBack(reserved, { openid })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 403, 403])
  })

  it('allows the template that was confirmed, and no other', async () => {
    const openid = newPerson()
    await comeBack((await newLink()).reserved, { openid })
    const other = { allowed: false, reason: 'one_time_other_template', scope: 'one_time:7' }
    expect(await decide(openid, 'U')).toMatchObject(other)
    expect(await decide(openid, 'T')).toMatchObject({ allowed: true })

    const { reserved } = await newLink({ templateId: 'U' })
    await comeBack(reserved, { openid, template_id: 'U' })
    expect(await decide(openid, 'U')).toMatchObject({ allowed: true })
    expect(await decide(openid, 'T')).toMatchObject(other)
  })

  it('says how it was answered', async () => {
    const links = [await newLink(), await newLink()]
    const [yes, no] = links.map(({ reserved }) => reserved)
    await comeBack(yes ?? '', { openid: newPerson() })
    await comeBack(no ?? '', { action: 'cancel', openid: '' })
    const actions = await Promise.all(
      [yes, no].map((reserved) =>
        db()('one_time_link')
          .where({ digest: sha256(reserved ?? '') })
          .pluck<string[]>('action'),
      ),
    )
    expect(actions.flat()).toEqual(['confirm', 'cancel'])
  })

  it('declined by the person it was made for is a refusal in the ledger', async () => {
    const subject = newPerson()
    const { reserved } = await newLink({ subject })
    expect((await comeBack(reserved, { action: 'cancel', openid: '' })).status).toBe(200)
    expect(await readLedger(db(), accountId, subject)).toEqual(['one_time:7 revoked'])
    expect((await decide(subject)).reason).toBe('one_time_revoked')

    // a later yes counts again, and a no to another template leaves it
    await comeBack((await newLink({ subject })).reserved, { openid: subject })
    const other = await newLink({ subject, templateId: 'U' })
    await comeBack(other.reserved, { action: 'cancel', openid: '', template_id: 'U' })
    expect(await decide(subject)).toMatchObject({ allowed: true })
    await comeBack((await newLink({ subject })).reserved, { action: 'cancel', openid: '' })
    expect((await decide(subject)).reason).toBe('one_time_revoked')
  })

  it('records a cancellation as an end of the link, and nothing about anybody', async () => {
    const { reserved } = await newLink({ returnUrl: 'https://shop.example.com/thanks?order=1' })
    const answer = await comeBack(reserved, { action: 'cancel', openid: '' })
    expect(answer.status).toBe(303)
    expect(answer.headers['location']).toBe('https://shop.example.com/thanks?order=1&action=cancel')
    expect((await comeBack(reserved, { openid: newPerson() })).status).toBe(403)
  })

  it('made for one person is answered by nobody else', async () => {
    const subject = newPerson()
    const { reserved } = await newLink({ subject })
    expect((await comeBack(reserved, { openid: newPerson() })).status).toBe(403)
    expect((await comeBack(reserved, { openid: subject })).status).toBe(200)
  })

  it.each<[string, Record<string, string>, string?]>([
    ['another value', { reserved: 'a'.repeat(48) }],
    ['no value', { reserved: '' }],
    ['another scene', { scene: '8' }],
    ['another template', { template_id: 'U' }],
    ['another action', { action: 'maybe' }],
    ['no person', { openid: '' }],
    ['another account', {}, 'nobody'],
  ])('is not answered by a redirect with %s', async (_what, changes, account = 'acme') => {
    const { reserved } = await newLink()
    const openid = newPerson()
    const answer = await comeBack(reserved, { openid, ...changes }, account)
    expect(answer.status).toBe(403)
    expect(await readLedger(db(), accountId, openid)).toEqual([])
  })

  it('ends after an hour, and is forgotten a day later', async () => {
    const { reserved } = await newLink()
    aheadMs = 3_601_000
    expect((await comeBack(reserved, { openid: newPerson() })).status).toBe(403)
    aheadMs = 0
    await db().raw(`update one_time_link set expires_at = now() - interval '2 days'`)
    await forgetOldLinks(db())
    expect(await db()('one_time_link')).toEqual([])
  })
})
