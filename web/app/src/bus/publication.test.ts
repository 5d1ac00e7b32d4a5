import { expect, test } from 'vitest'
import { problemOf, publicationText } from './publication'

test('what is missing or no JSON is said before it is sent', () => {
  expect(problemOf('', '1')).toMatch(/channel is missing/)
  expect(problemOf('a', ' ')).toMatch(/data is missing/)
  expect(problemOf('a', 'hello')).toMatch(/stands in double quotes/)
  expect(problemOf('a', '{"n":1}')).toBeUndefined()
})

test('data is sent as it was typed', () => {
  expect(publicationText('room:"1"', '12345678901234567890', '')).toBe('{"channel":"room:\\"1\\"","data":12345678901234567890}')
  expect(JSON.parse(publicationText('a', '[1]', 'k'))).toEqual({ channel: 'a', data: [1], id: 'k' })
})
