import { expect, test } from 'vitest'
import { axisOf } from './axis'

test('a pause takes little room and is marked', () => {
  const axis = axisOf([{ start: 0, length: 1 }, { start: 3601, length: 1 }])
  expect(axis.breaks).toHaveLength(1)
  expect(axis.breaks[0]!.hidden).toBeCloseTo(3600 - 0.1)
  expect(axis.length).toBeCloseTo(2.1)
  expect(axis.place(0)).toBe(0)
  expect(axis.place(3602)).toBeCloseTo(1)
})

test('calls at the same time lie side by side', () => {
  const axis = axisOf([{ start: 10, length: 4 }, { start: 11, length: 1 }])
  expect(axis.breaks).toHaveLength(0)
  expect(axis.place(11)).toBeCloseTo(0.25)
  expect(axis.place(12)).toBeCloseTo(0.5)
})

test('places keep the order of times, for any spans', () => {
  let seed = 20261121
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648
  for (let round = 0; round < 50; round += 1) {
    const spans = Array.from({ length: 40 }, () => ({ start: random() * 1000, length: random() * (random() < 0.3 ? 30 : 0.1) }))
    const axis = axisOf(spans)
    const times = spans.flatMap((span) => [span.start, span.start + span.length]).sort((a, b) => a - b)
    const places = times.map(axis.place)
    for (let i = 1; i < places.length; i += 1) expect(places[i]! + 1e-12).toBeGreaterThanOrEqual(places[i - 1]!)
    expect(places[0]).toBeCloseTo(0)
    expect(places[places.length - 1]).toBeCloseTo(1)
  }
})

test('nothing has an axis too', () => {
  expect(axisOf([]).place(5)).toBe(0)
})
