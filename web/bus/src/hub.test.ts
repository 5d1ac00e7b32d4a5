import { beforeEach, expect, test } from 'vitest'
import { Hub } from './hub'
import { FakeTab, FakeWorld } from './play'
import { ACKNOWLEDGE, UNHANDLED } from './types'

let world: FakeWorld
let hub: Hub
let gone: Map<string, () => void>

const at = (offset: number, epoch = 'e') => ({ offset, epoch })
const message = (offset: number, channel = 'room') => ({ message: { channel, offset, data: `m${offset}` } })
const subscribed = (offset: number, more = {}) => world.last.answer('subscribe', { channels: [{ channel: 'room', ...at(offset), ...more }] })

beforeEach(() => {
  world = new FakeWorld()
  gone = new Map()
  hub = new Hub(world, (tab, then) => void gone.set(tab, then))
})

function tabs(number: number): FakeTab[] {
  const made = Array.from({ length: number }, (_, n) => new FakeTab(hub, `t${n}`))
  world.last.welcome()
  for (const tab of made) tab.look()
  return made
}

test('twenty tabs have one connection and one subscription, and all get the message', () => {
  const all = tabs(20)
  for (const tab of all) tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  expect(world.sockets.length).toBe(1)
  expect(world.last.look()).toEqual([{ subscribe: { channels: [{ channel: 'room' }] } }])
  subscribed(7)
  world.last.push(message(8))
  for (const tab of all) expect(tab.look()).toEqual([{ t: 'at', n: 1, at: at(7) }, { t: 'message', n: 1, offset: 8, epoch: 'e', data: 'm8' }])
})

test('a tab that comes with another token ends the wait after a refusal', () => {
  tabs(1)
  world.last.end(4100, { code: 'token_expired', reconnect: { after_ms: 0, window_ms: 0 } })
  new FakeTab(hub, 'renewed', 'another token')
  world.last.onopen?.()
  expect(world.last.look()).toEqual([{ connect: { token: 'another token', client: 'headroom-bus/1' } }])
})

test('a tab that begins at an older position is filled from history while the others go on', () => {
  const [old, late] = tabs(2) as [FakeTab, FakeTab]
  old.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(5)
  late.say({ t: 'subscribe', n: 1, channel: 'room', since: at(3) })
  expect(world.last.look().slice(-1)).toEqual([{ history: { channel: 'room', since: at(3) } }])
  world.last.push(message(6))
  expect(late.data()).toEqual([])
  world.last.answer('history', { ...at(5), messages: [{ offset: 4, data: 'm4' }, { offset: 5, data: 'm5' }] })
  world.last.answer('history', { ...at(6), messages: [{ offset: 6, data: 'm6' }] })
  world.last.push(message(7))
  expect(late.data()).toEqual(['m4', 'm5', 'm6', 'm7'])
  expect(old.data()).toEqual(['m6', 'm7'])
})

test('a tab that is ahead of the connection gets nothing twice', () => {
  const [old, ahead] = tabs(2) as [FakeTab, FakeTab]
  old.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(5)
  ahead.say({ t: 'subscribe', n: 1, channel: 'room', since: at(7) })
  for (const offset of [6, 7, 8]) world.last.push(message(offset))
  expect(ahead.data()).toEqual(['m8'])
  expect(old.data()).toEqual(['m6', 'm7', 'm8'])
})

test('where history does not reach, the tab is told that messages are lost, and only that tab', () => {
  const [old, late] = tabs(2) as [FakeTab, FakeTab]
  old.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(5)
  old.look()
  late.say({ t: 'subscribe', n: 1, channel: 'room', since: at(1) })
  world.last.answer('history', { ...at(5), messages: [{ offset: 5, data: 'm5' }], lost: true })
  late.say({ t: 'subscribe', n: 2, channel: 'room', since: at(1, 'of an older server') })
  expect(late.look()).toEqual([{ t: 'lost', n: 1, at: at(5) }, { t: 'lost', n: 2, at: at(5) }])
  expect(old.look()).toEqual([])
})

test('after a reconnect the channel goes on from its position, nothing twice, nothing missing', () => {
  const [tab] = tabs(1) as [FakeTab]
  tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(5)
  world.last.push(message(6))
  world.last.end()
  world.pass(1000)
  world.last.welcome()
  expect(world.last.sent.slice(-1)).toMatchObject([{ subscribe: { channels: [{ channel: 'room', since: at(6) }] } }])
  subscribed(6, { recovered: true })
  world.last.push(message(7))
  expect(tab.data()).toEqual(['m6', 'm7'])
})

test('a new epoch is a loss, whether an answer or a push says it', () => {
  const [tab] = tabs(1) as [FakeTab]
  tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(5)
  world.last.end()
  world.pass(1000)
  world.last.welcome()
  tab.look()
  world.last.answer('subscribe', { channels: [{ channel: 'room', ...at(2, 'f'), lost: true }] })
  world.last.push({ lost: { channel: 'room', ...at(0, 'g') } })
  world.last.push(message(1))
  expect(tab.look()).toEqual([{ t: 'lost', n: 1, at: at(2, 'f') }, { t: 'lost', n: 1, at: at(0, 'g') }, { t: 'message', n: 1, offset: 1, epoch: 'g', data: 'm1' }])
})

