import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/**
 * Every number the gateway exports, by name. Labels have few values each: an account's name, a
 * reason from a fixed list, never a person.
 */
export interface Metrics {
  readonly registry: Registry
  /** Pushes by account, event kind and outcome (`recorded`, `repeated`, `unavailable`). */
  readonly pushes: Counter<'account' | 'kind' | 'outcome'>
  /** Refused pushes by account (`unknown` where none was found) and reason. */
  readonly refusals: Counter<'account' | 'reason'>
  /** Pushes decrypted with the previous key: how far a rotation has come. */
  readonly previousKeyUses: Counter<'account'>
  /** Seconds from the first byte of a push to its answer. */
  readonly pushSeconds: Histogram<'outcome'>
  /** How many pushes one commit carried. */
  readonly commitBatch: Histogram
  /** Seconds one commit of pushes took. */
  readonly commitSeconds: Histogram
  /** Consent changes by scope family and change. */
  readonly consentChanges: Counter<'account' | 'scope' | 'change'>
  /** Attempts by account, channel and outcome. */
  readonly attempts: Counter<'account' | 'channel' | 'outcome'>
  /** Seconds of one platform call. */
  readonly attemptSeconds: Histogram<'channel'>
  /** Messages of an account that this process may have in hand, and has. */
  readonly sendLimit: Gauge<'account'>
  readonly sendsInHand: Gauge<'account'>
  /** 1 while the sends of an account, or all calls of an API host, rest because none got through. */
  readonly sendBreaker: Gauge<'account'>
  readonly hostBreaker: Gauge<'host'>
  /** Messages that reached a final status, with the reason where there is one. */
  readonly messages: Counter<'account' | 'channel' | 'status' | 'reason'>
  /** Platform error codes seen, `unlisted` for those the table does not know. */
  readonly errcodes: Counter<'account' | 'errcode'>
  /** Token refreshes by account and outcome (`refreshed`, `refused`, `failed`). */
  readonly tokenRefreshes: Counter<'account' | 'outcome'>
  /** Seconds since the account's token was fetched, as this process last saw it. */
  readonly tokenAge: Gauge<'account'>
  /** 1 while the account's token endpoint refuses and the breaker is open. */
  readonly tokenBreaker: Gauge<'account'>
  /** Seconds since the platform made the newest ticket of a component or suite. */
  readonly ticketAge: Gauge<'account' | 'kind'>
  /** Tokens that the platform refused before their time, by likely cause. */
  readonly tokenDeaths: Counter<'account' | 'cause'>
  /** Share of a daily quota that is used, by path; 1 is the limit. */
  readonly quotaUsed: Gauge<'account' | 'path'>
  /** Templates in use that changed or went away, by change (`changed`, `withdrawn`, `banned`). */
  readonly templateDrifts: Counter<'account' | 'change'>
  /** Messages whose template was refused, by outcome: `made`, or why there is no fallback. */
  readonly templateFallbacks: Counter<'account' | 'channel' | 'outcome'>
  /** Messages waiting, and the age in seconds of the oldest one that is due. */
  readonly queueLength: Gauge<'status'>
  readonly queueAge: Gauge
  /** Broadcasts that have not ended, and their recipients by what has become of them. */
  readonly broadcasts: Gauge<'account' | 'status'>
  readonly broadcastRecipients: Gauge<'account' | 'state'>
  /** Jobs tried by task and outcome (`done`, `failed`, `died`). */
  readonly jobs: Counter<'task' | 'outcome'>
  /** Jobs waiting, the age in seconds of the oldest one that is due, and those given up, by task. */
  readonly jobsWaiting: Gauge
  readonly jobsAge: Gauge
  readonly jobsDead: Gauge<'task'>
  /** Tries to deliver, by the endpoint's purpose and outcome (`delivered`, `retried`, `failed`, `dropped`). */
  readonly deliveries: Counter<'purpose' | 'outcome'>
  /** Seconds since the oldest delivery that waits was made. */
  readonly deliveryAge: Gauge
  /** Endpoints that are paused, by the gateway or by request. */
  readonly endpointsPaused: Gauge
  /** Applications asked for replies, by outcome (`given`, `none`, `unusable`, `late`, `failed`, `busy`). */
  readonly replies: Counter<'account' | 'outcome'>
  /** HTTP answers to applications by route pattern and status. */
  readonly apiAnswers: Counter<'route' | 'status'>
}

const FAST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const BATCH_SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500]

