import { expect, test } from 'vitest'
import { oneLine, visible } from './visible'

test('what cannot be seen is written as an escape', () => {
  expect(visible('a\x1b[31m\u202eb\x00')).toBe('a\\x1b[31m\\u202eb\\x00')
})

test('markup and line ends stay as they are', () => {
  expect(visible('<b>\n\tü&amp;</b>')).toBe('<b>\n\tü&amp;</b>')
})

test('one line is short whatever it came from', () => {
  expect(oneLine('x '.repeat(1_000_000), 5)).toBe('x x x…')
})

test('a name that is empty, which is null in an answer, is an empty text', () => {
  expect(oneLine(null)).toBe('')
  expect(visible(null)).toBe('')
})
