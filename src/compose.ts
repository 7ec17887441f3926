import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Express } from 'express'
import type { Knex } from 'knex'
import type { DestinationStream } from 'pino'
import type { Account } from './accounts/account.ts'
import { createAccountCache } from './accounts/account-cache.ts'
import { DEFAULT_SETTINGS } from './accounts/account.ts'
import { hasFollowers } from './accounts/account-kinds.ts'
import { createAccountStore, type AccountStore } from './accounts/account-store.ts'
import { createTicketMeter } from './accounts/measure-tickets.ts'
import { listTicketHolders } from './accounts/ticket-store.ts'
import { eventBody } from './api/event-routes.ts'
import { broadcastEndBody } from './api/broadcast-routes.ts'
import { messageDocument } from './api/message-routes.ts'
import type { TokenReading } from './api/token-routes.ts'
import type { Readiness } from './api/operating.ts'
import { createApp } from './app.ts'
import { createApplicationStore, type ApplicationStore } from './applications/application-store.ts'
import { createRequestSigning, type RequestSigning } from './applications/request-signing.ts'
import { countSigningSeals, forgetOldNonces, resealSigning } from './applications/signing-store.ts'
import { ensureMasterKey, type Config } from './config.ts'
import { decideSend, findLiveTemplate } from './consent/consent-store.ts'
import { createConsents, type Consents } from './consent/consents.ts'
import { createFollowerJobs } from './consent/follower-jobs.ts'
import { forgetOldLinks } from './consent/one-time-link-store.ts'
import { createOneTimeLinks } from './consent/one-time-links.ts'
import { dropParkedPushes } from './consent/drop-parked.ts'
import { countParkedSeals, resealParked } from './consent/parked-seal-store.ts'
import type { ParkingPlace } from './consent/parked-store.ts'
import { createRecorder } from './consent/record-push.ts'
import { releaseParked } from './consent/release-parked.ts'
import { settleCalls } from './consent/settle-calls.ts'
import { createFollowerSync, type FollowerSync } from './consent/sync-followers.ts'
import { openDatabase } from './database/connection.ts'
import { startEmbeddedServer } from './database/embedded-server.ts'
import { createJobEngine, type JobTasks } from './database/job-engine.ts'
import { createListener } from './database/listener.ts'
import { pending } from './database/migrate.ts'
import { createReplyDesk } from './delivery/ask-for-reply.ts'
import { countEndpointSeals, resealEndpoints } from './delivery/endpoint-seal-store.ts'
import { createCourier } from './delivery/deliver-due.ts'
import { createDeliveryJobs, measureDeliveryAge, tidyDeliveries } from './delivery/delivery-jobs.ts'
import { createEndpoints, type Endpoints } from './delivery/manage-endpoints.ts'
import { createWebhookClient } from './delivery/webhook-client.ts'
import { createDispatcher } from './dispatch/dispatcher.ts'
import { listBreakers, type OpenBreaker } from './dispatch/breaker-store.ts'
import {
  forgetOldPaces,
  forgetOldRobots,
  listPaces,
  setGatewayPace,
  type SendPace,
} from './dispatch/pace-store.ts'
import { readQuietEnd } from './dispatch/quiet-store.ts'
import {
  endQuotaRests,
  listPauses,
  restForQuota,
  type RestingChannel,
} from './dispatch/pause-store.ts'
import { createUpkeep } from './dispatch/upkeep.ts'
import { forgetOldPushesAside } from './events/aside-store.ts'
import { keepEventLog } from './events/keep-event-log.ts'
import { listEvents, type EventFilter, type StoredEvent } from './events/event-store.ts'
import { queueReleaseCheck } from './follow-ups/answer-release-check.ts'
import { exchangeRedirect, makeAuthorizationPage } from './follow-ups/authorization-page.ts'
import { createFollowUpTasks, FOLLOW_UP_SCHEDULE } from './follow-ups/follow-up-jobs.ts'
import { createAuthorizerJobs } from './follow-ups/authorizer-jobs.ts'
import type { TenantParts } from './follow-ups/exchange-code.ts'
import { reconcileAuthorizers, type Reconciliation } from './follow-ups/reconcile-authorizers.ts'
import { countJobSeals, resealJobs } from './follow-ups/reseal-jobs.ts'
import { startTickets } from './follow-ups/start-tickets.ts'
import { createTicketJobs } from './follow-ups/watch-tickets.ts'
import { systemClock, type Clock } from './foundation/clock.ts'
import { createLog, type Log } from './foundation/log.ts'
import { createMetrics, type Metrics } from './foundation/metrics.ts'
import {
  addSeals,
  createSecretBox,
  isForeign,
  type SealCount,
  type SecretBox,
} from './foundation/sealed-secrets.ts'
import { createBroadcastStore, type BroadcastStore } from './messages/broadcast-store.ts'
import { findRefused, giveUpFallback, replaceRefused } from './messages/fallback-store.ts'
import type { DecideSend } from './messages/check-send.ts'
import { createBroadcastFeeder } from './messages/feed-broadcasts.ts'
import { createForgetting } from './messages/forget-messages.ts'
import { createBroadcastMeter } from './messages/measure-broadcasts.ts'
import { findLimits } from './messages/limit-store.ts'
import type { Seal } from './messages/message-secret.ts'
import { countMessageSeals, resealMessages } from './messages/message-seal-store.ts'
import { createMessageStore, type MessageStore } from './messages/message-store.ts'
import type { FindLimits } from './messages/send-limit.ts'
import type { FindWelcomeCode } from './messages/use-welcome-code.ts'
import { findWelcomeCode, forgetOldWelcomeCodes } from './messages/welcome-code-store.ts'
import { welcomeCustomer } from './messages/welcome-customer.ts'
import { createFallbackTasks } from './messages/send-fallback.ts'
import { withLongTermTemplates } from './templates/long-term.ts'
import { createTemplateRegistry } from './templates/registry.ts'
import { templateChannelOf, type FindTemplates } from './templates/resolve-template.ts'
import { noteBanned, syncTemplates } from './templates/sync-templates.ts'
import { createTemplateDesk, type TemplateDesk } from './templates/template-desk.ts'
import { createTemplateJobs, queueSyncAfterRefusal } from './templates/template-jobs.ts'
import { listLongTermTemplates, loadTemplates } from './templates/template-store.ts'
import { createRefusalWatch } from './templates/watch-refusals.ts'
import { createFollowerSource, FOLLOWER_PATHS } from './wechat/followers.ts'
import { readJson } from './receiver/json.ts'
import { acceptParked } from './receiver/receive-push.ts'
import { createAccountApi } from './wechat/account-api.ts'
import { createAccountCodes } from './wechat/account-codes.ts'
import { SEND_PATHS } from './wechat/channels.ts'
import {
  listOverrides,
  loadOverrides,
  putOverride,
  removeOverride,
  type OverrideAct,
  type RecordedOverride,
} from './wechat/code-override-store.ts'
import type { OverrideClass } from './wechat/code-override.ts'
import { checkPermissionSets } from './wechat/permission-sets.ts'
import { createPlatformClient } from './wechat/platform-client.ts'
import { countCalls, createQuotaLedger } from './wechat/quota-ledger.ts'
import {
  addCalls,
  countClears,
  forgetOldCalls,
  keepClear,
  keepQuota,
  readTallies,
} from './wechat/quota-store.ts'
import { createQuotas, type Quotas } from './wechat/quotas.ts'
import type { TicketStart } from './wechat/component-api.ts'
import { codeSpaceOf } from './wechat/served-account.ts'
import { forgetOldDeaths, listDeaths } from './wechat/token-death-store.ts'
import type { TokenDeath } from './wechat/token-death.ts'
import { templateChannelsOf } from './wechat/template-lists.ts'
import { providerOf } from './wechat/provider-token.ts'
import type { TokenAccount } from './wechat/refresh-token.ts'
import { createTokenKeeper, type TokenKeeper } from './wechat/token-keeper.ts'
import { createTokenStore } from './wechat/token-store.ts'

