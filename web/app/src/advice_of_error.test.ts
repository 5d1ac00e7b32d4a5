import { expect, test } from 'vitest'
import { withoutCommand } from './advice_of_error'

test('who reads a page is not sent to the command line', () => {
  expect(withoutCommand("session d/s has no call 99; 'headroom call s' lists its calls")).toBe('session d/s has no call 99')
  expect(withoutCommand("invalid session 'x; y': no session begins with 'x; y'; 'headroom session' lists the sessions"))
    .toBe("invalid session 'x; y': no session begins with 'x; y'")
  expect(withoutCommand("call 'abc': expected its number, 1 or more")).toBe("call 'abc': expected its number, 1 or more")
})
