import type { Knex } from 'knex'
import { addJob } from '../database/job-queue.ts'
import type { Clock } from '../foundation/clock.ts'
import { ConflictError, InvalidInputError, NotFoundError } from '../foundation/errors.ts'
import { isId, newId } from '../foundation/ids.ts'
import type { SecretBox } from '../foundation/sealed-secrets.ts'
import { accountOf, type Caller } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import type { PrivateAddresses } from './address-guard.ts'
import { deliverJob } from './delivery-job.ts'
import type { Delivery } from './delivery.ts'
import { listDeliveries, retryDelivery, type DeliveryFilter } from './delivery-store.ts'
import {
  changeEndpoint,
  findEndpoint,
  findReplyingAccount,
  hasCallbackEndpoint,
  insertEndpoint,
  listEndpoints,
  placeOfSecret,
  removeEndpoint,
  replaceSecret,
  type EndpointFilter,
} from './endpoint-store.ts'
import {
  endpointChangeSchema,
  EVERY_KIND,
  newEndpointSchema,
  SECRET_OVERLAP_MS,
  urlFault,
  type Endpoint,
} from './endpoint.ts'
import { pauseEndpoint, resumeEndpoint } from './pause-store.ts'
import { replyFormOf } from './reply.ts'
import { writeSecret } from './sign-delivery.ts'

/** An endpoint with its signing secret, which is shown this once. */
export interface EndpointWithSecret {
  readonly endpoint: Endpoint
  readonly secret: string
}

/** What applications and operators may do with endpoints. A caller without an id is an operator. */
export interface Endpoints {
  /**
   * @throws InvalidInputError `invalid_request`; NotFoundError `account_not_found`; ConflictError
   *   `endpoint_exists` where there may be only one
   */
  add(caller: Caller, body: unknown): Promise<EndpointWithSecret>
  list(caller: Caller, filter: Omit<EndpointFilter, 'applicationId'>): Promise<Endpoint[]>
  /** @throws NotFoundError `endpoint_not_found`, as do those below */
  find(caller: Caller, id: string): Promise<Endpoint>
  /** @throws InvalidInputError `invalid_request` */
  change(caller: Caller, id: string, body: unknown): Promise<Endpoint>
  /** @returns the endpoint as it was. */
  remove(caller: Caller, id: string): Promise<Endpoint>
  rotate(caller: Caller, id: string): Promise<EndpointWithSecret>
  deliveries(
    caller: Caller,
    id: string,
    filter: Omit<DeliveryFilter, 'endpointId'>,
  ): Promise<Delivery[]>
  /** @throws NotFoundError `delivery_not_found`, ConflictError `endpoint_disabled`, `endpoint_paused` */
  retry(caller: Caller, id: string, deliveryId: string): Promise<Delivery>
  /** Sees to it that the results of an application's messages are signed with a secret of its own. */
  readyForCallbacks(applicationId: string): Promise<void>
  /** What is wrong with an address that is to be delivered to; null when nothing is. */
  urlFault(url: string): string | null
}

export interface EndpointParts {
  readonly db: Knex
  readonly box: SecretBox
  readonly clock: Clock
  readonly randomBytes: (count: number) => Buffer
  readonly privateAddresses: PrivateAddresses
}