export interface ComposeOptions {
  readonly clock?: Clock
  readonly log?: Log
  /** Where log lines go; standard output when absent. */
  readonly logDestination?: DestinationStream
  /** Whether an embedded database is this process's own (the gateway) or shared (a tool). */
  readonly databaseMode?: 'own' | 'join'
  /** Prometheus text of all processes behind the same port, where there are several. */
  readonly sumMetrics?: () => Promise<string>
}

/** The gateway, built and wired; nothing listens and nothing works yet. */
export interface Gateway {
  readonly app: Express
  readonly workers: { start(): Promise<void>; stop(): Promise<void> }
  readonly parts: Parts
  /** Ends everything in the reverse order of its building; later calls wait for the first. */
  stop(): Promise<void>
}

export interface Parts {
  readonly db: Knex
  readonly accounts: AccountStore
  readonly applications: ApplicationStore
  readonly signing: RequestSigning
  readonly consents: Consents
  readonly events: { list(filter: EventFilter): Promise<StoredEvent[]> }
  readonly followers: FollowerSync
  readonly messages: MessageStore
  /** Whether a message may be sent, as the gate decides it. */
  readonly decide: DecideSend
  readonly findLimits: FindLimits
  readonly findWelcomeCode: FindWelcomeCode
  /** Seals the credential of a message for its place. */
  readonly seal: Seal
  readonly broadcasts: BroadcastStore
  readonly endpoints: Endpoints
  readonly templates: TemplateDesk
  /** What is known of an account's templates, from this process's copy. */
  readonly findTemplates: FindTemplates
  /** Everything that rests sealed: secrets and tokens of accounts, credentials of messages and jobs. */
  readonly seals: Seals
  readonly tokens: TokenKeeper
  /** Addresses of the pages on which merchants and corps authorise an account. */
  readonly makeAuthorizationPage: (page: {
    readonly account: Account
    readonly gatewayUrl: string
  }) => Promise<string>
  /** Compares a component's merchants with the platform's list. */
  readonly reconcileAuthorizers: (
    component: Account,
    signal: AbortSignal,
  ) => Promise<Reconciliation>
  /** Has the platform push the tickets of a component again. */
  readonly startTickets: (component: Account) => Promise<TicketStart>
  /** The early deaths of an account's tokens since a moment, newest first. */
  readonly tokenDeaths: (accountId: number, since: Date) => Promise<TokenDeath[]>
  readonly quotas: Quotas
  /** What holds sends back at this moment, in all processes. */
  readonly sending: {
    breakers(): Promise<OpenBreaker[]>
    paces(): Promise<SendPace[]>
    pauses(): Promise<RestingChannel[]>
    /** Until when an account's marketing rests; null outside its quiet hours. */
    quietEnd(accountId: number): Promise<Date | null>
  }
  /** What operators decided about error codes. */
  readonly codeOverrides: {
    list(accountId: number): Promise<RecordedOverride[]>
    put(act: OverrideAct & { readonly class: OverrideClass }): Promise<void>
    remove(act: OverrideAct): Promise<boolean>
  }
  readonly metrics: Metrics
  readonly log: Log
}

