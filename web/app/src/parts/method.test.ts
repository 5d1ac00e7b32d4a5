import { expect, test } from 'vitest'
import { tailAt } from './method'

test('the last part of a name stays when the rest is cut', () => {
  expect('model.sale.sale.read'.slice(tailAt('model.sale.sale.read'))).toBe('.read')
})

test('a name that is one long part is cut at its end', () => {
  for (const name of ['read', `a.${'x'.repeat(500)}`, '.hidden', '']) expect(tailAt(name)).toBe(name.length)
})
