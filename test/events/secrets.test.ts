import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EVENT_SOURCES, type EventSource } from '../../src/accounts/account.ts'
import { CATALOGUE, type CatalogueRow } from '../../src/events/catalogue.ts'
import { isList, type Field, type Fields } from '../../src/events/document.ts'
import { readEvent } from '../../src/events/read-event.ts'
import { readKfMessage } from '../../src/events/read-kf-message.ts'
import { repeatKey } from '../../src/events/repeat-key.ts'
import { redact, secretsOf } from '../../src/events/secrets.ts'
import { cdata, readXml } from '../../src/receiver/xml.ts'
import { readJsonFields } from '../support/json-fields.ts'

const RECEIVED_AT = new Date('2026-01-02T00:00:01Z')
const readAs = (source: EventSource, fields: Fields) =>
  readEvent({ source, fields, timestamp: undefined, receivedAt: RECEIVED_AT })

function fieldsOf(document: string): Fields {
  if (/^\s*\{/.test(document)) return readJsonFields(document)
  const read = readXml(document)
  if (!read.ok) throw new Error(`a document of this test cannot be read: ${read.fault}`)
  return read.fields
}

/** What is sealed of a document, and what is left to keep. */
function treat(source: EventSource, document: string) {
  const event = readAs(source, fieldsOf(document))
  return { event, sealed: secretsOf(event), kept: redact(document, event) }
}

const AUTHORIZED = `<xml>
<AppId><![CDATA[wx9e1c5a7b3d2f4068]]></AppId>
<CreateTime>1767312610</CreateTime>
<InfoType><![CDATA[authorized]]></InfoType>
<AuthorizerAppid><![CDATA[wx7f3a9c2e5b8d1046]]></AuthorizerAppid>
<AuthorizationCode><![CDATA[queryauthcode@@@Hs7Kp2Vn9Xq4Zt6Lm1Wc]]></AuthorizationCode>
<AuthorizationCodeExpiredTime>1767316210</AuthorizationCodeExpiredTime>
<PreAuthCode><![CDATA[preauthcode@@@Rb3Yd8Gf5Tk1Nj7Qx2Ez]]></PreAuthCode>
</xml>`
const suite = (InfoType: string, more: string) =>
  `<xml><SuiteId><![CDATA[ww8a4c2e6b0d1f3957]]></SuiteId><InfoType> <![CDATA[${InfoType}]]></InfoType><TimeStamp>1767313000</TimeStamp>${more}</xml>`
const added = (more: string) =>
  `<xml><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[add_external_contact]]></ChangeType><State><![CDATA[spring_2026]]></State>${more}</xml>`

describe('secretsOf and redact', () => {
  it('seal both codes of an authorisation and keep every other character', () => {
    const { sealed, kept } = treat('component', AUTHORIZED)
    expect(sealed).toEqual([
      { name: 'AuthorizationCode', value: 'queryauthcode@@@Hs7Kp2Vn9Xq4Zt6Lm1Wc' },
      { name: 'PreAuthCode', value: 'preauthcode@@@Rb3Yd8Gf5Tk1Nj7Qx2Ez' },
    ])
    expect(kept).toBe(
      AUTHORIZED.replace('<![CDATA[queryauthcode@@@Hs7Kp2Vn9Xq4Zt6Lm1Wc]]>', '').replace(
        '<![CDATA[preauthcode@@@Rb3Yd8Gf5Tk1Nj7Qx2Ez]]>',
        '',
      ),
    )
  })

  it('leave the repeat key that of the document as it came', () => {
    const { kept } = treat('component', AUTHORIZED)
    const other = AUTHORIZED.replace('Hs7Kp2', 'Hs7Kp3')
    expect(treat('component', other).kept).toBe(kept)
    expect(repeatKey(other)).not.toEqual(repeatKey(AUTHORIZED))
  })

  it.each<[EventSource, string, string, string]>([
    [
      'component',
      '<xml><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>S3CRET</ComponentVerifyTicket></xml>',
      'ComponentVerifyTicket',
      '<xml><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket></ComponentVerifyTicket></xml>',
    ],
    [
      'component',
      '<xml><InfoType>notify_third_fasteregister</InfoType><status>0</status><auth_code>S3CRET</auth_code></xml>',
      'auth_code',
      '<xml><InfoType>notify_third_fasteregister</InfoType><status>0</status><auth_code></auth_code></xml>',
    ],
    [
      'wecom_suite',
      suite('suite_ticket', '<SuiteTicket>S3CRET</SuiteTicket>'),
      'SuiteTicket',
      suite('suite_ticket', '<SuiteTicket></SuiteTicket>'),
    ],
    [
      'wecom_suite',
      suite('reset_permanent_code', '<AuthCode>S3CRET</AuthCode>'),
      'AuthCode',
      suite('reset_permanent_code', '<AuthCode></AuthCode>'),
    ],
    [
      'wecom_suite',
      suite('change_auth', '<State>S3CRET</State>'),
      'State',
      suite('change_auth', '<State></State>'),
    ],
    [
      'wecom_suite',
      suite('hit_keyword', '<Token>S3CRET</Token>'),
      'Token',
      suite('hit_keyword', '<Token></Token>'),
    ],
    [
      'wecom_suite',
      '{"event_type":"conversation_new_message","timestamp":1767313000,"conversation_new_message":{"token":"S3CRET"}}',
      'token',
      '{"event_type":"conversation_new_message","timestamp":1767313000,"conversation_new_message":{"token":""}}',
    ],
    [
      'wecom_suite',
      suite(
        'register_corp',
        '<ContactSync><AccessToken>S3CRET</AccessToken><ExpiresIn>7200</ExpiresIn></ContactSync>',
      ),
      'AccessToken',
      suite(
        'register_corp',
        '<ContactSync><AccessToken></AccessToken><ExpiresIn>7200</ExpiresIn></ContactSync>',
      ),
    ],
    [
      'wecom',
      '<xml><MsgType>event</MsgType><Event>kf_msg_or_event</Event><Token>S3CRET</Token><OpenKfId>wk1</OpenKfId></xml>',
      'Token',
      '<xml><MsgType>event</MsgType><Event>kf_msg_or_event</Event><Token></Token><OpenKfId>wk1</OpenKfId></xml>',
    ],
    [
      'wecom',
      added('<WelcomeCode>S3CRET</WelcomeCode>'),
      'WelcomeCode',
      added('<WelcomeCode></WelcomeCode>'),
    ],
    [
      'wecom',
      '<xml><MsgType>event</MsgType><Event>new_tomorrow</Event><a><AuthCode>S3CRET</AuthCode></a></xml>',
      'AuthCode',
      '<xml><MsgType>event</MsgType><Event>new_tomorrow</Event><a><AuthCode></AuthCode></a></xml>',
    ],
  ])('of %s: %s', (source, document, name, kept) => {
    expect(treat(source, document)).toMatchObject({ sealed: [{ name, value: 'S3CRET' }], kept })
  })

  it('seal the state of an installation, not that of a contact', () => {
    const { sealed } = treat(
      'wecom_suite',
      suite('create_auth', '<AuthCode>c</AuthCode><State>s</State>'),
    )
    expect(sealed).toEqual([
      { name: 'AuthCode', value: 'c' },
      { name: 'State', value: 's' },
    ])
    expect(treat('wecom', added('')).sealed).toEqual([])
    expect(treat('wecom', added('')).kept).toBe(added(''))
  })

  describe('however the XML is written', () => {
    const codes = (inner: string) => suite('create_auth', `${inner}<After>kept</After>`)
    it.each([
      [
        'in two sections',
        '<AuthCode><![CDATA[S3C]]]]><![CDATA[>RET]]></AuthCode>',
        '<AuthCode></AuthCode>',
        ['S3C]]>RET'],
      ],
      [
        'with what looks like its end',
        '<AuthCode><![CDATA[S3</AuthCode>CRET]]></AuthCode>',
        '<AuthCode></AuthCode>',
        ['S3</AuthCode>CRET'],
      ],
      [
        'twice',
        '<AuthCode>S3CRET</AuthCode><b/><AuthCode>S3CRET2</AuthCode>',
        '<AuthCode></AuthCode><b/><AuthCode></AuthCode>',
        ['S3CRET', 'S3CRET2'],
      ],
      [
        'around itself',
        '<AuthCode><AuthCode>S3CRET</AuthCode><x>S3CRET2</x></AuthCode>',
        '<AuthCode></AuthCode>',
        ['S3CRET', 'S3CRET2'],
      ],
      [
        'with spaces in its tags',
        '<AuthCode >S3CRET</AuthCode >',
        '<AuthCode ></AuthCode >',
        ['S3CRET'],
      ],
      [
        'with an attribute',
        `<AuthCode a="xy" b='z'>S3CRET</AuthCode>`,
        `<AuthCode a="xy" b='z'></AuthCode>`,
        ['S3CRET'],
      ],
      [
        'with a comment inside',
        '<AuthCode><!-- </AuthCode> -->S3CRET</AuthCode>',
        '<AuthCode></AuthCode>',
        ['S3CRET'],
      ],
      ['as a reference', '<AuthCode>S3&amp;CRET</AuthCode>', '<AuthCode></AuthCode>', ['S3&CRET']],
    ])('%s', (_name, inner, kept, values) => {
      const result = treat('wecom_suite', codes(inner))
      expect(result.kept).toBe(codes(kept))
      expect(result.sealed.map(({ value }) => value)).toEqual(values)
    })

    it.each([
      ['an empty one', '<AuthCode/>'],
      ['an empty one with a space', '<AuthCode />'],
      ['one in the text of another', '<Other><![CDATA[<AuthCode>no code</AuthCode>]]></Other>'],
      ['one in a comment', '<!-- <AuthCode>no code</AuthCode> -->'],
      ['one that only begins like it', '<AuthCodes>no code</AuthCodes><authcode>n</authcode>'],
    ])('leave %s as it is', (_name, inner) => {
      const result = treat('wecom_suite', codes(inner))
      expect(result.kept).toBe(codes(inner))
      expect(result.sealed).toEqual([])
    })

    it('drop all that stands behind one that never ends', () => {
      const event = readAs('wecom_suite', { InfoType: 'create_auth' })
      expect(redact('<xml><a>1</a><AuthCode>S3CRET<b>2</b></xml>', event)).toBe(
        '<xml><a>1</a><AuthCode>',
      )
    })
  })

  describe('in JSON', () => {
    it.each([
      [
        'a text',
        '{"InfoType":"create_auth", "AuthCode" : "S3CRET" ,"b":1}',
        '{"InfoType":"create_auth", "AuthCode" : "" ,"b":1}',
        ['S3CRET'],
      ],
      [
        'a number, the last',
        '{"InfoType":"create_auth","AuthCode":12345678901234567890}',
        '{"InfoType":"create_auth","AuthCode":""}',
        ['12345678901234567890'],
      ],
      [
        'an object',
        '{"InfoType":"create_auth","AuthCode":{"a":["S3CRET",{"b":"}"}]},"c":[1]}',
        '{"InfoType":"create_auth","AuthCode":"","c":[1]}',
        ['S3CRET', '}'],
      ],
      [
        'an escaped name',
        '{"InfoType":"create_auth","\\u0041uthCode":"S3CRET"}',
        '{"InfoType":"create_auth","\\u0041uthCode":""}',
        ['S3CRET'],
      ],
      [
        'a name with a space',
        '{"InfoType":"create_auth"," AuthCode":"S3CRET"}',
        '{"InfoType":"create_auth"," AuthCode":""}',
        ['S3CRET'],
      ],
      [
        'an escaped quote',
        '{"InfoType":"create_auth","AuthCode":"S3\\"CRET\\\\"}',
        '{"InfoType":"create_auth","AuthCode":""}',
        ['S3"CRET\\'],
      ],
      [
        'inside others',
        '{"InfoType":"create_auth","x":[{"AuthCode":"S3CRET"}]}',
        '{"InfoType":"create_auth","x":[{"AuthCode":""}]}',
        ['S3CRET'],
      ],
      [
        'a text that is called so',
        '{"InfoType":"create_auth","x":"AuthCode","y":["AuthCode"]}',
        '{"InfoType":"create_auth","x":"AuthCode","y":["AuthCode"]}',
        [],
      ],
      [
        'a text that looks so',
        '{"InfoType":"create_auth","x":"\\"AuthCode\\":\\"no\\""}',
        '{"InfoType":"create_auth","x":"\\"AuthCode\\":\\"no\\""}',
        [],
      ],
    ])('%s', (_name, document, kept, values) => {
      const result = treat('wecom_suite', document)
      expect(result.kept).toBe(kept)
      expect(result.sealed.map(({ value }) => value)).toEqual(values)
    })

    it('the welcome code of customer service', () => {
      const document =
        '{"msgtype":"event","origin":4,"event":{"event_type":"enter_session","welcome_code":"S3CRET"}}'
      const event = readKfMessage({ fields: readJsonFields(document), receivedAt: RECEIVED_AT })
      expect(secretsOf(event)).toEqual([{ name: 'welcome_code', value: 'S3CRET' }])
      expect(redact(document, event)).toBe(document.replace('S3CRET', ''))
    })
  })

  it.each(
    EVENT_SOURCES.flatMap((source) =>
      CATALOGUE[source].filter((row) => row.secrets === undefined).map((row) => ({ source, row })),
    ),
  )('touch nothing of $row.kind of $source', ({ row }: { row: CatalogueRow }) => {
    const event = { ...readAs('wecom', {}), kind: row.kind, fields: { AuthCode: 'text' } }
    const document = '<xml><AuthCode>text</AuthCode></xml>'
    expect(secretsOf(event)).toEqual([])
    expect(redact(document, event)).toBe(document)
  })

  /** Fields with what stands under a credential's name emptied. */
  function emptied(field: Field): Field {
    if (typeof field === 'string') return field
    if (isList(field)) return field.map(emptied)
    const entries = Object.entries(field).map(([name, inner]) => [
      name,
      name !== 'AuthCode' && name !== 'State'
        ? emptied(inner ?? '')
        : isList(inner ?? '')
          ? (inner as Field[]).map(() => '')
          : '',
    ])
    return Object.fromEntries(entries) as Fields
  }

  const names = fc.constantFrom('AuthCode', 'State', 'a', 'b', 'AuthCorpId')
  const { field } = fc.letrec<{ field: Field; fields: Fields }>((tie) => ({
    field: fc.oneof(
      { depthSize: 'small' },
      fc.oneof(fc.string(), fc.constantFrom('</AuthCode>', '<AuthCode>', ']]>', '"AuthCode":"x"')),
      tie('fields'),
    ),
    fields: fc.dictionary(names, tie('field'), { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
  }))
  const documents = fc.dictionary(names, field, { maxKeys: 5, noNullPrototype: true })

  it('empty the credentials of any XML and nothing else', () => {
    const write = (value: Field): string =>
      typeof value === 'string'
        ? cdata(value)
        : Object.entries(value)
            .map(([name, inner]) => `<${name}>${write(inner as Field)}</${name}>\n`)
            .join('')
    fc.assert(
      fc.property(documents, (more) => {
        const document = `<xml><InfoType>create_auth</InfoType>${write(more)}</xml>`
        fc.pre(readXml(document).ok)
        const fields = fieldsOf(document)
        const event = readAs('wecom_suite', fields)
        expect(fieldsOf(redact(document, event))).toEqual(emptied(fields))
      }),
      { numRuns: 300 },
    )
  })

  it('empty the credentials of any JSON and nothing else', () => {
    fc.assert(
      fc.property(documents, fc.nat({ max: 2 }), (more, indent) => {
        const fields = { ...more, InfoType: 'create_auth' }
        const document = JSON.stringify(fields, null, indent)
        const event = readAs('wecom_suite', fields)
        expect(readJsonFields(redact(document, event))).toEqual(emptied(fields))
      }),
      { numRuns: 300 },
    )
  })
})
