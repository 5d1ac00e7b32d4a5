import { expect, test } from 'vitest'
import { shares, statusMark } from './call_row'

test('the parts of a call add up to the whole, also when they overlap in the record', () => {
  expect(shares({ tm: 1, db_tm: 0.4, wait: 0.1, commit: 0.1 })).toEqual({ sql: 0.4, wait: 0.1, commit: 0.1, rest: expect.closeTo(0.4) })
  const odd = shares({ tm: 1, db_tm: 0.9, wait: 0.3, commit: 0.5 })
  expect(odd.sql + odd.wait + odd.commit + odd.rest).toBeCloseTo(1)
  expect(odd.rest).toBe(0)
})

test('what a user was told is no defect', () => {
  expect([statusMark('ok'), statusMark('user_error'), statusMark('exception')]).toEqual([undefined, 'warn', 'bad'])
})