type SealedThing =
  'secrets' | 'tokens' | 'applications' | 'endpoints' | 'messages' | 'jobs' | 'pushes'

interface Seals {
  /** Seals under the current master key what older ones sealed; answers how many of each. */
  reseal(): Promise<Record<SealedThing, number>>
  count(): Promise<{ readonly all: SealCount; readonly besideAccounts: SealCount }>
  /** Whether this process's master keys open nothing of what rests here; see `isForeign`. */
  isKeyForeign(): Promise<boolean>
}

/** A worker that has not looked at the queue for this long does not work. */
const WORKER_SILENT_MS = 15_000

/**
 * Builds the gateway from its settings: the only place where parts meet. What a later part needs of
 * an earlier one against the arrow is passed in here as a function.
 *
 * @throws AppError when the database of a development machine cannot be started or a secret cannot
 *   be opened; the parts built so far are stopped again.
 */
export async function compose(config: Config, options: ComposeOptions = {}): Promise<Gateway> {
  const undo: (() => Promise<void>)[] = []
  try {
    return await build(config, options, undo)
  } catch (error) {
    await runBackwards(undo)
    throw error
  }
}

async function build(
  config: Config,
  options: ComposeOptions,
  undo: (() => Promise<void>)[],
): Promise<Gateway> {
  const permissionSets = checkPermissionSets(config.permissionSets)
  const clock = options.clock ?? systemClock
  const log = options.log ?? createLog(config.logLevel, options.logDestination)
  const metrics = createMetrics()
  const process = `${globalThis.process.pid}-${randomUUID().slice(0, 8)}`

  const url = await openServer(config, { log, mode: options.databaseMode ?? 'own' }, undo)
  const db = openDatabase({ url, log, poolMax: config.database.poolSize })
  undo.push(() => db.destroy())

  const masterKeys = config.masterKeys ?? [
    await ensureMasterKey(config.dataDirectory, (path) => {
      // Beside a database that others use too, it is likely that the setting was forgotten.
      const level = config.database.url === null ? 'info' : 'warn'
      log[level]({ path }, 'master_key.made')
    }),
  ]
  const box = createSecretBox(masterKeys)
  const accounts = createAccountStore({
    db,
    box,
    onUnreadable: (account, error) => {
      log.error({ account, error: codeOf(error) }, 'account.unreadable')
    },
  })
  const cache = createAccountCache({
    load: async () => withLongTermTemplates(await accounts.load(), await listLongTermTemplates(db)),
    clock,
  })
  const applications = createApplicationStore({ db, clock })
  const signing = createRequestSigning({ db, box, clock })
  const messages = createMessageStore(db)
  const broadcasts = createBroadcastStore(db)

  const ledger = createQuotaLedger({
    addCalls: (counts) => addCalls(db, counts),
    findAccount: (id) => cache.findById(id),
    restablePaths: new Set([...SEND_PATHS, ...FOLLOWER_PATHS]),
    rest: (rest) => restForQuota(db, rest),
    askPlatform: async ({ id }, path) => {
      const account = await cache.findById(id)
      if (account) await quotas.ask(account, path, { lifts: false })
    },
    clock,
    log,
    metrics,
  })
  const client = countCalls(
    createPlatformClient({
      baseUrl: config.platform.wechatApiBaseUrl,
      wecomBaseUrl: config.platform.wecomApiBaseUrl,
      ...config.platform.timeouts,
      clock,
      log,
    }),
    ledger,
  )
  undo.push(() => client.close())
  const call: typeof client.call = (asked) => client.call(asked)
  undo.push(() => ledger.stop())
  const tokenParts = {
    call,
    findAccount: (id: number) => cache.findById(id),
    replaceRefreshToken: (
      accountId: number,
      change: Parameters<typeof accounts.replaceRefreshToken>[1],
    ) => accounts.replaceRefreshToken(accountId, change),
    clock,
    random: Math.random,
    log,
    metrics,
    process,
  }
  const tokens = createTokenKeeper({
    ...tokenParts,
    store: createTokenStore(db, box),
    secrets: (accountId) => accounts.openCredentials(accountId),
  })

  undo.push(() => tokens.settle())
  const providerTokens = createTokenKeeper({
    ...tokenParts,
    store: createTokenStore(db, box, 'provider_token'),
    secrets: (accountId) => accounts.openProviderCredentials(accountId),
  })
  undo.push(() => providerTokens.settle())
  const api = createAccountApi({ call, tokens })
  const quotas: Quotas = createQuotas({
    call: (call) => client.call(call),
    tokens,
    readTallies: (accountId, day) => readTallies(db, accountId, day),
    keepQuota: (said) => keepQuota(db, said),
    keepClear: (clear) => keepClear(db, clear),
    countClears: (accountId, since) => countClears(db, accountId, since),
    openAppSecret: (accountId) => accounts.openAppSecret(accountId),
    endRests: (accountId) => endQuotaRests(db, accountId),
    clock,
  })
  const codes = createAccountCodes({ read: () => loadOverrides(db), clock, log })
  undo.push(() => codes.settle())

  const settle = (accountId: number, subject: string) => settleCalls(db, accountId, subject)
  const recorder = createRecorder({
    db,
    clock,
    metrics,
    settle,
    findTenant: (parentId, appId) => cache.findTenant(parentId, appId),
    findStoredTenant: (parentId, appId) => accounts.findStoredTenant(parentId, appId),
    seal: (text, place) => ({ sealed: box.seal(text, place), keyId: box.keyId }),
    onTicket: (account) => tokens.ticketArrived(account),
  })
  undo.push(() => recorder.stop())
  const consents = createConsents({ db, clock, settle })
  const oneTimeLinks = createOneTimeLinks({
    db,
    clock,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
    publicBaseUrl: config.http.publicBaseUrl,
    settle,
  })

  const registry = createTemplateRegistry({ load: () => loadTemplates(db), clock })
  const findTemplates: FindTemplates = async (id) => {
    const strict = (await cache.findById(id))?.settings.templates_strict ?? false
    return registry.of({ id, strict })
  }
  const templateParts = { db, api, clock, log, metrics }
  const templates = createTemplateDesk({
    db,
    clock,
    sync: (account) => syncTemplates(templateParts, account),
    onChanged: () => registry.invalidate(),
  })
  const refusals = createRefusalWatch({
    noteBanned: async ({ accountId, channel, templateId }) => {
      const account = await cache.findById(accountId)
      const listed = templateChannelOf(channel)
      if (account && listed) {
        await noteBanned(templateParts, { account, channel: listed, templateId })
      }
    },
    queueSync: (accountId) => queueSyncAfterRefusal(db, accountId),
    clock,
    log,
  })
  undo.push(() => refusals.settle())

  const dispatcher = createDispatcher({
    db,
    client,
    tokens,
    findAccount: (id) => cache.findById(id),
    openSealed: (sealed, place) => box.open(sealed, place),
    lookUpCode: (account, code) => codes.lookUp(account, code),
    templateRefused: (refused) => refusals.refused(refused),
    quotaReady: (accountId, path) => ledger.ready(accountId, path),
    clock,
    random: Math.random,
    log,
    metrics,
    process,
    concurrency: config.dispatch.concurrency,
    leaseSeconds: config.dispatch.leaseSeconds,
  })
  const webhooks = createWebhookClient({
    clock,
    privateAddresses: config.deliveries.privateEndpoints,
  })
  undo.push(() => webhooks.close())
  const told = { eventDocument: (event: StoredEvent) => eventBody(event, true), messageDocument }
  const courier = createCourier({
    db,
    box,
    clock,
    log,
    metrics,
    client: webhooks,
    messages,
    broadcasts,
    broadcastDocument: broadcastEndBody,
    patienceDays: config.deliveries.patienceDays,
    ...told,
  })
  const deliveryJobs = createDeliveryJobs({ db, clock, courier })
  const replyDesk = createReplyDesk({ db, box, clock, log, metrics, client: webhooks, ...told })
  const endpoints = createEndpoints({
    db,
    box,
    clock,
    randomBytes,
    privateAddresses: config.deliveries.privateEndpoints,
  })
  const upkeep = createUpkeep({
    db,
    clock,
    log,
    metrics,
    onRecovered: () => dispatcher.wake(),
    measures: [
      () => dispatcher.measure(),
      () => measureDeliveryAge({ db, clock, metrics }),
      createTicketMeter({ list: () => listTicketHolders(db), clock, metrics }),
    ],
    hourly: [
      () => keepEventLog({ db, clock, log, retentionDays: config.events.retentionDays }),
      () => forgetOldPushesAside(db),
      () => dropParkedPushes({ db, log }),
      () => forgetOldWelcomeCodes(db),
      () => forgetOldLinks(db),
      () => forgetOldNonces(db),
      () => forgetOldCalls(db),
      () => forgetOldDeaths(db),
      () => forgetOldPaces(db),
      () => forgetOldRobots(db),
      () => tidyDeliveries({ db, log }, config.deliveries.retentionDays),
    ],
  })
  const feeder = createBroadcastFeeder({ store: broadcasts, clock, log })
  const meter = createBroadcastMeter({ store: broadcasts, clock, log, metrics })
  const forgetting = createForgetting({
    db,
    clock,
    log,
    retentionDays: config.messages.retentionDays,
  })

  const followers = createFollowerSync({
    db,
    clock,
    log,
    source: createFollowerSource({
      call,
      tokens,
      quotaReady: (accountId, path) => ledger.ready(accountId, path),
      clock,
      random: Math.random,
    }),
  })
  const followerJobs = createFollowerJobs({
    db,
    clock,
    random: Math.random,
    followers,
    // the job of an account that was just added may be here before its notification
    findAccount: async (id) => (await cache.findById(id)) ?? accounts.findById(id),
    listAccountIds: async () =>
      (await accounts.list())
        .filter(({ disabledAt, kind, serves }) => !disabledAt && hasFollowers({ kind, serves }))
        .map(({ id }) => id),
    nightlyAt: config.followerSyncAt,
  })
  const releaseWaiting: TenantParts['releaseParked'] = (trx, place) => {
    const recordWithin: typeof recorder.recordWithin = (inner, reads) =>
      recorder.recordWithin(inner, reads)
    const findFamily = (inner: Knex) => findFamilyOf(createAccountStore({ db: inner, box }), place)
    return releaseParked({ box, acceptParked, recordWithin, findFamily }, trx, place)
  }
  const followUps = createFollowUpTasks({
    releaseParked: releaseWaiting,
    db,
    box,
    clock,
    log,
    api,
    call,
    findAccount: (id) => cache.findById(id),
    permissionSets,
    readObject: (text) => {
      const read = readJson(text)
      return read.ok ? read.fields : undefined
    },
    record: (read) => recorder.recordRead(read),
    welcome: (welcome) => {
      const seal: Seal = (text, place) => box.seal(text, place)
      return welcomeCustomer({ store: messages, clock, log, seal }, welcome)
    },
    findAccountNamed: (name) => cache.find(name),
    listArchiveUsers: async () =>
      (await accounts.list())
        .filter(({ disabledAt, settings }) => !disabledAt && settings.archive_account !== null)
        .map(({ id }) => id),
  })
  const findAccount = (id: number) => cache.findById(id)
  const reconcile: Parts['reconcileAuthorizers'] = (component, signal) =>
    reconcileAuthorizers(
      {
        ...{ db, box, clock, log, api, findAccount, permissionSets },
        releaseParked: releaseWaiting,
      },
      component,
      signal,
    )
  const authorizerJobs = createAuthorizerJobs({
    db,
    clock,
    random: Math.random,
    findAccount,
    listComponentIds: async () =>
      (await accounts.list())
        .filter(({ disabledAt, kind }) => !disabledAt && kind === 'component')
        .map(({ id }) => id),
    reconcile,
    nightlyAt: config.authorizerListAt,
  })
  const ticketParts = { call, openAppSecret: (id: number) => accounts.openAppSecret(id), log }
  const ticketJobs = createTicketJobs({
    list: () => listTicketHolders(db),
    start: (component) => startTickets(ticketParts, component),
    clock,
    log,
  })
  const templateJobs = createTemplateJobs({
    db,
    clock,
    random: Math.random,
    sync: (account) => templates.sync(account),
    findAccount: (id) => cache.findById(id),
    listAccountIds: async () =>
      (await accounts.list())
        .filter((one) => !one.disabledAt && templateChannelsOf(one).length > 0)
        .map(({ id }) => id),
    nightlyAt: config.templateSyncAt,
  })
  const fallbacks = createFallbackTasks({
    findRefused: (id) => findRefused(db, id),
    replace: (refused, successor) => replaceRefused(db, refused, successor),
    giveUp: (refused, reason) => giveUpFallback(db, refused, reason),
    findTemplates,
    nameOf: async (id) => (await cache.findById(id))?.name,
    decide: (question) => decideSend(db, question),
    clock,
    log,
    metrics,
  })
  /** Every kind of job there is; a room that brings one adds its tasks here. */
  const tasks: JobTasks = {
    ...followerJobs.tasks,
    ...authorizerJobs.tasks,
    ...ticketJobs.tasks,
    ...followUps,
    ...templateJobs.tasks,
    ...fallbacks,
    ...deliveryJobs.tasks,
    ...forgetting.tasks,
  }
  const schedule = [
    ...followerJobs.schedule,
    ...authorizerJobs.schedule,
    ...ticketJobs.schedule,
    ...FOLLOW_UP_SCHEDULE,
    ...templateJobs.schedule,
    ...deliveryJobs.schedule,
    ...forgetting.schedule,
  ]
  const jobs = createJobEngine({ url, db, clock, log, metrics, process, tasks, schedule })

  const workers = createWorkers({
    start: async () => {
      const listener = createListener({
        url,
        log,
        onNotify: {
          message_queued: () => dispatcher.wake(),
          broadcast_changed: () => feeder.wake(),
          account_changed: () => {
            cache.invalidate()
            codes.invalidate()
            registry.invalidate()
            ledger.refresh()
          },
          endpoint_changed: () => replyDesk.invalidate(),
          token_changed: (accountId) => {
            tokens.changed(Number(accountId))
            providerTokens.changed(Number(accountId))
          },
        },
        onReconnect: () => {
          cache.invalidate()
          replyDesk.invalidate()
          codes.invalidate()
          registry.invalidate()
          dispatcher.wake()
          feeder.wake()
        },
      })
      await listener.ready
      await codes.load()
      await setGatewayPace(db, config.dispatch.sendsPerSecond)
      dispatcher.start()
      upkeep.start()
      feeder.start()
      meter.start()
      await jobs.start()
      return [
        () => listener.close(),
        () => upkeep.stop(),
        () => dispatcher.stop(),
        () => feeder.stop(),
        () => meter.stop(),
        () => jobs.stop(),
      ]
    },
  })
  undo.push(() => workers.stop())

  const app = createApp({
    findAccount: (name) => cache.known(name) ?? cache.find(name),
    findTenant: (parentId, appId) => cache.findTenant(parentId, appId),
    recordPush: (push) => recorder.record(push),
    placePush: (early) => recorder.place(early),
    mayReply: (account) => replyDesk.isAwaited(account),
    askForReply: (asked) => replyDesk.ask(asked),
    queueReleaseCheck: (check) => queueReleaseCheck({ db, box }, check),
    exchangeRedirect: (account, redirect) =>
      exchangeRedirect({ db, box, clock }, account, redirect),
    authenticate: async (key) => {
      const found = await applications.authenticate(key)
      return (
        found && {
          id: found.id,
          name: found.name,
          signatures: found.signatures,
          accounts: found.accountIds.map((id, index) => ({
            id,
            name: found.accountNames[index] ?? '',
          })),
        }
      )
    },
    checkSignature: (id, signed) => signing.check(id, signed),
    messages,
    broadcasts,
    endpoints,
    callbacks: endpoints,
    decide: (question) => decideSend(db, question),
    findLimits: (question) => findLimits(db, question),
    findWelcomeCode: (event) => findWelcomeCode(db, box, event),
    findLiveTemplate: (person) => findLiveTemplate(db, person),
    findSender: (id) => cache.findById(id),
    findTemplates,
    templates,
    createLink: (wish) => oneTimeLinks.create(wish),
    answerLink: (answer) => oneTimeLinks.answer(answer),
    findLinked: (id) => cache.findById(id),
    longTermTemplates: async (id) => (await cache.findById(id))?.settings.long_term_templates ?? [],
    seal: (text, place) => box.seal(text, place),
    consents,
    listEvents: (filter) => listEvents(db, filter),
    readToken: async ({ id }) => readingOf(tokens, await cache.findById(id)),
    readProviderToken: async ({ id }) => {
      const found = await cache.findById(id)
      const provider = found && providerOf(found)
      return provider === null ? { kind: 'none' } : readingOf(providerTokens, provider)
    },
    readQuotas: async ({ id }) => {
      const account = await cache.findById(id)
      return quotas.show(account ?? { id, settings: DEFAULT_SETTINGS })
    },
    quotas,
    findQuotaAccount: ({ id }) => cache.findById(id),
    readCodeFacts: async ({ id }) => {
      const account = await cache.findById(id)
      const recorded = await listOverrides(db, id)
      return {
        space: account ? codeSpaceOf(account) : 'oa',
        overrides: recorded.filter(({ removedAt }) => removedAt === null),
      }
    },
    lifetimeHours: config.dispatch.messageLifetimeHours,
    readiness: () => checkReadiness({ db, workers, dispatcher, clock }),
    metrics,
    sumMetrics: options.sumMetrics,
    clock,
    log,
  })

  let stopped: Promise<void> | undefined
  return {
    app,
    workers,
    parts: {
      db,
      accounts,
      applications,
      signing,
      consents,
      events: { list: (filter) => listEvents(db, filter) },
      followers,
      messages,
      decide: (question) => decideSend(db, question),
      findLimits: (question) => findLimits(db, question),
      findWelcomeCode: (event) => findWelcomeCode(db, box, event),
      seal: (text, place) => box.seal(text, place),
      broadcasts,
      endpoints,
      templates,
      findTemplates,
      seals: createSeals(db, box, accounts),
      tokens,
      makeAuthorizationPage: (page) => makeAuthorizationPage({ api, box, clock }, page),
      reconcileAuthorizers: reconcile,
      startTickets: (component) => startTickets(ticketParts, component),
      tokenDeaths: (accountId, since) => listDeaths(db, accountId, since),
      quotas,
      sending: {
        breakers: () => listBreakers(db),
        paces: () => listPaces(db),
        pauses: () => listPauses(db),
        quietEnd: (accountId) => readQuietEnd(db, accountId),
      },
      codeOverrides: {
        list: (accountId) => listOverrides(db, accountId),
        put: (act) => putOverride(db, act),
        remove: (act) => removeOverride(db, act),
      },
      metrics,
      log,
    },
    stop: () => (stopped ??= runBackwards(undo)),
  }
}