/**
 * A registry of its own, so that several gateways can live in one process (tests do that).
 *
 * `aggregator` says what becomes of a number where several processes answer as one; the sum where
 * nothing is said. What all of them read from the database must not be added up.
 */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    pushes: new Counter({
      name: 'wcg_pushes_total',
      help: 'Pushes taken from the platform, by account, event kind and outcome.',
      labelNames: ['account', 'kind', 'outcome'],
      registers,
    }),
    refusals: new Counter({
      name: 'wcg_push_refusals_total',
      help: 'Pushes and handshakes refused, by account and reason.',
      labelNames: ['account', 'reason'],
      registers,
    }),
    previousKeyUses: new Counter({
      name: 'wcg_previous_key_uses_total',
      help: 'Pushes that only the previous callback key could open.',
      labelNames: ['account'],
      registers,
    }),
    pushSeconds: new Histogram({
      name: 'wcg_push_seconds',
      help: 'Seconds from the arrival of a push to its answer.',
      labelNames: ['outcome'],
      buckets: FAST_SECONDS,
      registers,
    }),
    commitBatch: new Histogram({
      name: 'wcg_commit_batch_pushes',
      help: 'Pushes committed together.',
      buckets: BATCH_SIZES,
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'wcg_commit_seconds',
      help: 'Seconds one commit of pushes took.',
      buckets: FAST_SECONDS,
      registers,
    }),
    consentChanges: new Counter({
      name: 'wcg_consent_changes_total',
      help: 'Rows written to the consent ledger by pushes and attempts, by scope family and change.',
      labelNames: ['account', 'scope', 'change'],
      registers,
    }),
    attempts: new Counter({
      name: 'wcg_attempts_total',
      help: 'Platform calls made for messages, by outcome.',
      labelNames: ['account', 'channel', 'outcome'],
      registers,
    }),
    attemptSeconds: new Histogram({
      name: 'wcg_attempt_seconds',
      help: 'Seconds of one platform call for a message.',
      labelNames: ['channel'],
      buckets: FAST_SECONDS,
      registers,
    }),
    ...createSendGauges(registers),
    messages: new Counter({
      name: 'wcg_messages_total',
      help: 'Messages that reached a final status.',
      labelNames: ['account', 'channel', 'status', 'reason'],
      registers,
    }),
    errcodes: new Counter({
      name: 'wcg_errcodes_total',
      help: 'Platform error codes seen.',
      labelNames: ['account', 'errcode'],
      registers,
    }),
    ...tokenMetrics(registers),
    ...templateMetrics(registers),
    queueLength: new Gauge({
      name: 'wcg_queue_messages',
      help: 'Messages waiting, by status.',
      labelNames: ['status'],
      aggregator: 'max',
      registers,
    }),
    queueAge: new Gauge({
      name: 'wcg_queue_oldest_seconds',
      help: 'Seconds the oldest due message has been waiting.',
      aggregator: 'max',
      registers,
    }),
    broadcasts: new Gauge({
      name: 'wcg_broadcasts',
      help: 'Broadcasts that have not ended, by status.',
      labelNames: ['account', 'status'],
      aggregator: 'max',
      registers,
    }),
    broadcastRecipients: new Gauge({
      name: 'wcg_broadcast_recipients',
      help: 'Recipients of broadcasts that have not ended, by what has become of them.',
      labelNames: ['account', 'state'],
      aggregator: 'max',
      registers,
    }),
    ...createJobMetrics(registers),
    ...createDeliveryMetrics(registers),
    apiAnswers: new Counter({
      name: 'wcg_api_answers_total',
      help: 'Answers to applications, by route and status.',
      labelNames: ['route', 'status'],
      registers,
    }),
  }
}

/** The numbers about the accounts' templates. */
function templateMetrics(registers: Registry[]) {
  return {
    templateDrifts: new Counter({
      name: 'wcg_template_drifts_total',
      help: 'Templates in use that changed, were withdrawn or banned, as one process noticed.',
      labelNames: ['account', 'change'],
      registers,
    }),
    templateFallbacks: new Counter({
      name: 'wcg_template_fallbacks_total',
      help: 'Messages under an alias whose template was refused, by what followed.',
      labelNames: ['account', 'channel', 'outcome'],
      registers,
    }),
  }
}

