import type { Consents } from '../consent/consents.ts'
import { AccessError } from '../foundation/errors.ts'
import { refuseOtherChannels, type FindSender } from '../messages/account-fit.ts'
import { accountOf } from '../messages/caller.ts'
import { readInput } from '../messages/input-faults.ts'
import type { AccountRef } from '../messages/message.ts'
import { param, type Answer, type Call, type Route } from './route.ts'
import { SCHEMAS, subjectSchema } from './schemas.ts'
import { z } from 'zod'

export interface ConsentRouteDeps {
  readonly consents: Pick<Consents, 'show' | 'optOut' | 'optIn' | 'report'>
  readonly findSender: FindSender
  /** The templates of an account whose acceptance is a standing right. */
  readonly longTermTemplates: (accountId: number) => Promise<readonly string[]>
}

const PATH = '/v1/accounts/{account}/consents/{subject}'

/** Who may be sent what, and the ways to change it by word of an application. */
export function consentRoutes(deps: ConsentRouteDeps): readonly Route[] {
  return [
    {
      method: 'get',
      path: PATH,
      operationId: 'showConsents',
      summary: 'What a person has agreed to and refused, with the history',
      answer: { status: 200, schema: 'ConsentView' },
      problems: [400, 404, 503],
      handle: (call) => answerView(deps, personOf(call)),
    },
    {
      method: 'post',
      path: `${PATH}/opt-out`,
      operationId: 'optOut',
      summary: 'Record a refusal that reached the application',
      body: 'OptOut',
      answer: { status: 200, schema: 'ConsentView' },
      problems: [400, 404, 413, 415, 503],
      handle: (call) => postOptOut(deps, call),
    },
    {
      method: 'post',
      path: `${PATH}/opt-in`,
      operationId: 'optIn',
      summary: 'Record a consent given to the application, or lift a stop',
      body: 'OptIn',
      answer: { status: 200, schema: 'ConsentView' },
      problems: [400, 404, 413, 415, 503],
      handle: (call) => postOptIn(deps, call),
    },
    {
      method: 'post',
      path: `${PATH}/reports`,
      operationId: 'reportPopup',
      summary: 'Report what wx.requestSubscribeMessage told the front end',
      signed: true,
      body: 'PopupReport',
      answer: { status: 200, schema: 'ConsentView' },
      problems: [400, 403, 404, 413, 415, 503],
      handle: (call) => postReport(deps, call),
    },
  ]
}

async function postOptOut(deps: ConsentRouteDeps, call: Call): Promise<Answer> {
  const person = personOf(call)
  const { scope, reason } = readInput(SCHEMAS.OptOut, call.body, 'invalid_request')
  await deps.consents.optOut({ ...actOf(call, person), scope, reason })
  return answerView(deps, person)
}

async function postOptIn(deps: ConsentRouteDeps, call: Call): Promise<Answer> {
  const person = personOf(call)
  const { scope, reason } = readInput(SCHEMAS.OptIn, call.body, 'invalid_request')
  await deps.consents.optIn({ ...actOf(call, person), scope, reason })
  return answerView(deps, person)
}

/** A report is nothing but the application's word, so it must be provably that. */
async function postReport(deps: ConsentRouteDeps, call: Call): Promise<Answer> {
  if (!call.isSigned) throw reportNotSigned()
  const person = personOf(call)
  const { results, requested_at } = readInput(SCHEMAS.PopupReport, call.body, 'invalid_request')
  const accountId = person.account.id
  refuseOtherChannels('subscription_message', await deps.findSender(accountId))
  await deps.consents.report({
    accountId,
    subject: person.subject,
    results,
    requestedAt: requested_at,
    longTerm: await deps.longTermTemplates(accountId),
    signedBy: call.application.name,
  })
  return answerView(deps, person)
}

function reportNotSigned(): AccessError {
  return new AccessError(
    403,
    'report_not_signed',
    'a popup report must be signed: an operator makes the signing secret with `wcg app rotate`, docs/api.md says how to sign',
  )
}

interface Person {
  readonly account: AccountRef
  readonly subject: string
}

function personOf(call: Call): Person {
  const account = accountOf(call.application, param(call, 'account'))
  const path = { subject: param(call, 'subject') }
  return { account, ...readInput(z.object({ subject: subjectSchema }), path, 'invalid_request') }
}

function actOf(call: Call, person: Person) {
  const by = { kind: 'api' as const, actor: call.application.name }
  return { accountId: person.account.id, subject: person.subject, by }
}

async function answerView(deps: ConsentRouteDeps, person: Person): Promise<Answer> {
  const { consents, history } = await deps.consents.show(person.account.id, person.subject)
  return {
    status: 200,
    body: { account: person.account.name, subject: person.subject, consents, history },
  }
}