/** The database's address: the one of the settings, or that of the embedded server. */
async function openServer(
  config: Config,
  server: { readonly log: Log; readonly mode: 'own' | 'join' },
  undo: (() => Promise<void>)[],
): Promise<string> {
  if (config.database.url !== null) return config.database.url
  const embedded = await startEmbeddedServer({
    directory: join(config.dataDirectory, 'postgres'),
    ...server,
  })
  undo.push(() => embedded.stop())
  return embedded.url
}

/** A tenant and its parent, as the store sees them, also where they are switched off. */
async function findFamilyOf(accounts: AccountStore, { parentId, tenant: appId }: ParkingPlace) {
  const parent = await accounts.findStored(parentId)
  const tenant = await accounts.findStoredTenant(parentId, appId)
  return parent && tenant && { parent, tenant }
}

function createSeals(db: Knex, box: SecretBox, accounts: AccountStore): Seals {
  return {
    reseal: async () => ({
      ...(await accounts.resealAll()),
      applications: await resealSigning(db, box),
      endpoints: await resealEndpoints(db, box),
      messages: await resealMessages(db, box),
      jobs: await resealJobs(db, box),
      pushes: await resealParked(db, box),
    }),
    async count() {
      const besideAccounts = addSeals([
        await countSigningSeals(db, box),
        await countEndpointSeals(db, box),
        await countMessageSeals(db, box.keyIds),
        await countJobSeals(db, box),
        await countParkedSeals(db, box.keyIds),
      ])
      return { all: addSeals([await accounts.checkSeals(), besideAccounts]), besideAccounts }
    },
    isKeyForeign: async () =>
      isForeign(
        addSeals([
          await accounts.checkSeals(),
          await countSigningSeals(db, box),
          await countEndpointSeals(db, box),
        ]),
      ),
  }
}