test('a tab that died loses its subscriptions and its part of presence, and nobody notices', () => {
  const [one, two] = tabs(2) as [FakeTab, FakeTab]
  one.say({ t: 'subscribe', n: 1, channel: 'room' })
  two.say({ t: 'subscribe', n: 1, channel: 'hall' })
  one.say({ t: 'watch', n: 2, users: ['bob'] })
  world.pass(1000)
  world.last.look()
  gone.get('t0')!()
  world.pass(500)
  expect(world.last.look()).toEqual([{ unsubscribe: { channels: ['room'] } }, { unwatch: { users: ['bob'] } }, { activity: { active: 1, idle: 0 } }])
  gone.get('t1')!()
  expect(world.last.closed).toBe(true)
})

test('a frozen tab does not fill the memory, and catches up when it wakes', () => {
  const [awake, frozen] = tabs(2) as [FakeTab, FakeTab]
  for (const tab of [awake, frozen]) tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(0)
  for (let offset = 1; offset <= 2 * UNHANDLED; offset += 1) {
    world.last.push(message(offset))
    if (offset % ACKNOWLEDGE === 0) awake.say({ t: 'ack', count: ACKNOWLEDGE })
  }
  expect(awake.data().length).toBe(2 * UNHANDLED)
  const first = frozen.data()
  expect(first.length).toBe(UNHANDLED)
  world.last.look()
  for (let n = 0; n < UNHANDLED; n += ACKNOWLEDGE) frozen.say({ t: 'ack', count: ACKNOWLEDGE })
  expect(world.last.look()).toEqual([{ history: { channel: 'room', since: at(UNHANDLED) } }])
  const missed = Array.from({ length: UNHANDLED }, (_, n) => ({ offset: UNHANDLED + n + 1, data: n }))
  world.last.answer('history', { ...at(2 * UNHANDLED), messages: missed.slice(0, 100), more: true })
  world.last.answer('history', { ...at(2 * UNHANDLED), messages: missed.slice(100, 500) })
  frozen.say({ t: 'ack', count: 500 })
  world.last.answer('history', { ...at(2 * UNHANDLED), messages: missed.slice(500) })
  frozen.say({ t: 'ack', count: 12 })
  world.last.push(message(2 * UNHANDLED + 1))
  expect(frozen.data()).toEqual([...missed.map((one) => one.data), `m${2 * UNHANDLED + 1}`])
})

test('a channel that may not be read is refused alone, and one whose right ends is taken away', () => {
  const [tab] = tabs(1) as [FakeTab]
  tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  const error = { code: 'denied', message: 'no' }
  world.last.answer('subscribe', { channels: [{ channel: 'room', error }] })
  tab.say({ t: 'subscribe', n: 2, channel: 'room' })
  subscribed(1)
  world.last.push({ unsubscribed: { channel: 'room', error } })
  world.last.push(message(2))
  expect(tab.look()).toEqual([{ t: 'error', n: 1, error }, { t: 'at', n: 2, at: at(1) }, { t: 'error', n: 2, error }])
})

test('a subscription that the server has no room for now is asked for again', () => {
  const [tab] = tabs(1) as [FakeTab]
  tab.say({ t: 'subscribe', n: 1, channel: 'room', since: at(3) })
  world.last.answer('subscribe', { channels: [{ channel: 'room', error: { code: 'unavailable', message: 'broker', retry: true } }] })
  world.last.look()
  world.pass(2000)
  expect(world.last.look()).toContainEqual({ subscribe: { channels: [{ channel: 'room', since: at(3) }] } })
  expect(tab.look()).toEqual([])
})

test('the status of a user is known at once to a second tab, and changes go to both', () => {
  const [one, two] = tabs(2) as [FakeTab, FakeTab]
  one.say({ t: 'watch', n: 1, users: ['bob', 'carol'] })
  world.last.answer('watch', { users: { bob: 'online', carol: 'offline' } })
  two.say({ t: 'watch', n: 1, users: ['bob'] })
  expect(world.last.look().filter((command) => command.watch)).toEqual([{ watch: { users: ['bob', 'carol'] } }])
  world.last.push({ presence: { users: { bob: 'away', dave: 'online' } } })
  expect(one.look()).toEqual([{ t: 'presence', n: 1, users: { bob: 'online', carol: 'offline' } }, { t: 'presence', n: 1, users: { bob: 'away' } }])
  expect(two.look()).toEqual([{ t: 'presence', n: 1, users: { bob: 'online' } }, { t: 'presence', n: 1, users: { bob: 'away' } }])
})

