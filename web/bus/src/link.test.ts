import { beforeEach, expect, test } from 'vitest'
import { Link } from './link'
import { FakeWorld } from './play'

let world: FakeWorld
let events: string[]
let link: Link

beforeEach(() => {
  world = new FakeWorld()
  events = []
  link = new Link('ws://here/bus/ws', 'first', world, {
    opened: ({ user }) => events.push(`opened ${user}`),
    pushed: (push) => events.push(JSON.stringify(push)),
    interrupted: () => events.push('interrupted'),
    wantToken: () => events.push('token?'),
    ended: ({ code }) => events.push(`ended ${code}`),
  })
})

test('the token travels in the first frame, and commands wait until it is accepted', () => {
  link.ask('who', { channel: 'a' })
  world.last.onopen?.()
  expect(world.last.look()).toEqual([{ connect: { token: 'first', client: 'headroom-bus/1' } }])
  world.last.answer('connect', { user: 'alice', ping_s: 25 })
  expect(world.last.look()).toEqual([{ who: { channel: 'a' } }])
  expect(events).toEqual(['opened alice'])
})

test('answers find their commands in any order', () => {
  world.last.welcome()
  const got: unknown[] = []
  link.ask('who', { channel: 'a' }, (_, body) => got.push(body))
  link.ask('who', { channel: 'b' }, (error) => got.push(error?.code))
  const [a, b] = world.last.sent.slice(-2)
  world.last.push({ id: b.id, error: { code: 'denied', message: 'no' } })
  world.last.push({ id: a.id, who: { users: [] } })
  world.last.push({ id: a.id, who: { users: ['twice'] } })
  expect(got).toEqual(['denied', { users: [] }])
})

test('what is published stays until it is answered, over any number of connections', () => {
  world.last.welcome()
  let answered = 0
  link.ask('publish', { channel: 'a', data: 1, id: 'x' }, () => answered++, true)
  link.ask('history', { channel: 'a' }, (error) => events.push(`history ${error?.code}`))
  for (let n = 0; n < 3; n += 1) {
    world.last.end()
    world.pass(60_000)
    world.last.welcome()
  }
  expect(world.last.sent.filter((one) => one.publish)).toEqual([{ id: expect.any(Number), publish: { channel: 'a', data: 1, id: 'x' } }])
  expect(events).toContain('history unavailable')
  world.last.answer('publish', { offset: 1, epoch: 'e' })
  expect(answered).toBe(1)
})

test('an error that says retry is tried again with the same id, until the deadline', () => {
  world.last.welcome()
  const codes: (string | undefined)[] = []
  link.ask('publish', { channel: 'a', data: 1, id: 'x' }, (error) => codes.push(error?.code), true)
  for (let n = 0; n < 3; n += 1) {
    world.last.answer('publish', {}, { error: { code: 'unavailable', message: 'broker', retry: true } })
    expect(codes).toEqual([])
    world.pass(2000)
  }
  expect(world.last.sent.filter((one) => one.publish?.id === 'x').length).toBe(4)
  world.pass(240_000)
  expect(codes).toEqual(['timed_out'])
})

test('no more than 64 commands wait for their answers at once', () => {
  world.last.welcome()
  for (let n = 0; n < 100; n += 1) link.ask('publish', { n }, undefined, true)
  expect(world.last.look().length).toBe(64)
  const first = world.last.sent.find((one) => one.publish?.n === 0)
  world.last.push({ id: first.id, publish: {} })
  expect(world.last.look()).toEqual([{ publish: { n: 64 } }])
})

test('the window of the close reason is waited for, and no sign of the network shortens it', () => {
  world.last.welcome()
  world.chance = 0.5
  world.last.end(4000, { code: 'going_away', reconnect: { after_ms: 1000, window_ms: 20000 } })
  world.pass(10_999)
  link.check()
  expect(world.sockets.length).toBe(1)
  world.pass(1)
  expect(world.sockets.length).toBe(2)
})

test('the own delay is cut short when the network comes back', () => {
  for (let n = 0; n < 6; n += 1) {
    world.last.end()
    world.pass(60_000)
  }
  const before = world.sockets.length
  world.last.end()
  link.check()
  expect(world.sockets.length).toBe(before + 1)
})

