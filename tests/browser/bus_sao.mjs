// Debian's SAO over a real trytond, through the example's nginx: without custom.js a request of each tab waits; with it twenty tabs have one
// connection, every tab is usable, and a notification of trytond is handled in one tab. That this would be found out is shown by a custom.js
// in which every tab handles it.
import { strict as assert } from 'node:assert'
import { DEADLINE, run, work } from './harness.mjs'
import { claimsSettled, until } from './bus_harness.mjs'
import { givePassword, logIn, shown } from './sao.mjs'

const { address, database, people } = JSON.parse(process.env.HEADROOM_SAO)
const TABS = 20
const AT_ONCE = 8 // tabs that load
const PROCESSES = 4 // in which tabs run: each is one core's work
const LOADED = 60_000

/** A figure of the service. */
async function figure(name) {
  const text = await (await fetch(`${process.env.HEADROOM_URL}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`headroom_${name} `) || one.startsWith(`headroom_${name}{`))
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ')))
}

/** A browser profile with tabs of SAO; what SAO is given to handle in them is written down here. */
class Tabs {
  pages = []
  polls = []
  handled = []

  /** `without` is what is not loaded: blocked in each tab, for a route would forgo the cache. */
  static async start(browser, without = []) {
    const tabs = new Tabs()
    tabs.without = without
    tabs.context = await browser.newContext({ locale: 'en-US' })
    await tabs.context.exposeBinding('tell', ({ page }, title) => void tabs.handled.push({ page, title }))
    tabs.context.on('request', (request) => {
      if (new URL(request.url()).pathname === `/${database}/bus`) tabs.polls.push(request.url())
    })
    return tabs
  }

  async load() {
    const page = await this.context.newPage()
    page.setDefaultTimeout(LOADED)
    if (this.without.length) {
      const session = await this.context.newCDPSession(page)
      await session.send('Network.enable')
      await session.send('Network.setBlockedURLs', { urls: this.without })
      page.network = session
    }
    await page.goto(`${address}/#${database}`, { waitUntil: 'commit' })
    return page
  }

  /** The first tab logs in; the others find its session, as SAO keeps it for all tabs. */
  async open(number) {
    this.pages.push(await enter(await this.load(), people[0]))
    while (this.pages.length < number) {
      const more = Array.from({ length: Math.min(AT_ONCE, number - this.pages.length) }, async () => ready(await this.load()))
      this.pages.push(...(await Promise.all(more)))
    }
  }

  /** The same tabs with a custom.js that is changed so. */
  async reload(change) {
    await this.context.route('**/custom.js', async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, body: change(await response.text()) })
    })
    await Promise.all(this.pages.map(async (page) => {
      await page.network.send('Network.setBlockedURLs', { urls: [] })
      await page.reload({ waitUntil: 'commit' })
      await ready(page)
    }))
  }

  /** What was handled in these pages, in the order of the alphabet. */
  titles(pages = this.pages) {
    return this.handled.filter(({ page }) => pages.includes(page)).map(({ title }) => title).sort()
  }

  /**
   * Until nothing that was notified before is on its way: a message for each tab comes after it, in its own tab alone.
   */
  async settled(name) {
    const clients = await Promise.all(this.pages.map(clientOf))
    await notify(...clients.map((client, n) => ({ title: `${name} ${n}`, client })))
    const last = ({ title }) => title.startsWith(`${name} `)
    await until(() => this.handled.filter(last).length >= clients.length, `${name}: each tab is told`)
    await claimsSettled(this.pages)
    const told = this.handled.filter(last)
    this.handled = this.handled.filter((one) => !last(one))
    assert.deepEqual(told.map(({ page, title }) => [this.pages.indexOf(page), title]).sort(byNumber), clients.map((_, n) => [n, `${name} ${n}`]))
  }
}

const byNumber = ([a], [b]) => a - b

/** Until SAO is there, and tells what it is given to handle. */
async function ready(page) {
  await shown(page)
  await page.evaluate(() => (Sao.Bus.handle = ({ title }) => window.tell(title)))
  return page
}

async function enter(page, person) {
  await logIn(page, person)
  return ready(page)
}

const notify = (...calls) => work('notify', ...calls)
const userOf = (page) => page.evaluate(() => Sao.Session.current_session.user_id)
const clientOf = (page) => page.evaluate(() => Sao.Bus.id)
async function connected(connections, subscriptions) {
  const figures = async () => [await figure('bus_connections'), await figure('bus_subscriptions')].join()
  let last
  await until(async () => (last = await figures()) === `${connections},${subscriptions}`, `${connections} connections with ${subscriptions} subscriptions`, 2 * DEADLINE)
    .catch((error) => assert.fail(`${error.message}; there are ${last}`))
}

