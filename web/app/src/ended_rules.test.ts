import { expect, test } from 'vitest'
import { isSameRule, readRules } from './ended_rules'
import type { Rule } from './rule'

const rule: Rule = {
  id: 'r1', author: 'api', database: '', users: ['demo'], methods: [], profile: [], sample: [], db: [], io: [],
  slower_than_us: 0, one_in: 1, created_us: 1, expires_us: 2,
}

test('kept rules come back, at most twenty', () => {
  const many = Array.from({ length: 30 }, (_, n) => ({ ...rule, id: `r${n}`, query_us: n === 0 ? null : n }))
  expect(readRules(JSON.stringify(many))).toEqual(many.slice(0, 20))
})

test('what is no rule is left out', () => {
  for (const text of ['', '{', 'null', '7', '{}', '[null]', '["r1"]', '[[]]', '[{}]']) expect(readRules(text), text).toEqual([])
  for (const wrong of [{ users: 'demo' }, { methods: [1] }, { id: 1 }, { one_in: '1' }, { expires_us: null }, { query_us: 'x' }]) {
    expect(readRules(JSON.stringify([{ ...rule, ...wrong }, rule])), JSON.stringify(wrong)).toEqual([rule])
  }
})

test('an id that came again is another rule', () => {
  expect([isSameRule(rule, { ...rule, expires_us: 3 }), isSameRule(rule, { ...rule, created_us: 2 })]).toEqual([true, false])
})
