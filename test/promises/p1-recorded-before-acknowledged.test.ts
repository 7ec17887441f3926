import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sleep } from '../../src/foundation/clock.ts'
import { changesOf, documentOf, newOpenid, type Act } from '../support/push-documents.ts'
import { recordedAbout } from '../support/recorded.ts'
import { useRoad } from '../support/road.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'

/** The platform gives up after 5 s. */
const PLATFORM_WAITS_MS = 5_000

const road = useRoad()

function documentFrom(openid: string, act: Act = { kind: 'subscribe', key: '' }): string {
  const { originalId } = road().account
  return documentOf({ originalId, openid, at: Math.floor(Date.now() / 1000) }, act)
}

const recorded = (openid: string) => recordedAbout(road().database.db, road().account.id, openid)

const ALL_OF_A_FOLLOW = {
  ledger: ['conversation:action granted', 'follow granted'],
  scopes: ['conversation:action', 'follow'],
}

/** Keeps every recording waiting until the returned function is called. */
async function blockRecording(): Promise<() => Promise<void>> {
  const trx = await road().database.db.transaction()
  await trx.raw('lock table event in access exclusive mode')
  return async () => {
    await trx.rollback()
  }
}

describe('p1 recorded-before-acknowledged', { timeout: 60_000 }, () => {
  it('gives no answer while the recording waits, and success when it is committed', async () => {
    const openid = newOpenid()
    const document = documentFrom(openid)
    const release = await blockRecording()
    let answered = false
    const pushed = road()
      .push(document)
      .finally(() => {
        answered = true
      })
    await sleep(1_000)
    const answeredWhileBlocked = answered
    await release()
    const answer = await pushed
    expect(answeredWhileBlocked).toBe(false)
    expect(answer).toMatchObject({
      status: 200,
      text: 'success',
      contentType: 'text/plain; charset=utf-8',
    })
    expect(await recorded(openid)).toEqual({ documents: [document], ...ALL_OF_A_FOLLOW })
  })

  it('answers 503 in time when the recording goes on waiting, and takes the repeat', async () => {
    const openid = newOpenid()
    const document = documentFrom(openid)
    const release = await blockRecording()
    const answer = await road().push(document)
    await release()
    expect(answer).toMatchObject({ status: 503, text: '' })
    expect(answer.tookMs).toBeLessThan(PLATFORM_WAITS_MS)

    expect(await road().push(document)).toMatchObject({ status: 200, text: 'success' })
    expect(await recorded(openid)).toEqual({ documents: [document], ...ALL_OF_A_FOLLOW })
  })

  it('shows event, ledger and consent to another connection as soon as success arrives', async () => {
    const acts: Act[] = [
      { kind: 'subscribe', key: 'qrscene_1' },
      { kind: 'unsubscribe', key: '' },
      { kind: 'accept', templateId: 'T1' },
      { kind: 'switch_off', templateId: 'T1' },
      { kind: 'say', text: '退订', msgId: '3400000000000000001' },
    ]
    const seen = await Promise.all(
      Array.from({ length: 150 }, async (_, index) => {
        const openid = newOpenid()
        const document = documentFrom(openid, acts[index % acts.length])
        const { text } = await road().push(document)
        const now = await recorded(openid)
        return { document, text, now }
      }),
    )
    for (const { document, text, now } of seen) {
      const changes = changesOf(document)
      expect(text).toBe('success')
      expect(now.documents).toEqual([document])
      expect(now.ledger).toEqual(changes.map(({ scope, change }) => `${scope} ${change}`).sort())
      expect(now.scopes).toEqual(changes.map(({ scope }) => scope).sort())
    }
  })

  it('records nothing of a push whose consent change fails, and all of those beside it', async () => {
    const { db } = road().database
    const [broken, ...others] = Array.from({ length: 20 }, newOpenid)
    await db.raw(`
      create function fail_for_one() returns trigger language plpgsql as $$
      begin
        if new.subject = '${broken}' then raise exception 'not this one'; end if;
        return new;
      end $$;
      create trigger fail_for_one before insert on consent_ledger
        for each row execute function fail_for_one();`)
    const documents = new Map([broken!, ...others].map((openid) => [openid, documentFrom(openid)]))
    const answers = new Map(
      await Promise.all(
        [...documents].map(async ([openid, document]) => {
          return [openid, await road().push(document)] as const
        }),
      ),
    )
    expect(answers.get(broken!)).toMatchObject({ status: 503, text: '' })
    expect(await recorded(broken!)).toEqual({ documents: [], ledger: [], scopes: [] })
    for (const openid of others) {
      expect(answers.get(openid)).toMatchObject({ status: 200, text: 'success' })
      const all = { documents: [documents.get(openid)], ...ALL_OF_A_FOLLOW }
      expect(await recorded(openid)).toEqual(all)
    }

    await db.raw('drop function fail_for_one() cascade')
    expect(await road().push(documents.get(broken!)!)).toMatchObject({ text: 'success' })
    expect((await recorded(broken!)).ledger).toEqual(ALL_OF_A_FOLLOW.ledger)
  })
})

