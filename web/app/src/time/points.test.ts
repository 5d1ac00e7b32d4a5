import { expect, test } from 'vitest'
import { padded } from './points'

test('one point and none have an axis of half a minute', () => {
  expect(padded([], [[], []], 100)).toEqual({ times: [70, 100], values: [[null, null], [null, null]] })
  expect(padded([50], [[1], [2]], 100)).toEqual({ times: [20, 50], values: [[null, 1], [null, 2]] })
})

test('two points stay as they are', () => {
  expect(padded([50, 51], [[1, 2]], 100)).toEqual({ times: [50, 51], values: [[1, 2]] })
})
