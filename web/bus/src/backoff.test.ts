import { expect, test } from 'vitest'
import { afterClose, growing } from './backoff'

const least = () => 0
const most = () => 0.999999
const reason = (after_ms: number, window_ms: number) => JSON.stringify({ code: 'going_away', reconnect: { after_ms, window_ms } })

test('the own delay doubles from a second to a minute, each with a random half', () => {
  expect([0, 1, 2, 5, 6, 60].map((tries) => growing(tries, least))).toEqual([500, 1000, 2000, 16000, 30000, 30000])
  expect(growing(6, most)).toBeCloseTo(60000, -1)
})

test('the window in the close reason is obeyed, whatever failed before', () => {
  for (const tries of [0, 3, 9]) {
    expect(afterClose(4000, reason(2000, 30000), tries, least)).toEqual({ delay: 2000, token: false, obeyed: true })
    expect(afterClose(4000, reason(2000, 30000), tries, most).delay).toBeCloseTo(32000, 0)
  }
})

test('a reason that says nothing leaves the own delay', () => {
  for (const text of ['', 'null', '7', '{"code":"slow"}', '{{{', reason(1, 2).slice(0, 20)])
    expect(afterClose(4001, text, 2, least)).toEqual({ delay: 2000, token: false })
  expect(afterClose(1012, reason(9, 9), 0, least).delay).toBe(500)
})

test('an ended token is fetched anew, and one that is refused again and again is not asked for in a circle', () => {
  expect(afterClose(4100, reason(0, 1000), 0, least)).toEqual({ delay: 0, token: true, obeyed: true })
  expect(afterClose(4101, reason(0, 1000), 4, least).delay).toBe(8000)
})

test('4200 to 4299 end it for ever, with the reason of the server', () => {
  expect(afterClose(4201, '{"code":"token_invalid","message":"not signed"}', 0, least).never).toEqual({ code: 'token_invalid', message: 'not signed' })
  expect(afterClose(4299, '', 0, least).never?.code).toBe('4299')
})
