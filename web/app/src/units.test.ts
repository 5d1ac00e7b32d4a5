import { expect, test } from 'vitest'
import { bytes, count, growth, moment, number, plural, seconds, share, shortMoment } from './units'

test('a time span has a unit that keeps it readable', () => {
  const spans = [0, 0.000412, 0.0873, 0.99999, 1.2345, 214, 7300, 200_000]
  expect(spans.map(seconds)).toEqual(
    ['0 ms', '412 µs', '87.3 ms', '1.00 s', '1.23 s', '3.57 min', '2.03 h', '2.31 d'])
})

test('a size is decimal, and bytes are whole', () => {
  expect([0, 990, 14_200, 2_310_000, 999_600].map(bytes)).toEqual(['0 B', '990 B', '14.2 kB', '2.31 MB', '1.00 MB'])
})

test('what is not known is a dash and never zero', () => {
  expect([seconds(null), bytes(null), count(undefined), growth(null), number(null), moment(null)])
    .toEqual(Array(6).fill('–'))
})

test('less than nothing has a true minus', () => {
  expect([seconds(-0.9), number(-3), bytes(-2000)]).toEqual(['−900 ms', '−3', '−2.00 kB'])
})

test('growth tells its direction', () => {
  expect([0.62, -0.031, 0].map(growth)).toEqual(['+62 %', '−3.1 %', '0.0 %'])
})

test('a short moment keeps what tells it from others', () => {
  const now = new Date(2026, 10, 21, 15, 0, 0)
  const short = (...date: [number, number, number, number, number, number]) => shortMoment(new Date(...date).toISOString(), now)
  expect(short(2026, 10, 21, 9, 5, 7)).toBe('09:05:07')
  expect(short(2026, 10, 20, 9, 5, 7)).toBe('11-20 09:05')
  expect(short(2025, 10, 20, 9, 5, 7)).toBe('2025-11-20')
  expect([shortMoment(null), shortMoment('no time', now)]).toEqual(['–', 'no time'])
})

test('a moment of another day names the day', () => {
  const now = new Date(2026, 10, 21, 15)
  expect(moment(new Date(2026, 10, 21, 9, 5, 7).toISOString(), now)).toBe('09:05:07')
  expect(moment(new Date(2026, 10, 20, 9, 5, 7).toISOString(), now)).toBe('2026-11-20 09:05:07')
})

test('numbers lose trailing zeros, counts get groups', () => {
  expect([8, 3.4, 1204, 12.04, 400, 100.5, 0].map(number)).toEqual(['8', '3.4', '1,204', '12', '400', '101', '0'])
  expect([plural(1, 'row'), plural(4000, 'row')]).toEqual(['1 row', '4,000 rows'])
  expect([999, 1000, 1234567, -1234567].map(count)).toEqual(['999', '1,000', '1,234,567', '-1,234,567'])
  expect(share(1, 3)).toBe('33 %')
})