test('an ended token is fetched before the next connection', () => {
  world.last.welcome()
  world.last.end(4100, { code: 'token_expired', reconnect: { after_ms: 0, window_ms: 1000 } })
  world.pass(5000)
  expect(world.sockets.length).toBe(1)
  expect(events).toEqual(['opened alice', 'interrupted', 'token?'])
  link.give('second')
  world.last.onopen?.()
  expect(world.last.look()).toEqual([{ connect: { token: 'second', client: 'headroom-bus/1' } }])
})

test('a refused token is tried ever more seldom, another one that somebody offers at once', () => {
  const ended = { code: 'token_expired', reconnect: { after_ms: 0, window_ms: 0 } }
  for (let n = 0; n < 6; n += 1) {
    world.last.end(4100, ended)
    link.give('first')
    world.pass(60_000)
  }
  world.last.end(4100, ended)
  link.give('first')
  const before = world.sockets.length
  world.pass(5000)
  link.offer('first')
  expect(world.sockets.length).toBe(before)
  link.offer('second')
  expect(world.sockets.length).toBe(before + 1)
  world.last.onopen?.()
  expect(world.last.look()).toEqual([{ connect: { token: 'second', client: 'headroom-bus/1' } }])
  world.last.answer('connect', { user: 'alice', ping_s: 25 })
  link.offer('third')
  expect(world.sockets.length).toBe(before + 1)
})

test('no token that is offered shortens a wait that the server chose', () => {
  world.last.welcome()
  world.last.end(4000, { code: 'going_away', reconnect: { after_ms: 5000, window_ms: 0 } })
  link.offer('second')
  expect(world.sockets.length).toBe(1)
})

test('a token that is about to end is refreshed on the open connection', () => {
  world.last.welcome()
  world.last.push({ expires: { in_s: 60 } })
  link.give('second')
  expect(events).toEqual(['opened alice', 'token?'])
  expect(world.last.look()).toEqual([{ refresh: { token: 'second' } }])
})

test('a refusal for ever ends it, and with it what waits', () => {
  const codes: unknown[] = []
  link.ask('publish', {}, (error) => codes.push(error?.code), true)
  world.last.end(4201, { code: 'token_invalid', message: 'not signed' })
  link.ask('publish', {}, (error) => codes.push(error?.code), true)
  world.pass(600_000)
  expect(world.sockets.length).toBe(1)
  expect(codes).toEqual(['token_invalid', 'unavailable'])
  expect(events).toEqual(['ended token_invalid'])
  expect(world.waiting).toBe(0)
})

test('silence is answered by a ping, and a ping without answer by a new socket, though the old never closes', () => {
  world.last.welcome()
  world.pass(24_999)
  expect(world.last.look()).toEqual([])
  world.pass(1)
  expect(world.last.look()).toEqual([{ ping: {} }])
  world.pass(10_000)
  expect(world.last.closed).toBe(true)
  world.pass(1000)
  expect(world.sockets.length).toBe(2)
})

test('whatever comes counts as life', () => {
  world.last.welcome()
  for (let n = 0; n < 100; n += 1) {
    world.pass(20_000)
    world.last.push({ presence: { users: {} } })
  }
  expect(world.last.look()).toEqual([])
  for (let n = 0; n < 10; n += 1) {
    world.pass(25_000)
    world.last.answer('ping', {})
  }
  expect(world.sockets.length).toBe(1)
})

test('a timer that fires late proves nothing: a machine that slept asks once more before it gives up', () => {
  world.last.welcome()
  world.pass(25_000)
  world.last.look()
  world.sleep(3_600_000)
  expect(world.last.look()).toEqual([{ ping: {} }])
  expect(world.sockets.length).toBe(1)
  world.pass(9_999)
  world.last.answer('ping', {})
  world.pass(20_000)
  expect(world.sockets.length).toBe(1)
  world.sleep(3_600_000)
  world.pass(20_000)
  expect(world.sockets[0]!.closed).toBe(true)
})

test('a tab that is looked at again has the socket proved at once', () => {
  world.last.welcome()
  world.pass(5000)
  link.check()
  link.check()
  expect(world.last.look()).toEqual([{ ping: {} }])
  world.pass(10_000)
  expect(world.last.closed).toBe(true)
})

test('a connection that never opens is given up after ten seconds', () => {
  world.pass(10_000)
  expect(world.last.closed).toBe(true)
  world.pass(500)
  expect(world.sockets.length).toBe(2)
})
