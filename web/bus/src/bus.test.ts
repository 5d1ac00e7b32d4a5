import { webcrypto } from 'node:crypto'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SHELF } from './browser'
import { connect, type Bus } from './bus'
import type { FromTab, Port, ToTab } from './types'

/** The page's end of the line is real; at the other one the test plays the hub. */
class PlayedHub {
  readonly got: FromTab[] = []
  private port: Port | undefined
  private sent = 0

  join(port: Port) {
    this.port = port
    port.onmessage = ({ data }) => {
      this.got.push(data)
      if (data.t === 'attach') this.say({ t: 'hello' })
    }
  }

  say(message: ToTab) {
    if (message.t === 'hello') this.sent = 0
    this.port!.postMessage({ ...message, s: ++this.sent })
  }

  /** A message that never arrives. */
  lose() {
    this.sent += 1
  }

  close() {
    this.port?.close()
  }
}

let hub: PlayedHub
let bus: Bus

beforeEach(() => {
  hub = new PlayedHub()
  vi.stubGlobal('crypto', webcrypto)
  vi.stubGlobal('navigator', {}) // no Web Locks: the hub is in the page
  vi.stubGlobal('location', new URL('http://here/page'))
  vi.stubGlobal('window', new EventTarget())
  vi.stubGlobal('document', Object.assign(new EventTarget(), { hidden: false }))
  vi.stubGlobal('BUS_VERSION', 'v')
  Object.assign(globalThis, { [SHELF]: () => hub })
  bus = connect({ url: '/bus/ws', user: 'alice', token: 'a token', worker: 'data:text/javascript,' })
})

afterEach(() => {
  bus.close()
  hub.close()
  vi.unstubAllGlobals()
})

test('what a hub sent before it went and the next one sends again is handled once', async () => {
  const handled: unknown[] = []
  const channel = bus.subscribe('room:1', ({ data }) => handled.push(data), { since: { offset: 4, epoch: 'e' } })
  await vi.waitUntil(() => hub.got.some((message) => message.t === 'subscribe'))
  const say = (offset: number, epoch = 'e') => hub.say({ t: 'message', n: 1, offset, epoch, data: `${epoch}${offset}` })
  for (const offset of [4, 5, 5, 6, 5, 7]) say(offset)
  say(1, 'f') // another epoch counts from the beginning
  await vi.waitUntil(() => handled.includes('f1'))
  expect(handled).toEqual(['e5', 'e6', 'e7', 'f1'])
  expect(channel.position).toEqual({ offset: 1, epoch: 'f' })
})

test('a message that did not arrive is found out by the next one, and what follows is asked for', async () => {
  const handled: unknown[] = []
  bus.subscribe('room:1', ({ data }) => handled.push(data), { since: { offset: 0, epoch: 'e' } })
  const asked = () => hub.got.filter((message) => message.t === 'subscribe').map((message) => message.since?.offset)
  const attached = () => hub.got.filter((message) => message.t === 'attach').length
  const say = (offset: number) => hub.say({ t: 'message', n: 1, offset, epoch: 'e', data: offset })
  await vi.waitUntil(() => asked().length === 1)
  say(1)
  hub.lose()
  for (const offset of [3, 4, 5]) say(offset)
  await vi.waitUntil(() => asked().length === 2)
  expect(asked()).toEqual([0, 1])
  for (const offset of [2, 3]) say(offset)
  await vi.waitUntil(() => handled.includes(3))
  expect(handled).toEqual([1, 2, 3])
  hub.lose()
  hub.say({ t: 'state', state: 'open' })
  await vi.waitUntil(() => asked().length === 3)
  expect(asked()).toEqual([0, 1, 3])
  expect(attached()).toBe(3)
})

test('a page that is left and comes back before its lock is granted goes one way', async () => {
  const asked: string[] = []
  const grant: (() => void)[] = []
  const request = (name: string, ...rest: unknown[]) => {
    asked.push(name)
    return new Promise((resolve) => grant.push(() => resolve((rest.pop() as () => unknown)())))
  }
  bus.close()
  vi.stubGlobal('navigator', { locks: { request } })
  bus = connect({ url: '/bus/ws', user: 'alice', token: 'a token', worker: 'data:text/javascript,' })
  await vi.waitUntil(() => grant.length === 1)
  for (const event of ['pagehide', 'pageshow']) window.dispatchEvent(Object.assign(new Event(event), { persisted: true }))
  await vi.waitUntil(() => grant.length === 2)
  for (const one of grant.slice(0, 2)) one()
  const ways = () => asked.filter((name) => name.startsWith('headroom-bus hub'))
  await vi.waitUntil(() => ways().length > 0)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(ways().length).toBe(1)
})
