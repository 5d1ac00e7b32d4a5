import { webcrypto } from 'node:crypto'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SHELF } from './browser'
import { connect, type Bus } from './bus'
import type { FromTab, Port, ToTab } from './types'

/** The page's end of the line is real; at the other one the test plays the hub. */
class PlayedHub {
  readonly got: FromTab[] = []
  private port: Port | undefined

  join(port: Port) {
    this.port = port
    port.onmessage = ({ data }) => {
      this.got.push(data)
      if (data.t === 'attach') this.say({ t: 'hello' })
    }
  }

  say(message: ToTab) {
    this.port!.postMessage(message)
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