test('tabs in use are counted, and told only when the number stays changed for a moment', () => {
  const [one, two] = tabs(2) as [FakeTab, FakeTab]
  world.pass(500)
  expect(world.last.look()).toEqual([{ activity: { active: 2, idle: 0 } }])
  one.say({ t: 'active', active: false })
  one.say({ t: 'active', active: true })
  world.pass(5000)
  expect(world.last.look()).toEqual([])
  two.say({ t: 'active', active: false })
  world.pass(500)
  expect(world.last.look()).toEqual([{ activity: { active: 1, idle: 1 } }])
})

test('a token is asked of one tab that is in use, and of all when it does not answer', () => {
  const [one, two] = tabs(2) as [FakeTab, FakeTab]
  two.say({ t: 'active', active: false })
  world.last.push({ expires: { in_s: 60 } })
  expect([one.look(), two.look()]).toEqual([[{ t: 'token' }], []])
  world.pass(10_000)
  expect([one.look(), two.look()]).toEqual([[{ t: 'token' }], [{ t: 'token' }]])
  two.say({ t: 'token', token: 'new' })
  expect(world.last.look()).toContainEqual({ refresh: { token: 'new' } })
})

test('a connection never changes its user', () => {
  const [tab] = tabs(1) as [FakeTab]
  world.last.end()
  world.pass(1000)
  world.last.welcome('bob')
  expect(tab.look().pop()).toMatchObject({ t: 'closed', error: { code: 'conflict' } })
  expect(world.last.closed).toBe(true)
  world.pass(600_000)
  expect(world.sockets.length).toBe(2)
})

test('what a tab publishes is answered to that tab, also when the answer comes over the next connection', () => {
  const [one, two] = tabs(2) as [FakeTab, FakeTab]
  one.say({ t: 'ask', n: 5, name: 'publish', body: { channel: 'room', data: 1, id: 'x' } })
  world.last.end()
  world.pass(1000)
  world.last.welcome()
  world.last.answer('publish', at(3))
  expect(one.look().pop()).toEqual({ t: 'answer', n: 5, body: at(3) })
  expect(two.look().some((message) => message.t === 'answer')).toBe(false)
})

test('a tab that attaches once more begins anew', () => {
  const [tab] = tabs(1) as [FakeTab]
  tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(5)
  tab.look()
  tab.say({ t: 'attach', tab: 't0', url: 'ws://here/bus/ws', token: 'a token', active: true })
  tab.say({ t: 'subscribe', n: 1, channel: 'room', since: at(4) })
  subscribed(4, { recovered: true })
  world.last.push(message(5))
  expect(tab.look()).toEqual([{ t: 'hello' }, { t: 'state', state: 'open' }, { t: 'at', n: 1, at: at(4) }, { t: 'message', n: 1, offset: 5, epoch: 'e', data: 'm5' }])
})

test('a tab that attaches once more, having lost what it was sent, is sent what it missed', () => {
  const [awake, frozen] = tabs(2) as [FakeTab, FakeTab]
  for (const tab of [awake, frozen]) tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(0)
  for (let offset = 1; offset <= UNHANDLED; offset += 1) {
    world.last.push(message(offset))
    if (offset % ACKNOWLEDGE === 0) awake.say({ t: 'ack', count: ACKNOWLEDGE })
  }
  frozen.say({ t: 'attach', tab: 't1', url: 'ws://here/bus/ws', token: 'a token', active: true })
  frozen.look() // what was on its way is gone
  frozen.say({ t: 'subscribe', n: 1, channel: 'room', since: at(0) })
  const missed = Array.from({ length: UNHANDLED - 1 }, (_, n) => ({ offset: n + 1, data: `m${n + 1}` }))
  world.last.answer('history', { ...at(UNHANDLED), messages: missed, more: true })
  world.last.answer('history', { ...at(UNHANDLED), messages: [{ offset: UNHANDLED, data: `m${UNHANDLED}` }] })
  expect(frozen.data().length).toBe(UNHANDLED)
})

test('what a tab was sent is followed by a number, more and more seldom while the tab takes nothing', () => {
  const [tab] = tabs(1) as [FakeTab]
  tab.say({ t: 'subscribe', n: 1, channel: 'room' })
  subscribed(0)
  const reminder = { t: 'state', state: 'open' }
  const reminders = (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += 5_000) {
      world.pass(5_000)
      world.last.push({}) // the server is heard
    }
    return tab.look()
  }
  world.last.push(message(1))
  tab.look()
  expect(reminders(3600_000)).toEqual([reminder])
  for (let offset = 2; offset <= UNHANDLED + 100; offset += 1) world.last.push(message(offset))
  expect(tab.data().length).toBe(UNHANDLED - 1)
  expect(reminders(5_000)).toEqual([reminder])
  expect(reminders(3600_000).length).toBeLessThan(10)
  tab.say({ t: 'check' })
  expect(tab.look()).toEqual([reminder])
  tab.say({ t: 'ack', count: UNHANDLED })
  world.last.answer('history', { ...at(UNHANDLED + 100), messages: Array.from({ length: 100 }, (_, n) => ({ offset: UNHANDLED + n + 1, data: n })) })
  expect(tab.data().length).toBe(100)
  expect(reminders(7200_000)).toEqual([reminder])
})
