import { expect, test } from 'vitest'
import { isInForce, ruleBody, ruleText, type Rule } from './rule'

const rule: Rule = {
  id: 'r1', author: 'api', database: '', users: ['demo', '7'], methods: ['model.party.*'], profile: ['model.sale.*'], sample: [],
  db: [], io: [], query_us: 250_000, slower_than_us: 0, one_in: 1, created_us: 1_000_000, expires_us: 601_000_000,
}

test('a rule reads as a sentence', () => {
  expect(ruleText(rule)).toEqual({
    who: 'demo, 7 in model.party.*', what: 'with exact profile of model.sale.*; statements over 250 ms' })
  expect(ruleText({ ...rule, users: [], methods: [], profile: [], query_us: null, slower_than_us: 1_500_000 }))
    .toEqual({ who: 'everybody slower than 1500 ms', what: 'figures only' })
})

test('an ended rule comes back as it was, for as long as it was to hold', () => {
  expect(ruleBody(rule)).toEqual({ for: '600s', users: ['demo', '7'], methods: ['model.party.*'], profile: ['model.sale.*'], query: '250ms' })
  const { expires_us: _, ...endless } = rule
  expect(ruleBody(endless).for).toBe('3600s')
})

test('a rule without an end is in force', () => {
  const { expires_us: _, ...endless } = rule
  expect([isInForce(rule, 600_999), isInForce(rule, 601_000), isInForce(endless, 1e15)]).toEqual([true, false, true])
})
