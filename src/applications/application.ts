import { InvalidInputError, NotFoundError, type Fault } from '../foundation/errors.ts'
import { SIGNATURE_DEMANDS, type SignatureDemand } from './request-signature.ts'

/** A business application as a request is made by it: who it is, and which accounts it may use. */
export interface Application {
  readonly id: string
  readonly name: string
  readonly accountIds: readonly number[]
  readonly accountNames: readonly string[]
  readonly signatures: SignatureDemand
}

/** An application as an operator sees it. */
export interface ApplicationOverview {
  readonly id: string
  readonly name: string
  /** The last four characters of its key, to tell keys apart. */
  readonly keyHint: string
  readonly accountNames: readonly string[]
  readonly signatures: SignatureDemand
  readonly createdAt: Date
  readonly revokedAt: Date | null
}

/** What an operator typed about a new application. */
export interface NewApplication {
  readonly name: string
  readonly accountNames: readonly string[]
}

/** A fault with its rule in both languages of the command line. */
export interface ApplicationFault extends Fault {
  readonly code: 'missing' | 'bad_name' | 'bad_demand'
  readonly ruleZh: string
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/

/**
 * Reads a new application.
 *
 * @param input `accounts`: the names, separated by commas.
 * @throws InvalidInputError `bad_application` with every fault.
 */
export function readNewApplication(input: {
  readonly name?: string | undefined
  readonly accounts?: string | undefined
}): NewApplication {
  const name = input.name ?? ''
  const accountNames = [...new Set((input.accounts ?? '').split(',').map((text) => text.trim()))]
  const faults: ApplicationFault[] = []
  if (!NAME.test(name)) {
    faults.push({
      field: 'NAME',
      code: 'bad_name',
      rule: 'must begin with a lower-case letter or digit and hold only lower-case letters, digits, - and _, at most 63 characters',
      ruleZh: '必须以小写字母或数字开头，只能包含小写字母、数字、- 和 _，最多 63 个字符',
    })
  }
  if (accountNames.includes('')) {
    faults.push({
      field: '--accounts',
      code: 'missing',
      rule: 'must name the accounts it may use, separated by commas',
      ruleZh: '必须列出可用的帐号名称，以逗号分隔',
    })
  }
  if (faults.length > 0) throw new InvalidInputError('bad_application', faults)
  return { name, accountNames }
}

/**
 * Reads whether requests are to be signed.
 *
 * @throws InvalidInputError `bad_application`
 */
export function readSignatureDemand(typed: string | undefined): SignatureDemand {
  const demand = SIGNATURE_DEMANDS.find((one) => one === typed)
  if (demand) return demand
  const choices = SIGNATURE_DEMANDS.join(', ')
  const fault: ApplicationFault = {
    field: '--signatures',
    code: 'bad_demand',
    rule: `must be one of: ${choices}`,
    ruleZh: `必须是以下之一：${choices}`,
  }
  throw new InvalidInputError('bad_application', [fault])
}

/** What is said when applications, or what they sign with, cannot be read. */
export const APPLICATIONS_UNAVAILABLE = {
  code: 'applications_unavailable',
  message: 'the applications cannot be read from the database now; the same call may succeed later',
}

/** That there is no such application, or it was revoked. */
export function unknownApplication(name: string): NotFoundError {
  const text = `there is no application ${JSON.stringify(name)}; wcg app list shows them`
  return new NotFoundError('unknown_application', text, { details: { name } })
}
