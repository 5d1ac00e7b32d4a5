import { expect, test } from 'vitest'
import { axisEnd, placeOn, type DiffRow } from './diff'

function row(low: number | null, high: number | null): DiffRow {
  return { verdict: 'same', change: low, low, high, added: 0, calls_a: 9, calls_b: 9, time_a: 1, time_b: 1, number_a: 1, number_b: 1 }
}

test('one extreme change does not squeeze the others', () => {
  const rows = [...Array.from({ length: 20 }, () => row(-0.3, 0.5)), row(90, 110)]
  expect(axisEnd(rows)).toBe(0.5)
})

test('no change stands in the middle, and what is beyond the end stands there', () => {
  expect([placeOn(0.5, 0), placeOn(0.5, 0.25), placeOn(0.5, 9), placeOn(0.5, -9)]).toEqual([0.5, 0.75, 1, 0])
  expect(axisEnd([row(null, null)])).toBe(1)
})
