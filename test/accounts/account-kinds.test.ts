import { describe, expect, it } from 'vitest'
import { ACCOUNT_KINDS, type AccountKind } from '../../src/accounts/account.ts'
import { eventSourceOf, KIND_RULES } from '../../src/accounts/account-kinds.ts'
import { InvariantError } from '../../src/foundation/errors.ts'
import { codeSpaceOf } from '../../src/wechat/served-account.ts'
import { KIND_ACCOUNTS } from '../support/kind-accounts.ts'

describe('KIND_RULES', () => {
  it.each(ACCOUNT_KINDS)(
    'lets %s be made by the gateway exactly where a parent has its pair',
    (kind) => {
      const { madeBy, callbackPair } = KIND_RULES[kind]
      expect(madeBy === 'gateway').toBe(callbackPair === 'parent')
    },
  )

  it.each(ACCOUNT_KINDS)('checks of %s only fields that a push has by rule', (kind) => {
    const { own, tenants, alsoSends } = KIND_RULES[kind]
    for (const rule of [own, tenants, alsoSends]) {
      if (!rule) continue
      const { types, times, required, decisive } = rule.shape
      for (const name of [...types, ...times, ...required]) expect(decisive).toContain(name)
    }
  })

  it.each(ACCOUNT_KINDS)('names as addressee of %s an id that it has', (kind) => {
    const { own, required } = KIND_RULES[kind]
    expect(own.addressee === 'originalId').toBe(required.includes('originalId'))
  })
})

describe('codeSpaceOf', () => {
  it.each<[AccountKind, string]>([
    ['official_account', 'oa'],
    ['mini_program', 'mini'],
    ['component', 'open'],
    ['authorizer', 'oa'],
    ['wecom_app', 'wecom'],
    ['wecom_suite', 'wecom'],
    ['wecom_authorizer', 'wecom'],
    ['wecom_kf', 'wecom'],
  ])('finds the error codes of %s in %s', (kind, platform) => {
    expect(codeSpaceOf(KIND_ACCOUNTS[kind])).toBe(platform)
  })

  it('takes a merchant for what it is', () => {
    expect(codeSpaceOf({ kind: 'authorizer', serves: 'mini_program' })).toBe('mini')
  })
})

describe('eventSourceOf', () => {
  it('throws at an authorizer that serves nothing', () => {
    const account = { ...KIND_ACCOUNTS.authorizer, serves: null }
    expect(() => eventSourceOf(KIND_RULES.authorizer.own, account)).toThrow(InvariantError)
  })
})
