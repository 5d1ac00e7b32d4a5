import { expect, test } from 'vitest'
import { advance, statementNow, type Live, type LiveCall, type RunningCall, type Snapshot } from './live'

const start: Live = { snapshot: undefined, times: [], perSecond: [], running: [], calls: [] }

function call(number: number): LiveCall {
  return { id: `c${number}`, database: 'd', session: 's', '#': number, method: 'm', user: 'u', time: 1, sql: 0, statements: 1, status: 'ok',
    repeated: 1, start: new Date(number * 1000).toISOString() }
}

function picture(second: number, calls: LiveCall[]): Snapshot {
  return { at: new Date(second * 1000).toISOString(), running: [], running_total: 0, blocking: { sessions: [], problems: [] }, per_second: 2, methods: [], calls, drops: 0, problem: null }
}

test('the newest call comes first and none comes twice', () => {
  const live = advance(advance(start, picture(1, [call(1), call(2)])), picture(2, [call(2), call(3)]))
  expect(live.calls.map((one) => one['#'])).toEqual([3, 2, 1])
  expect(live.perSecond).toEqual([2, 2])
})

test('what is kept is bounded however long one looks', () => {
  let live = start
  for (let second = 0; second < 1000; second += 1) live = advance(live, picture(second, [call(2 * second), call(2 * second + 1)]))
  expect(live.times.length).toBe(180)
  expect(live.calls.length).toBe(500)
  expect(live.times[179]).toBe(999)
})

test('a call that is in Python is in no statement', () => {
  const running: RunningCall = { id: 'c', database: 'd', session: 's', user: 'u', method: 'm', start: '', seconds: 2, host: 'h', process: 1,
    activity: 'sql', activity_seconds: 1, statement: 'SELECT 1', blocked_by: null }
  expect(['sql', 'lock', 'commit', 'code'].map((activity) => statementNow({ ...running, activity }))).toEqual(['SELECT 1', 'SELECT 1', 'SELECT 1', null])
})
