// What the stories of the bus need: a way to its server through which every byte goes, so that connections are counted and the
// network can be cut; tokens; and tabs that write down what they get.
import { strict as assert } from 'node:assert'
import { createHmac } from 'node:crypto'
import { createServer, connect } from 'node:net'
import { DEADLINE } from './harness.mjs'

const server = new URL(process.env.HEADROOM_URL)
const key = process.env.HEADROOM_BUS_KEY

/** A user's token, as an application makes it. */
export function tokenOf(user, seconds = 3600) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, iat: now, exp: now + seconds, channels: ['room:*'], publish: ['room:*'] })}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

/** The network between the browser and the server. */
export class Network {
  /** WebSockets that were opened through it. */
  opened = 0
  #pairs = new Set()
  #cut = false

  /** `site` gives what else is served: [content type, bytes] of a path. */
  static async start(site = (path) => (path === '/tab' ? ['text/html', PAGE] : undefined)) {
    const network = new Network()
    network.site = site
    network.listener = createServer((socket) => network.#accept(socket))
    await new Promise((resolve) => network.listener.listen(0, '127.0.0.1', resolve))
    network.port = network.listener.address().port
    network.base = `http://127.0.0.1:${network.port}`
    return network
  }

  /** WebSockets that are open now. */
  get open() {
    return [...this.#pairs].filter((pair) => pair.websocket).length
  }

  /** Nothing goes through any more, in either direction, and nobody is told. */
  cut() {
    this.#cut = true
    for (const pair of this.#pairs) pair.dead = true
  }

  mend() {
    this.#cut = false
  }

  /** Notes a WebSocket; the answer to a request for what comes from here. */
  #look(pair, bytes) {
    const [, path] = /^GET ([^ ?]+)/.exec(bytes.toString('latin1', 0, 500)) ?? []
    if (path === '/bus/ws' && !pair.websocket) {
      pair.websocket = true
      this.opened += 1
    }
    const [type, body] = (path && this.site(path)) || []
    if (!type) return undefined
    const head = `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`
    return Buffer.concat([Buffer.from(head), Buffer.from(body)])
  }

  #accept(here) {
    const pair = { websocket: false, dead: this.#cut }
    const there = connect(Number(server.port), server.hostname)
    this.#pairs.add(pair)
    const pass = (from, to) => {
      from.on('data', (bytes) => {
        const page = from === here ? this.#look(pair, bytes) : undefined
        if (page) here.end(page)
        else if (!pair.dead) to.write(bytes)
      })
      from.on('close', () => {
        this.#pairs.delete(pair)
        if (!pair.dead) to.destroy()
      })
      from.on('error', () => undefined)
    }
    pass(here, there)
    pass(there, here)
  }
}

// Chromium lets a page open sockets to this machine only if it came from there itself, so it is not a route of Playwright's.
const PAGE = '<!doctype html><link rel="icon" href="data:,"><title>tab</title><p>tab'

const HIDE = { shared: () => undefined, led: () => delete globalThis.SharedWorker, alone: () => undefined }

/** A browser profile in which tabs are opened; `way` is how they come to a hub. */
export class Profile {
  tabs = []

  static async start(browser, network, way = 'shared', host = '127.0.0.1') {
    const profile = new Profile()
    profile.context = await browser.newContext()
    profile.base = `http://${host}:${network.port}`
    await profile.context.addInitScript(HIDE[way])
    return profile
  }

  /** A tab of that user that reads these channels. */
  async open(user = 'alice', channels = ['room:1'], options = {}) {
    const page = await this.context.newPage()
    page.setDefaultTimeout(DEADLINE)
    page.user = user
    page.on('pageerror', (error) => assert.fail(error))
    await page.goto(`${this.base}/tab`)
    await page.evaluate(start, [tokenOf(user), channels, options])
    this.tabs.push(page)
    return page
  }
}

/** In the page: connects, and writes down what comes. */
async function start([token, channels, options]) {
  const { connect } = await import('/bus/bus.js')
  window.got = {}
  window.losses = []
  window.effects = []
  window.bus = connect({ url: '/bus/ws', token, ...options })
  window.subscriptions = {}
  window.read = (channel, more = {}) => {
    window.got[channel] ??= []
    window.subscriptions[channel] = bus.subscribe(channel, (message) => window.got[channel].push(message.data), more)
    bus.subscribe(channel, bus.once((message) => window.effects.push(message.data)))
    return window.subscriptions[channel].ready
  }
  bus.on('lost', (loss) => window.losses.push(loss))
  bus.on('closed', (error) => (window.ended = error))
  await Promise.all(channels.map((channel) => window.read(channel)))
}

export const publish = (page, channel, data) => page.evaluate(([channel, data]) => bus.publish(channel, data), [channel, data])
export const got = (page, channel = 'room:1') => page.evaluate((channel) => window.got[channel], channel)
export const losses = (page) => page.evaluate(() => window.losses.length)
export const effects = async (pages) => (await Promise.all(pages.map((page) => page.evaluate(() => window.effects)))).flat()

/** Until the condition holds: it must, some time. */
export async function until(condition, what, deadline = DEADLINE) {
  const end = Date.now() + deadline
  for (;;) {
    const value = await condition()
    if (value) return value
    assert.ok(Date.now() < end, `${what} did not come true within ${deadline} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Until every page has got exactly that, in that order. */
export async function allGot(pages, expected, channel = 'room:1', deadline = DEADLINE) {
  for (const [n, page] of pages.entries()) {
    await until(async () => (await got(page, channel)).length >= expected.length, `tab ${n} got ${expected.length} messages in ${channel}`, deadline).catch(async (error) => {
      throw new Error(`${error.message}; it has ${JSON.stringify(await got(page, channel))}`)
    })
    assert.deepEqual(await got(page, channel), expected, `tab ${n}`)
  }
}

/** The renderer process of that page ends at once, as by a signal. */
export async function killRenderer(page) {
  const session = await page.context().newCDPSession(page)
  const crashed = new Promise((resolve) => page.once('crash', resolve))
  session.send('Page.crash').catch(() => undefined)
  await crashed
}

export async function setLifecycle(page, state) {
  const session = await page.context().newCDPSession(page)
  await session.send('Page.setWebLifecycleState', { state })
}
