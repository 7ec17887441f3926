import { describe, expect, it } from 'vitest'
import { fieldTypeOf, valueFault } from '../../src/templates/field-types.ts'

describe('valueFault', () => {
  it.each([
    ['thing1', '茶'.repeat(20)],
    ['thing1', '👩‍🚀 is more than one character'.slice(0, 12)],
    ['number2', '12345.67'],
    ['letter3', 'AbC'],
    ['symbol4', '★★★'],
    ['character_string5', 'A-1017/2026'],
    ['time6', '15:01'],
    ['time6', '2026年3月1日 15:01~16:30'],
    ['time6', '24:00'],
    ['time6', '8点30分～10点'],
    ['time6', '2026-03-01T15:01:59'],
    ['date7', '2026-03-01'],
    ['date7', '2026/12/31-2027/1/31'],
    ['date7', '2026年3月1日'],
    ['amount8', '¥1024.50'],
    ['amount8', '1024元'],
    ['phone_number9', '+86-0766-66888866'],
    ['car_number10', '粤A8Z888挂'],
    ['name11', '李小明'],
    ['name11', 'Alexandra Johnson'],
    ['phrase12', '配送中'],
    ['const13', '任何文字'],
    ['first', '没有规则的旧字段，长度不限，长度不限，长度不限，长度不限'],
    ['mystery14', 'a type that nobody told us about'],
  ])('takes %s: %s', (field, value) => {
    expect(valueFault(field, value)).toBeNull()
  })

  it.each([
    ['thing1', '茶'.repeat(21), /20 characters.*has 21/],
    ['thing1', '  ', /blank/],
    ['number2', '12a', /number/],
    ['number2', '1'.repeat(33), /32 digits/],
    ['letter3', 'ab1', /letters/],
    ['symbol4', '★★★★★★', /5 symbols/],
    ['character_string5', '单号1', /Chinese/],
    ['character_string5', 'x'.repeat(33), /32/],
    ['time6', 'tomorrow', /15:01/],
    ['date7', '下周', /date/],
    ['time6', '25:01', /24 hours/],
    ['time6', '15:60', /24 hours/],
    ['time6', '15:01:60', /24 hours/],
    ['time6', '9:00~25:30', /24 hours/],
    ['time6', '2026年3月1日 8点75分', /24 hours/],
    ['date7', '2026年13月1日', /date/],
    ['date7', '2026-02-32', /date/],
    ['thing1', '第一行\n第二行', /line breaks/],
    ['const13', 'a\tb', /line breaks/],
    ['character_string5', 'A\u20281', /line breaks/],
    ['amount8', '12345678901元', /10 digits/],
    ['amount8', '免费', /amount/],
    ['phone_number9', 'call me', /digits/],
    ['car_number10', 'ABCDEFGHI', /8 characters/],
    ['name11', '爱新觉罗一二三四五六七', /10 characters/],
    ['phrase12', '正在配送之中', /5 Chinese/],
    ['phrase12', 'ok', /Chinese/],
  ])('refuses %s: %s', (field, value, rule) => {
    expect(valueFault(field, value)).toMatch(rule)
    expect(valueFault(field, value)).not.toContain(value.trim() || 'nothing')
  })

  it('holds a field to the values the platform lists for it', () => {
    expect(valueFault('phrase1', '已发货', ['已发货', '已签收'])).toBeNull()
    expect(valueFault('phrase1', '配送中', ['已发货', '已签收'])).toMatch(/已发货, 已签收/)
  })
})

describe('fieldTypeOf', () => {
  it('reads the type before the number, and knows none for old names', () => {
    expect(['character_string12', 'enum_string3', 'keyword1', 'remark'].map(fieldTypeOf)).toEqual([
      'character_string',
      'enum_string',
      null,
      null,
    ])
  })
})
