import { expect, test } from 'vitest'
import { matching, MOST_CHARACTERS, MOST_MESSAGES, nextLook, noTail, readFrame, withCome, withKept, withoutMessages, type TailMessage } from './tail'

function message(offset: number, text = '1', channel = 'room:1'): TailMessage {
  return { key: `${channel}@${offset}`, at: 5, channel, offset, text }
}

test('a frame keeps its data as it was sent', () => {
  const data = '{"n":12345678901234567890,"t":"\\"}"}'
  expect(readFrame(`{"channel":"room:<b>","offset":7,"data":${data}}`, 5)).toEqual({ key: 'room:<b>@7', at: 5, channel: 'room:<b>', offset: 7, text: data })
  expect(readFrame('{"other":1}', 5)).toBeUndefined()
})

test('the newest comes first and none comes twice', () => {
  const tail = withCome(withCome(noTail, [message(1), message(2)]), [message(2), message(3)])
  expect(tail.messages.map((one) => one.offset)).toEqual([3, 2, 1])
  expect(tail.came).toBe(3)
})

test('what is kept is bounded however much comes', () => {
  let tail = noTail
  for (let offset = 1; offset <= 2000; offset += 1) tail = withCome(tail, [message(offset)])
  expect(tail.messages.length).toBe(MOST_MESSAGES)
  expect(tail.came).toBe(2000)
  for (let offset = 2001; offset <= 2020; offset += 1) tail = withCome(tail, [message(offset, 'x'.repeat(1_000_000))])
  expect(tail.characters).toBeLessThanOrEqual(MOST_CHARACTERS)
  expect(tail.messages[0]!.offset).toBe(2020)
  expect(withCome(noTail, [message(1, 'x'.repeat(MOST_CHARACTERS + 1))]).messages.length).toBe(1)
})

test('what a channel kept stands below, and what it got since the last look on top', () => {
  const history = (epoch: string, ...offsets: number[]) => ({ epoch, lost: false, offset: offsets.at(-1) ?? 0, messages: offsets.map((offset) => ({ offset, data: { offset } })) })
  let tail = withKept(withCome(noTail, [message(4)]), 'room:1', history('e', 2, 3, 4), 9)
  expect(tail.messages.map((one) => [one.offset, one.at])).toEqual([[4, 5], [3, undefined], [2, undefined]])
  tail = withKept(tail, 'room:1', history('e', 4, 5, 6), 9)
  expect(tail.messages.map((one) => [one.offset, one.at])).toEqual([[6, 9], [5, 9], [4, 5], [3, undefined], [2, undefined]])
  expect(tail.came).toBe(3)
  tail = withKept(withCome(tail, [message(1, '1', 'room:10')]), 'room:1', history('f', 1), 9)
  expect(tail.messages.map((one) => one.key)).toEqual(['room:10@1', 'room:1@1'])
})

test('what the connection missed is made up for', () => {
  const history = (...offsets: number[]) => ({ epoch: 'e', lost: false, offset: 9, messages: offsets.map((offset) => ({ offset, data: 1 })) })
  const tail = withCome(withKept(noTail, 'room:1', history(3), 9), [message(5)])
  expect(withKept(tail, 'room:1', history(4, 5), 9).messages.map((one) => one.offset).sort()).toEqual([3, 4, 5])
})

test('what was cleared away does not come back', () => {
  const history = { epoch: 'e', lost: false, offset: 3, messages: [2, 3].map((offset) => ({ offset, data: 1 })) }
  const cleared = withoutMessages(withCome(withKept(noTail, 'room:1', history, 9), [message(4)]), 'room:1')
  expect(withKept(cleared, 'room:1', history, 9).messages).toEqual([])
  const more = { ...history, offset: 5, messages: [4, 5].map((offset) => ({ offset, data: 1 })) }
  expect(withKept(cleared, 'room:1', more, 9).messages.map((one) => [one.offset, one.at])).toEqual([[5, 9]])
})

test('the next look begins where the last one ended, and anew after a loss', () => {
  expect(nextLook(noTail)).toEqual({})
  const messages = [2, 3].map((offset) => ({ offset, data: 1 }))
  let tail = withKept(noTail, 'room:1', { epoch: 'e', lost: false, offset: 9, messages }, 9)
  expect(nextLook(tail)).toEqual({ offset: 3, epoch: 'e' }) // more than fits into one answer is there
  expect(nextLook(withKept(noTail, 'room:1', { epoch: 'e', lost: false, offset: 9, messages: [] }, 9))).toEqual({ offset: 9, epoch: 'e' })
  tail = withKept(tail, 'room:1', { epoch: 'f', lost: true, offset: 1, messages: [] }, 9)
  expect([tail.messages, nextLook(tail)]).toEqual([[], {}])
})

test('the filter looks into channels and texts', () => {
  const all = [message(1, '{"type":"Order"}'), message(2, '{"type":"note"}'), message(3, '1', 'orders')]
  expect(matching(all, ' order ').map((one) => one.offset)).toEqual([1, 3])
  expect(matching(all, 'order room').map((one) => one.offset)).toEqual([1])
  expect(matching(all, '')).toBe(all)
})