export function createEndpoints(parts: EndpointParts): Endpoints {
  const { db, clock } = parts
  const find = async (caller: Caller, id: string) => {
    const found = isId(id) ? await findEndpoint(db, id, { applicationId: caller.id }) : undefined
    if (found) return found
    throw new NotFoundError(
      'endpoint_not_found',
      'there is no such endpoint for this application; GET /v1/endpoints lists them',
    )
  }
  const wake = (endpointId: string) => addJob(db, deliverJob(endpointId))

  return {
    find,
    urlFault: (url) => urlFault(url, parts.privateAddresses),
    list: (caller, filter) => listEndpoints(db, { ...filter, applicationId: caller.id }),

    async add(caller, body) {
      const added = await addEndpoint(parts, caller, body)
      return { endpoint: await find(caller, added.id), secret: added.secret }
    },

    async change(caller, id, body) {
      const endpoint = await find(caller, id)
      const { url, events, disabled, paused } = readInput(
        endpointChangeSchema,
        body,
        'invalid_request',
      )
      if (url !== undefined) refuseUrl(parts, endpoint.purpose === 'callbacks', url)
      await changeEndpoint(db, id, {
        ...(url !== undefined && { url }),
        ...(events !== undefined && { events }),
        ...(disabled !== undefined && { disabledReason: disabled ? 'by_request' : null }),
      })
      if (paused === true) await pauseEndpoint(db, id)
      if (paused === false) await resumeEndpoint(db, id)
      // what waits for one that is off is dropped
      await wake(id)
      return find(caller, id)
    },

    async remove(caller, id) {
      const endpoint = await find(caller, id)
      await removeEndpoint(db, id)
      await wake(id)
      return endpoint
    },

    async rotate(caller, id) {
      await find(caller, id)
      const { secret, sealedSecret } = makeSecret(parts, id)
      const until = new Date(clock.now().getTime() + SECRET_OVERLAP_MS)
      await replaceSecret(db, id, { sealedSecret, until, keyIds: parts.box.keyIds })
      return { endpoint: await find(caller, id), secret }
    },

    async deliveries(caller, id, filter) {
      await find(caller, id)
      return listDeliveries(db, { ...filter, endpointId: id })
    },

    async retry(caller, id, deliveryId) {
      const endpoint = await find(caller, id)
      if (endpoint.disabledAt) {
        throw new ConflictError(
          'endpoint_disabled',
          'nothing is delivered to a disabled endpoint; PATCH it with {"disabled": false} first',
        )
      }
      if (endpoint.pausedAt) {
        throw new ConflictError(
          'endpoint_paused',
          'nothing is delivered to a paused endpoint; PATCH it with {"paused": false} first',
        )
      }
      const retried = isId(deliveryId) ? await retryDelivery(db, id, deliveryId) : undefined
      if (!retried) {
        throw new NotFoundError('delivery_not_found', 'there is no such delivery to this endpoint')
      }
      await wake(id)
      return retried
    },

    async readyForCallbacks(applicationId) {
      if (await hasCallbackEndpoint(db, applicationId)) return
      const id = newId(clock.now())
      await insertEndpoint(db, {
        ...{ id, applicationId, accountId: null, purpose: 'callbacks', url: null },
        events: [EVERY_KIND],
        sealedSecret: makeSecret(parts, id).sealedSecret,
      })
    },
  }
}

async function addEndpoint(parts: EndpointParts, caller: Caller, body: unknown) {
  const asked = readInput(newEndpointSchema, body, 'invalid_request')
  if (caller.id === null) {
    throw new InvalidInputError('invalid_request', [
      { field: 'application', rule: 'must be named: what is delivered is signed for it' },
    ])
  }
  const accountId = asked.account === undefined ? null : accountOf(caller, asked.account).id
  if (asked.url !== undefined) refuseUrl(parts, false, asked.url)
  if (asked.purpose === 'reply' && accountId !== null) await refuseSilent(parts.db, accountId)
  const id = newId(parts.clock.now())
  const { secret, sealedSecret } = makeSecret(parts, id)
  const isStored = await insertEndpoint(parts.db, {
    ...{ id, applicationId: caller.id, accountId, sealedSecret },
    ...{ purpose: asked.purpose, url: asked.url ?? null, events: asked.events },
  })
  if (isStored) return { id, secret }
  throw new ConflictError(
    'endpoint_exists',
    asked.purpose === 'reply'
      ? 'this account has an endpoint for replies already, and a push has one answer; change or remove that one'
      : 'this application has its endpoint for callbacks already; POST /v1/endpoints/{id}/rotate-secret gives a new secret',
  )
}

/** Refuses an endpoint for replies that would never be asked. */
async function refuseSilent(db: Knex, accountId: number): Promise<void> {
  const account = await findReplyingAccount(db, accountId)
  if (!account || replyFormOf(account) !== null) return
  const rule = `is not for an account of kind ${account.kind}: the platform takes no message in the answer to its pushes. Take its events with purpose events, and answer by POST /v1/messages`
  throw new InvalidInputError('invalid_request', [{ field: 'purpose', rule }])
}

function refuseUrl({ privateAddresses }: EndpointParts, hasNone: boolean, url: string): void {
  const rule = hasNone
    ? 'does not belong to callbacks: each message names its own callback_url'
    : urlFault(url, privateAddresses)
  if (rule !== null) throw new InvalidInputError('invalid_request', [{ field: 'url', rule }])
}

/** 32 random bytes, as Standard Webhooks wants 24 to 64. */
function makeSecret({ box, randomBytes }: EndpointParts, endpointId: string) {
  const secret = writeSecret(randomBytes(32))
  return { secret, sealedSecret: box.seal(secret, placeOfSecret(endpointId)) }
}