/** As SAO's user works. */
function call() {
  return new Promise((resolve, reject) => {
    Sao.rpc({ method: 'model.res.user.search_count', params: [[], {}] }, Sao.Session.current_session).then(resolve, reject)
  })
}

/** As it is without custom.js: a request of each tab waits, and takes one of the few sockets that a browser opens to one address. */
async function eachTabPolls(tabs) {
  await tabs.open(2)
  await until(async () => (await figure('tryton_bus_waiting')) === 2, 'each tab polls')
  assert.equal(tabs.polls.length, 2)
  assert.equal(await figure('bus_connections'), 0)
}

/** Three notifications for the user, and one for another; the titles that were handled in any tab. */
async function notified(tabs) {
  const user = await userOf(tabs.pages[0])
  for (const title of ['a', 'b', 'c']) await notify({ title, user })
  await notify({ title: 'of another user', user: user + 1000 })
  await tabs.settled('first')
  return tabs.titles()
}

/** In custom.js as it is built. */
function handleInEveryTab(script) {
  const once = /\w+\.once\((\w+)\)/g
  assert.equal(script.match(once)?.length, 1, 'custom.js has one handler of which one tab is to run')
  return script.replace(once, '$1')
}

/** What the tests below look for would be seen. */
async function eachTabHandles(tabs) {
  await tabs.reload(handleInEveryTab)
  await connected(1, tabs.pages.length + 1)
  assert.deepEqual(await notified(tabs), ['a', 'a', 'b', 'b', 'c', 'c'])
}

async function twoTabs(browser) {
  const tabs = await Tabs.start(browser, ['*/custom.js'])
  await eachTabPolls(tabs)
  await eachTabHandles(tabs)
  await tabs.context.close()
  await until(async () => (await figure('tryton_bus_waiting')) + (await figure('bus_connections')) === 0, 'nobody polls or is connected')
}

async function oneConnection(tabs) {
  await connected(1, TABS + 1)
  assert.deepEqual(await notified(tabs), ['a', 'b', 'c'], 'each in one tab')
  for (const found of await Promise.all(tabs.pages.map((page) => page.evaluate(call)))) assert.ok(found > 0, 'the tab is usable')
  assert.equal(await figure('bus_connections'), 1)
  assert.equal(await figure('tryton_bus_waiting'), 0, 'nobody polls')
}

/** trytond ends the session; the user of one tab goes on, and is asked for his password. */
async function renewed(tabs) {
  const page = tabs.pages[7]
  await work('end_sessions')
  await until(async () => (await figure('bus_connections')) === 0, 'the connection ends with the session')
  await notify({ title: 'meanwhile', user: await userOf(page) })
  const working = page.evaluate(call)
  await givePassword(page, people[0][1])
  assert.ok((await working) > 0)
  await connected(1, TABS + 1)
  await notify({ title: 'renewed', user: await userOf(page) })
  await tabs.settled('renewed')
  assert.deepEqual(tabs.titles(), ['a', 'b', 'c', 'meanwhile', 'renewed'], 'what came meanwhile is handled too, each once')
}

/** Another user logs in, in a tab of the first: nothing of the first comes to it any more. */
async function another(tabs) {
  const [page, ...others] = tabs.pages
  const [first, client] = [await userOf(page), await clientOf(page)]
  await page.evaluate(() => void Sao.Session.current_session.do_logout()) // as SAO does once its own tabs are closed
  await connected(1, TABS) // the others of the first user stay: theirs is the session that was renewed
  await page.reload({ waitUntil: 'commit' })
  await enter(page, people[1])
  await connected(2, TABS + 2)
  tabs.handled = []
  await notify({ title: 'to the first', user: first }, { title: 'to the first client', client }, { title: 'to the second', user: await userOf(page) })
  await tabs.settled('both')
  assert.deepEqual(tabs.titles([page]), ['to the second'])
  assert.deepEqual(tabs.titles(others), ['to the first'])
}

await run(async (browser) => {
  await twoTabs(browser)
  const tabs = await Tabs.start(browser)
  await tabs.open(TABS)
  await oneConnection(tabs)
  await renewed(tabs)
  await another(tabs)
  assert.deepEqual(tabs.polls, [], 'SAO polls no more')
}, [`--renderer-process-limit=${PROCESSES}`])
