// What the stories of the bus need: a way to its server through which every byte goes, so that connections are counted and the
// network can be cut; tokens; and tabs that write down what they get.
import { strict as assert } from 'node:assert'
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, connect } from 'node:net'
import { DEADLINE } from './harness.mjs'

const server = new URL(process.env.HEADROOM_URL)
const key = process.env.HEADROOM_BUS_KEY

const RIGHTS = { channels: ['room:*'], publish: ['room:*'], presence: ['*'] }

/** A user's token, as an application makes it. */
export function tokenOf(user, seconds = 3600) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, iat: now, exp: now + seconds, ...RIGHTS })}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

const IN_ONE_REQUEST = 256

/** Publishes as an application does, over HTTP; the positions. */
export async function publishOverHttp(channel, data) {
  const positions = []
  for (let from = 0; from < data.length; from += IN_ONE_REQUEST) {
    const messages = data.slice(from, from + IN_ONE_REQUEST).map((one) => ({ channel, data: one, id: randomUUID() }))
    const headers = { Authorization: `Bearer ${tokenOf('application')}` }
    const answer = await fetch(`${server.href}bus/publish`, { method: 'POST', headers, body: JSON.stringify({ messages }) })
    assert.equal(answer.status, 200)
    positions.push(...(await answer.json()).results)
  }
  return positions
}

/** The network between the browser and the server. */
export class Network {
  /** WebSockets that were opened through it. */
  opened = 0
  #pairs = new Set()
  #cut = false

  static async start() {
    const network = new Network()
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
    const page = PAGES[path]
    return page && `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\nConnection: close\r\n\r\n${page}`
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
const PAGES = { '/tab': PAGE, '/strict': PAGE.replace('<title>', `<meta http-equiv="Content-Security-Policy" content="worker-src 'none'"><title>`) }

const HIDE = { shared: () => undefined, led: () => delete globalThis.SharedWorker, alone: () => undefined, refused: () => undefined }

/** A browser profile in which tabs are opened; `way` is how they come to a hub. */
export class Profile {
  tabs = []

  static async start(browser, network, way = 'shared', host = '127.0.0.1') {
    const profile = new Profile()
    profile.context = await browser.newContext()
    profile.address = `http://${host}:${network.port}${way === 'refused' ? '/strict' : '/tab'}`
    await profile.context.addInitScript(HIDE[way])
    return profile
  }

  /** A tab of that user that reads these channels: names, or names with the options of their subscriptions. */
  async open(user = 'alice', channels = ['room:1'], options = {}) {
    const page = await this.context.newPage()
    page.setDefaultTimeout(DEADLINE)
    page.user = user
    page.on('pageerror', (error) => assert.fail(error))
    await page.goto(this.address)
    await page.evaluate(start, [tokenOf(user), channels, options])
    this.tabs.push(page)
    return page
  }
}

/** The user of that tab signs out and another one in, in the same page. */
export async function signIn(page, user, channels) {
  await page.evaluate(() => bus.close())
  await page.evaluate(start, [tokenOf(user), channels, {}])
  page.user = user
}

/** In the page: connects, and writes down what comes. */
async function start([token, channels, options]) {
  const { connect } = await import('/bus/bus.js')
  window.got = {}
  window.losses = []
  window.effects = []
  window.bus = connect({ url: '/bus/ws', token, ...options })
  window.subscriptions = {}
  window.read = (channel, { effects = true, ...more } = {}) => {
    window.got[channel] ??= []
    // First, so that the effect of what was got is at least claimed.
    if (effects) bus.subscribe(channel, bus.once((message) => window.effects.push(message.data)))
    window.subscriptions[channel] = bus.subscribe(channel, (message) => window.got[channel].push(message.data), more)
    return window.subscriptions[channel].ready
  }
  bus.on('lost', (loss) => window.losses.push(loss))
  bus.on('closed', (error) => (window.ended = error))
  await Promise.all(channels.map((channel) => window.read(...[channel].flat())))
}

export const publish = (page, channel, data) => page.evaluate(([channel, data]) => bus.publish(channel, data), [channel, data])
export const got = (page, channel = 'room:1') => page.evaluate((channel) => window.got[channel], channel)
export const losses = (page) => page.evaluate(() => window.losses.length)
export const effects = async (pages) => (await Promise.all(pages.map((page) => page.evaluate(() => window.effects)))).flat()

/** Until every claim that these pages have made is decided: each waits for its turn in the table. */
export async function claimsSettled(pages) {
  await Promise.all(pages.map((page) => page.evaluate(lastInTheTable)))
}

async function lastInTheTable() {
  await new Promise((resolve) => setTimeout(resolve, 500)) // longer than a tab in the background lets others go first
  await new Promise((resolve, reject) => {
    const request = indexedDB.open('headroom-bus', 1)
    request.onerror = reject
    request.onupgradeneeded = () => {
      request.transaction.abort() // nothing was claimed yet
      resolve()
    }
    request.onsuccess = () => {
      const transaction = request.result.transaction('claims', 'readwrite')
      transaction.objectStore('claims').count()
      transaction.onabort = reject
      transaction.oncomplete = () => {
        request.result.close()
        resolve()
      }
    }
  })
}

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

/**
 * The browser freezes that tab, as it does with one that nobody looks at. It freezes none that is seen, and Playwright makes every page think
 * that it is: that is taken back over Playwright's own session, to which nothing public leads.
 */
export async function freeze(page, shown) {
  const own = page._connection.toImpl(page).delegate._mainFrameSession._client
  await own.send('Emulation.setFocusEmulationEnabled', { enabled: false })
  await shown.bringToFront()
  await page.evaluate(() => document.addEventListener('freeze', () => (window.froze = true)))
  await setLifecycle(page, 'frozen')
  await until(() => page.evaluate(() => window.froze && document.hidden), 'the tab is frozen')
}

export const thaw = (page) => setLifecycle(page, 'active')

async function setLifecycle(page, state) {
  const session = await page.context().newCDPSession(page)
  await session.send('Page.setWebLifecycleState', { state })
}

/** The tab's script stands still at its next step, as in a dialog or an endless loop: `stands` comes true then, `goOn` ends it. */
export async function standStill(page) {
  const session = await page.context().newCDPSession(page)
  const stands = new Promise((resolve) => session.once('Debugger.paused', resolve))
  await session.send('Debugger.enable')
  await session.send('Debugger.pause')
  return { stands, goOn: () => session.send('Debugger.disable') }
}
