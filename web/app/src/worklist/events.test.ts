import { expect, test } from 'vitest'
import { afterEvent, EventReader, nothingTold, type ServerEvent, type Told } from './events'

const counts = (value: Record<string, number | null>): ServerEvent => ({ name: 'counts', data: JSON.stringify({ counts: value }) })

test('a stream is split into its events wherever it was cut', () => {
  const stream = ':\n\nevent: state\ndata: {"state":"current"}\n\n:\n\nevent: counts\ndata: {"counts":{}}\n\n'
  for (let size = 1; size <= stream.length; size += 1) {
    const reader = new EventReader()
    const events: ServerEvent[] = []
    for (let at = 0; at < stream.length; at += size) events.push(...reader.push(stream.slice(at, at + size)))
    expect(events).toEqual([{ name: 'state', data: '{"state":"current"}' }, { name: 'counts', data: '{"counts":{}}' }])
  }
})

test('the first numbers are no change, others are', () => {
  let told: Told = afterEvent(nothingTold, counts({ 'sale/draft': 2, 'sale/late': 0 }), 5)
  expect([told.changes, told.news.get('sale/draft')]).toEqual([0, { count: 2, at: 0 }])
  told = afterEvent(told, counts({ 'sale/draft': 3 }), 6)
  expect([told.changes, told.news.get('sale/draft'), told.news.get('sale/late')]).toEqual([1, { count: 3, at: 6 }, { count: 0, at: 0 }])
})

test('a stream that begins again tells all, and what changed meanwhile is a change', () => {
  let told = afterEvent(nothingTold, counts({ 'sale/draft': 2, 'sale/late': 0 }), 5)
  told = afterEvent(told, counts({ 'sale/draft': 2, 'sale/late': 1 }), 9)
  expect([told.changes, told.news.get('sale/draft')?.at, told.news.get('sale/late')?.at]).toEqual([1, 0, 9])
  expect(afterEvent(told, counts({ 'sale/late': null }), 10).news.get('sale/late')).toEqual({ count: null, at: 10 })
})

test('the state is what was told last', () => {
  const told = afterEvent(nothingTold, { name: 'state', data: '{"state":"waiting","text":"waiting for transaction of process 4711"}' }, 1)
  expect([told.state, told.text]).toEqual(['waiting', 'waiting for transaction of process 4711'])
  expect(afterEvent(told, { name: 'other', data: '{' }, 1)).toBe(told)
})
