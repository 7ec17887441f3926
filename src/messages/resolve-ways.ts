import { InvalidInputError } from '../foundation/errors.ts'
import {
  resolveTemplate,
  type AccountTemplates,
  type ResolvedContent,
} from '../templates/resolve-template.ts'
import { AUTO, waysOf, type AutoRequest, type SendRequest } from './send-request.ts'

/** A send with the template and the values that it really has. */
export type ResolvedRequest = SendRequest & ResolvedContent

/**
 * What a request is sent with, through each of its channels, the preferred one first. A message with
 * several channels keeps no alias: when a template is refused, the way out is another channel.
 *
 * @throws InvalidInputError `invalid_request`, one fault per field.
 */
export function resolveWays(
  known: AccountTemplates,
  request: SendRequest | AutoRequest,
): readonly [ResolvedRequest, ...ResolvedRequest[]] {
  const [first, ...rest] = waysOf(request)
  const resolve = (way: SendRequest): ResolvedRequest =>
    request.channel === AUTO
      ? { ...way, ...resolveOneOfSeveral(known, way), alias: null }
      : { ...way, ...resolveTemplate(known, way, { data: 'complete' }) }
  return [resolve(first), ...rest.map(resolve)]
}

function resolveOneOfSeveral(known: AccountTemplates, way: SendRequest): ResolvedContent {
  try {
    return resolveTemplate(known, way, { data: 'complete' })
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const faults = error.faults.map(({ field, rule }) => {
      return { field: field.replace(/^content\b/, `content.${way.channel}`), rule }
    })
    throw new InvalidInputError('invalid_request', faults)
  }
}
