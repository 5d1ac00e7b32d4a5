import { expect, test } from 'vitest'
import { compareCells, filtered, localRows, orderText, parseOrder, sorted } from './rows'

const rows = [
  { method: 'model.sale.sale.read', time: 0.2, user: 'admin' },
  { method: 'model.party.party.read', time: null, user: 'demo' },
  { method: 'Model.Sale.line.write', time: 1.5, user: null },
]

test('rows sort by a number, those without one as the smallest', () => {
  expect(sorted(rows, { column: 'time', descending: true }).map((row) => row.time)).toEqual([1.5, 0.2, null])
  expect(sorted(rows, undefined)).toEqual(rows)
})

test('sorting keeps the order of equal rows', () => {
  const many = Array.from({ length: 100 }, (_, n) => ({ key: n % 3, n }))
  const inGroups = sorted(many, { column: 'key', descending: false })
  for (let i = 1; i < inGroups.length; i += 1) {
    const [before, after] = [inGroups[i - 1]!, inGroups[i]!]
    expect(before.key < after.key || before.n < after.n).toBe(true)
  }
})

test('a filter wants every word, in any text and whatever the case', () => {
  expect(filtered(rows, 'sale READ')).toHaveLength(1)
  expect(filtered(rows, 'sale')).toHaveLength(2)
  expect(filtered(rows, 'demo  read')).toHaveLength(1)
  expect(filtered(rows, '')).toHaveLength(3)
  expect(filtered(rows, 'demo read', ['method'])).toHaveLength(0)
  expect(filtered(rows, 'demo read', ['method', 'user'])).toHaveLength(1)
})

test('an order survives its way through an address', () => {
  for (const text of ['', '-tm', 'method']) expect(orderText(parseOrder(text))).toBe(text)
})

test('a source of rows that are here knows its total', () => {
  const source = localRows(rows, parseOrder('-time'), 'sale')
  expect(source.total).toBe(2)
  expect(source.at(0)?.time).toBe(1.5)
  expect(compareCells('b', 'a')).toBe(1)
})