interface Workers {
  start(): Promise<void>
  stop(): Promise<void>
  readonly started: boolean
}

function createWorkers(parts: { start: () => Promise<(() => Promise<void>)[]> }): Workers {
  let starting: Promise<(() => Promise<void>)[]> | undefined
  return {
    async start() {
      starting ??= parts.start()
      await starting
    },
    async stop() {
      const undo = await starting
      starting = undefined
      await runBackwards(undo ?? [])
    },
    get started() {
      return starting !== undefined
    },
  }
}

async function checkReadiness(parts: {
  readonly db: Knex
  readonly workers: Workers
  readonly dispatcher: { readonly lastRoundAt: Date | null }
  readonly clock: Clock
}): Promise<Readiness> {
  const waiting = await pending(parts.db).catch(() => undefined)
  const lastRoundAt = parts.dispatcher.lastRoundAt?.getTime() ?? 0
  const silentMs = parts.clock.now().getTime() - lastRoundAt
  const checks = {
    database: waiting !== undefined,
    migrations: waiting?.length === 0,
    workers: !parts.workers.started || silentMs < WORKER_SILENT_MS,
  }
  return { ready: Object.values(checks).every(Boolean), checks }
}

async function runBackwards(steps: (() => Promise<void>)[]): Promise<void> {
  for (const step of steps.splice(0).reverse()) await step()
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

/** A token as an application is told it. */
async function readingOf(
  keeper: TokenKeeper,
  account: TokenAccount | undefined,
): Promise<TokenReading> {
  if (!account) return { kind: 'unavailable', reason: 'account_disabled', retryAt: null }
  const answer = await keeper.getToken(account)
  return answer.kind === 'token'
    ? { kind: 'token', value: answer.token, expiresAt: answer.expiresAt }
    : { kind: 'unavailable', reason: answer.reason, retryAt: answer.until }
}