describe('p1 recorded-before-acknowledged, while the database is away', { timeout: 60_000 }, () => {
  let proxy: TcpProxy
  let gateway: Awaited<ReturnType<ReturnType<typeof road>['startGateway']>>
  beforeAll(async () => {
    proxy = await startTcpProxy(road().database.url)
    gateway = await road().startGateway({ databaseUrl: proxy.url })
    const { account, sandbox } = road()
    sandbox.addAccount({
      app_id: account.appId,
      secret: account.secret,
      original_id: account.originalId,
      token: account.token,
      aes_key: account.aesKey,
      callback_url: road().callbackUrl(gateway),
    })
  })
  afterAll(() => proxy.close())

  it('answers 503 at once, answers the handshake, lives on and takes the repeat', async () => {
    const [before, during] = [newOpenid(), newOpenid()]
    expect(await road().push(documentFrom(before), { gateway })).toMatchObject({ text: 'success' })

    await proxy.cut()
    const document = documentFrom(during)
    const first = await road().push(document, { gateway })
    const crowd = await Promise.all(
      Array.from({ length: 50 }, () => road().push(document, { gateway })),
    )
    const handshake = await road().people.handshake()
    await proxy.restore()

    for (const answer of [first, ...crowd]) {
      expect(answer).toMatchObject({ status: 503, text: '' })
      expect(answer.tookMs).toBeLessThan(2_000)
    }
    expect(handshake).toMatchObject({ verified: true, status: 200 })
    expect((await recorded(during)).documents).toEqual([])
    await expect
      .poll(async () => (await road().push(document, { gateway })).text, { timeout: 20_000 })
      .toBe('success')
    expect(await recorded(during)).toEqual({ documents: [document], ...ALL_OF_A_FOLLOW })
  })

  it('answers 503 inside the 5 seconds when the database hangs, and recovers', async () => {
    const [before, during] = [newOpenid(), newOpenid()]
    expect(await road().push(documentFrom(before), { gateway })).toMatchObject({ text: 'success' })

    // Several connections of the pool, so that nothing finds out by having to make a new one.
    await Promise.all(Array.from({ length: 20 }, () => road().api('/v1/messages', { gateway })))
    proxy.freeze()
    const document = documentFrom(during)
    const early = await Promise.all(
      Array.from({ length: 10 }, () => road().push(document, { gateway })),
    )
    // By now the accounts in memory are due to be read again.
    await sleep(2_500)
    const late = await Promise.all([
      ...Array.from({ length: 10 }, () => road().push(document, { gateway })),
    ])
    await proxy.cut()
    await proxy.restore()

    for (const answer of [...early, ...late]) {
      expect(answer).toMatchObject({ status: 503, text: '' })
      expect(answer.tookMs).toBeLessThan(PLATFORM_WAITS_MS)
    }
    await expect
      .poll(async () => (await road().push(document, { gateway })).text, { timeout: 20_000 })
      .toBe('success')
    expect(await recorded(during)).toEqual({ documents: [document], ...ALL_OF_A_FOLLOW })
  })

  it('recovers by new connections when the open ones have died without a word', async () => {
    const [before, during] = [newOpenid(), newOpenid()]
    expect(await road().push(documentFrom(before), { gateway })).toMatchObject({ text: 'success' })
    proxy.strand()

    const document = documentFrom(during)
    // idle ones leave the pool after 30 s, those in use after 3.5 s; TCP alone needs a quarter of an hour
    await expect
      .poll(async () => (await road().push(document, { gateway })).text, { timeout: 45_000 })
      .toBe('success')
    expect(await recorded(during)).toEqual({ documents: [document], ...ALL_OF_A_FOLLOW })
  }, 60_000)
})