/** The numbers about the accounts' tokens and quotas. */
function tokenMetrics(registers: Registry[]) {
  return {
    tokenRefreshes: new Counter({
      name: 'wcg_token_refreshes_total',
      help: 'Calls to the token endpoint, by outcome.',
      labelNames: ['account', 'outcome'],
      registers,
    }),
    tokenAge: new Gauge({
      name: 'wcg_token_age_seconds',
      help: "Age of the account's access token when it was last used.",
      labelNames: ['account'],
      aggregator: 'max',
      registers,
    }),
    tokenBreaker: new Gauge({
      name: 'wcg_token_breaker_open',
      help: '1 while the token endpoint refuses and no call is made.',
      labelNames: ['account'],
      aggregator: 'max',
      registers,
    }),
    ticketAge: new Gauge({
      name: 'wcg_ticket_age_seconds',
      help: 'Age of the newest ticket of a component or suite; without any, of the account.',
      labelNames: ['account', 'kind'],
      aggregator: 'max',
      registers,
    }),
    tokenDeaths: new Counter({
      name: 'wcg_token_early_deaths_total',
      help: 'Tokens refused before the end of their life that nobody here replaced, by likely cause.',
      labelNames: ['account', 'cause'],
      registers,
    }),
    quotaUsed: new Gauge({
      name: 'wcg_quota_used_ratio',
      help: 'Share of the daily quota of an API that is used; 1 is the limit.',
      labelNames: ['account', 'path'],
      aggregator: 'max',
      registers,
    }),
  }
}

/** Each process has places of its own: of these the sum is what all may do. */
function createSendGauges(
  registers: Registry[],
): Pick<Metrics, 'sendLimit' | 'sendsInHand' | 'sendBreaker' | 'hostBreaker'> {
  return {
    sendLimit: new Gauge({
      name: 'wcg_send_limit_messages',
      help: 'Messages of an account that may be in hand at once, as its latency allows.',
      labelNames: ['account'],
      aggregator: 'sum',
      registers,
    }),
    sendsInHand: new Gauge({
      name: 'wcg_send_in_hand_messages',
      help: 'Messages of an account that are in hand.',
      labelNames: ['account'],
      aggregator: 'sum',
      registers,
    }),
    sendBreaker: new Gauge({
      name: 'wcg_send_breaker_open',
      help: '1 while the sends of an account rest because no call got through.',
      labelNames: ['account'],
      aggregator: 'max',
      registers,
    }),
    hostBreaker: new Gauge({
      name: 'wcg_host_breaker_open',
      help: '1 while all sends through an API host rest because no call got through.',
      labelNames: ['host'],
      aggregator: 'max',
      registers,
    }),
  }
}

function createDeliveryMetrics(
  registers: Registry[],
): Pick<Metrics, 'deliveries' | 'deliveryAge' | 'endpointsPaused' | 'replies'> {
  return {
    deliveries: new Counter({
      name: 'wcg_deliveries_total',
      help: 'Tries to deliver events and results to applications, by outcome.',
      labelNames: ['purpose', 'outcome'],
      registers,
    }),
    deliveryAge: new Gauge({
      name: 'wcg_oldest_delivery_seconds',
      help: 'Seconds since the oldest delivery that still waits was made.',
      aggregator: 'max',
      registers,
    }),
    endpointsPaused: new Gauge({
      name: 'wcg_paused_endpoints',
      help: 'Endpoints of applications to which nothing is posted until they are resumed.',
      aggregator: 'max',
      registers,
    }),
    replies: new Counter({
      name: 'wcg_replies_total',
      help: 'Applications asked for the reply to a push, by outcome.',
      labelNames: ['account', 'outcome'],
      registers,
    }),
  }
}

function createJobMetrics(
  registers: Registry[],
): Pick<Metrics, 'jobs' | 'jobsWaiting' | 'jobsAge' | 'jobsDead'> {
  return {
    jobs: new Counter({
      name: 'wcg_jobs_total',
      help: 'Jobs tried, by task and outcome.',
      labelNames: ['task', 'outcome'],
      registers,
    }),
    jobsWaiting: new Gauge({
      name: 'wcg_waiting_jobs',
      help: 'Jobs that are due, will be due or are being done.',
      aggregator: 'max',
      registers,
    }),
    jobsAge: new Gauge({
      name: 'wcg_oldest_job_seconds',
      help: 'Seconds the oldest due job has been waiting.',
      aggregator: 'max',
      registers,
    }),
    jobsDead: new Gauge({
      name: 'wcg_dead_jobs',
      help: 'Jobs that failed as often as they may and wait for a decision, by task.',
      labelNames: ['task'],
      aggregator: 'max',
      registers,
    }),
  }
}
