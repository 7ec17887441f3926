import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { useRoad } from '../support/road.ts'
import { runWcg } from '../support/run-wcg.ts'
import { agree, NOTICE, PATHS, senderOf, until, type Sender } from '../support/send-road.ts'

const DAILY = 50

describe('what an operator asks of a running gateway', () => {
  const road = useRoad({
    sandbox: { platform: { limits: { [PATHS.template_message]: { perDay: DAILY } } } },
  })
  const wcg = (...typed: string[]) =>
    runWcg(road().database.url, typed, { env: { WECHAT_API_BASE_URL: road().sandboxUrl } })
  const name = () => road().account.name

  /** The answer of a command with --json. */
  async function answered(...typed: string[]): Promise<unknown> {
    const { out, err, code } = await wcg(...typed, '--json')
    if (code !== 0) throw new Error(`exit code ${code}: ${err}`)
    return JSON.parse(out)
  }

  describe('wcg explain', () => {
    it('says it in both languages, without a database', async () => {
      const english = await runWcg('postgres://127.0.0.1:1/none', ['explain', '43004'])
      expect(english.code).toBe(0)
      expect(english.out).toContain('require subscribe')
      expect(english.out).toContain('never by itself')
      const chinese = await wcg('explain', '43004', '--lang', 'zh')
      expect(chinese.out).toContain('产品规则：视为已拒收')
      expect(chinese.out).toContain('不会自动重试')
      expect(await answered('explain', '43004', '--platform', 'wecom')).toMatchObject({
        class: 'invalid_recipient',
        found_in: 'wecom',
        override: null,
      })
    })

    it('names what it does not understand', async () => {
      expect((await wcg('explain', 'abc')).err).toContain('must be an errcode')
      const unknown = await wcg('explain', '43004', '--platform', 'weibo')
      expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('oa, mini, open')])
      const both = await wcg('explain', '1', '--platform', 'oa', '--account', name())
      expect(both.code).toBe(2)
    })
  })

  describe('wcg account override', () => {
    const override = (...more: string[]) => ['account', 'override', name(), ...more]
    const because = ['--reason', 'our templates are exempt', '--actor', 'ops'] as const

    it('is recorded, listed, explained, and taken back', async () => {
      expect((await wcg(...override())).out).toContain('was ever overridden')
      await answered(...override('--code', '43101', '--class', 'other', ...because))
      expect(await answered('explain', '43101', '--account', name())).toMatchObject({
        class: 'other',
        override: { replaces: 'opt_out', actor: 'ops', reason: 'our templates are exempt' },
      })
      const spoken = await wcg('explain', '43101', '--account', name())
      expect(spoken.out).toContain('opt_out → other, by ops at')
      expect(await road().api(`/v1/error-codes?account=${name()}&code=43101`)).toMatchObject({
        body: { error_codes: [{ class: 'other', override: { actor: 'ops' } }] },
      })
      await answered(...override('--code', '43101', '--remove', ...because))
      expect(await answered(...override())).toMatchObject({
        overrides: [{ code: 43101, class: 'other', removed_by: 'ops' }],
      })
      expect(await answered('explain', '43101', '--account', name())).toMatchObject({
        class: 'opt_out',
        override: null,
      })
    })

    it.each(['43004', '40132'])('leaves %s an opt-out, and says why', async (code) => {
      const english = await wcg(...override('--code', code, '--class', 'other', ...because))
      expect([english.out, english.code]).toEqual(['', 2])
      expect(english.err).toContain(`code ${code} always marks the person as opted out`)
      const chinese = await wcg(
        ...override('--code', code, '--class', 'transient', ...because, '--lang', 'zh'),
      )
      expect(chinese.err).toContain('这是产品规则')
      expect(await road().database.db('code_override').where({ code })).toEqual([])
    })

    it('lets only the platform say that a message has arrived, and shows what is ignored', async () => {
      const code = ['--code', '45015']
      const refused = await wcg(...override(...code, '--class', 'duplicate', ...because))
      expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('must be one of')])
      const { id } = road().account
      const old = { account_id: id, code: 45015, class: 'duplicate', actor: 'ops', reason: 'old' }
      await road().database.db('code_override').insert(old)
      expect((await wcg(...override())).out).toContain('ignored: only the platform says')
      expect((await wcg(...override(), '--lang', 'zh')).out).toContain('不生效：只有平台')
      expect(await answered(...override())).toMatchObject({
        overrides: [{ code: 45015, ignored: 'class_is_settled' }, { ignored: null }],
      })
      await answered(...override(...code, '--remove', ...because))
    })

    it('asks for what is missing', async () => {
      const code = ['--code', '43101']
      expect((await wcg(...override('--class', 'other', ...because))).err).toContain('--code')
      expect((await wcg(...override(...code, '--class', 'other'))).err).toContain('--reason')
      const none = await wcg(...override(...code, '--class', 'ok', ...because))
      expect([none.code, none.err]).toEqual([2, expect.stringContaining('--class')])
    })
  })

  describe('wcg quota', () => {
    const pauses = () =>
      road().database.db('sending_pause').select('channel', 'reason').orderBy('channel')

    /** A channel that rests is named wherever somebody asks why nothing is sent. */
    async function expectRest(sender: Sender, to: string): Promise<void> {
      const reason = 'quota_margin'
      const rests = { reason, until: expect.stringMatching(/T16:00:00/) as string }
      const content = { template_id: NOTICE, data: { thing1: { value: 'x' } } }
      const send = { account: name(), channel: 'template_message', content }
      const ask = async (path: string, body?: unknown) =>
        (await road().api(path, body === undefined ? {} : { body })).body

      expect(await ask('/v1/messages:check', { ...send, to })).toMatchObject({
        allowed: true,
        ...rests,
      })
      const waiting = (await sender.messages()).filter(({ status }) => status === 'queued')
      expect(waiting.length).toBeGreaterThan(0)
      for (const { id } of waiting) {
        expect(await ask(`/v1/messages/${id}`)).toMatchObject(rests)
      }
      const audience = { scope: 'follow' }
      const { id } = z
        .object({ id: z.string() })
        .parse(await ask('/v1/broadcasts', { ...send, audience }))
      const broadcast = () => ask(`/v1/broadcasts/${id}`)
      await until(broadcast, (body) => (body as { status: string }).status === 'running')
      expect(await broadcast()).toMatchObject({ ...rests, estimated_end_at: null })
      await road().api(`/v1/broadcasts/${id}/cancel`, { body: {} })

      expect(await answered('account', 'show', name())).toMatchObject({
        sending: { rests: [{ channel: 'template_message', errcode: null, ...rests }] },
      })
      expect((await wcg('doctor')).out).toContain(`template_message of ${name()} rests until`)
    }

    it('shows what was called, rests before 45009, and goes on after a clearing', async () => {
      const sender = senderOf(road())
      const people = await Promise.all(
        Array.from({ length: DAILY + 10 }, async () => {
          const person = road().people.newOpenid()
          await agree(road().people, person, 'template_message')
          return person
        }),
      )
      const ask = (to: string) => sender.ask({ to, channel: 'template_message' })
      const first = await ask(people[0] ?? '')
      await sender.ended(first, ['delivered'])
      const shown = () => road().api(`/v1/accounts/${name()}/quota`)
      const quotaOf = (body: unknown) =>
        (body as { paths: { path: string; calls: number }[] }).paths.find(
          ({ path }) => path === PATHS.template_message,
        )
      await until(shown, ({ body }) => quotaOf(body)?.calls === 1)
      const known = { daily_limit: DAILY, limit_source: 'platform', state: 'ok' }
      expect(quotaOf((await shown()).body)).toMatchObject(known)
      expect(quotaOf(await answered('quota', 'show', name(), '--online'))).toMatchObject(known)

      await Promise.all(people.slice(1).map(ask))
      await until(pauses, (rows) => rows.length > 0)
      expect(await pauses()).toEqual([{ channel: 'template_message', reason: 'quota_margin' }])
      const errcodes = road()
        .sandbox.log({ kind: 'call' })
        .entries.map((entry) => ('errcode' in entry ? entry.errcode : null))
      expect(errcodes).not.toContain(45009)
      expect(quotaOf((await shown()).body)).toMatchObject({ calls: 49, state: 'resting' })
      await expectRest(sender, people[0] ?? '')

      const asked = await wcg('quota', 'clear', name())
      expect([asked.code, asked.out]).toEqual([2, ''])
      expect(asked.err).toContain('allows 10 clearings a month, and this gateway has used 0')
      expect(await answered('quota', 'clear', name(), '--yes', '--actor', 'ops')).toMatchObject({
        interface: 'clear_quota',
        left: 9,
      })
      expect(await pauses()).toEqual([])
      const all = await sender.allEnded()
      const own = all.filter(({ reason }) => reason !== 'broadcast_cancelled')
      expect(own).toHaveLength(people.length)
      expect(own.filter(({ status }) => status !== 'sent' && status !== 'delivered')).toEqual([])
    })

    it('clears by AppSecret too, and says so when the month is used up', async () => {
      for (let n = 0; n < 8; n += 1) await answered('quota', 'clear', name(), '--v2', '--yes')
      const clear = (body: object) => road().api(`/v1/accounts/${name()}/quota:clear`, { body })
      const unsure = await clear({ v2: true })
      expect(unsure).toMatchObject({
        status: 400,
        body: {
          faults: [{ field: 'confirm', rule: expect.stringContaining('has used 9') as string }],
        },
      })
      expect(await clear({ v2: true, confirm: true })).toMatchObject({
        status: 200,
        body: { account: name(), cleared: true, interface: 'clear_quota/v2', left: 0 },
      })
      expect(await clear({ confirm: true })).toMatchObject({
        status: 409,
        body: { code: 'quota_refused', detail: expect.stringContaining('48006') as string },
      })
      const clears = { used: 10, per_month: 10 }
      expect(await answered('quota', 'show', name())).toMatchObject({ clears })
      expect((await wcg('quota', 'show', name())).out).toContain('this gateway has used 10')
      const refreshed = await road().api(`/v1/accounts/${name()}/quota:refresh`, { body: {} })
      expect(refreshed).toMatchObject({ status: 200, body: { clears } })
      const { paths } = refreshed.body as { paths: { path: string }[] }
      expect(paths.find(({ path }) => path === PATHS.template_message)).toMatchObject({
        daily_limit: DAILY,
        calls: 0,
      })
      const over = await wcg('quota', 'clear', name(), '--v2', '--yes', '--lang', 'zh')
      expect([over.code, over.out]).toEqual([1, ''])
      expect(over.err).toContain('48006')
      const records: unknown[] = await road().database.db('quota_clear').select('interface')
      expect(records).toHaveLength(10)
    })

    it('asks the platform about a rid', async () => {
      const person = road().people.newOpenid()
      await agree(road().people, person, 'template_message')
      const answer = { openid: person, errcode: 47003, times: 1 }
      road().sandbox.addFault({ path: PATHS.template_message, ...answer })
      const sender = senderOf(road())
      const id = await sender.ask({ to: person, channel: 'template_message' })
      await sender.ended(id, ['failed'])
      const { body } = await road().api(`/v1/messages/${id}`)
      const attempt = (body as { attempts: { rid: string }[] }).attempts.at(-1)
      const found = await answered('quota', 'rid', name(), attempt?.rid ?? '')
      expect(found).toMatchObject({ client_ip: '127.0.0.1' })
      const rids = `/v1/accounts/${name()}/rids`
      expect((await road().api(`${rids}/${attempt?.rid ?? ''}`)).body).toEqual(found)
      expect(await road().api(`${rids}/00000000-00000000-00000000`)).toMatchObject({
        status: 404,
        body: { code: 'quota_refused' },
      })
      expect(JSON.stringify(found)).toContain('47003')
      expect(JSON.stringify(found)).toContain('access_token=******')
      const unknown = await wcg('quota', 'rid', name(), '00000000-00000000-00000000')
      expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('76001')])
    })
  })

  describe('wcg templates sync', () => {
    it('makes the acceptance of a long-term template a standing right', async () => {
      const template_id = 'LongTerm1Rk2Tn7Lp1Zs6Yb3Wc9Hf5Jg0AeUiOoKtXrN'
      const { people, sandboxUrl, account } = road()
      await fetch(`${sandboxUrl}/sandbox/accounts/${account.appId}/templates`, {
        method: 'POST',
        body: JSON.stringify({ template_id, title: '提醒', long_term: true }),
      })
      const creditsOf = async () => {
        const person = people.newOpenid()
        await people.accept(person, [template_id])
        const view = await road().api(`/v1/accounts/${name()}/consents/${person}`)
        return (view.body as { consents: { credits: number | null }[] }).consents[0]?.credits
      }
      expect(await creditsOf()).toBe(1)
      await answered('templates', 'sync', name())
      await until(creditsOf, (credits) => credits === null)
    })
  })

  describe('wcg account drill', () => {
    it('does nothing before it was told twice', async () => {
      const { out, err, code } = await wcg('account', 'drill', name())
      expect([out, code]).toEqual(['', 2])
      expect(err).toContain('two of the day’s 20 forced refreshes')
    })

    it('is refused for a classic token', async () => {
      await road().store.updateSettings(name(), { token_kind: 'classic' })
      const refused = await wcg('account', 'drill', name(), '--yes', '--lang', 'zh')
      expect([refused.out, refused.code]).toEqual(['', 1])
      expect(refused.err).toContain('只有 token_kind 为 stable 的帐号可以强制刷新')
    })
  })
})
