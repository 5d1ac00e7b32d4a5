// Debian's SAO with our custom.js, in twenty tabs: one connection, every tab usable, a notification for the user shown once.
import { strict as assert } from 'node:assert'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { run } from './harness.mjs'
import { Network, Profile, until } from './bus_harness.mjs'

const SAO = '/usr/share/tryton-sao/www'
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.png': 'image/png', '.svg': 'image/svg+xml' }
const TABS = 20

/** The pages of SAO, and custom.js beside them, as nginx would serve them. */
function site(path) {
  const file = join(path === '/custom.js' ? process.env.HEADROOM_BUS_PACKAGE : SAO, path === '/' ? 'index.html' : path)
  return existsSync(file) && statSync(file).isFile() ? [TYPES[extname(file)] ?? 'application/octet-stream', readFileSync(file)] : undefined
}

/** A tab in which that user has logged in: SAO keeps its session where the next tab finds it. */
async function tab(context, base, login, id) {
  const page = await context.newPage()
  await page.route(/\/(db\/)?$/, (route) => (route.request().method() === 'POST' ? route.fulfill({ json: { id: 0, result: [] } }) : route.fallback()))
  await page.goto(`${base}/`)
  await page.evaluate(([login, id]) => {
    window.shown = []
    window.polls = 0
    jQuery.ajax = (options) => { if (options.url.endsWith('/bus')) window.polls += 1; return jQuery.Deferred().promise() }
    Sao.Bus.handle = (message) => window.shown.push(message.title)
    localStorage.setItem('sao_session_db', JSON.stringify({ login, user_id: id, session: 'a key' }))
    Sao.Session.current_session = new Sao.Session('db', login)
    Sao.Bus.listen()
    Sao.Bus.listen() // as after a renewal
  }, [login, id])
  return page
}

await run(async (browser) => {
  const network = await Network.start(site)
  const context = await browser.newContext()
  const pages = []
  for (let n = 0; n < TABS; n += 1) pages.push(await tab(context, network.base, 'admin', 1))
  await until(() => network.open === 1, 'the tabs are connected')
  const client = await pages[4].evaluate(() => Sao.Bus.channels[0])

  const plain = await Network.start()
  const sender = await (await Profile.start(browser, plain)).open('trytond', [])
  const send = (channel, title) => sender.evaluate(([channel, title]) => bus.publish(channel, { type: 'notification', title }), [channel, title])
  const all = async () => (await Promise.all(pages.map((page) => page.evaluate(() => window.shown)))).flat().sort()
  await until(async () => (await sender.evaluate((channel) => bus.who(channel), `${client}@db`)).users.length === 1, 'the tab is subscribed')
  for (const title of ['a', 'b', 'c']) await send('user:1@db', title)
  await send('user:2@db', 'of another user')
  await send(`${client}@db`, 'for one tab')
  await until(async () => (await all()).length >= 4, 'notifications are shown')
  await new Promise((resolve) => setTimeout(resolve, 500)) // none comes later
  assert.deepEqual(await all(), ['a', 'b', 'c', 'for one tab'])
  assert.deepEqual((await pages[4].evaluate(() => window.shown)).includes('for one tab'), true)
  assert.equal(network.opened, 1, `${TABS} tabs have one connection`)
  for (const page of pages) assert.equal(await page.evaluate(() => window.polls), 0, 'SAO polls no more')
  for (const page of pages) assert.equal(await page.evaluate(async () => (await fetch('/locale/de.json')).status), 200, 'the tab is usable')

  // Another user logs in: nothing of the first comes any more.
  await pages[0].evaluate(() => { Sao.Session.current_session.do_logout() })
  const other = await tab(context, network.base, 'bob', 2)
  await until(async () => (await sender.evaluate(() => bus.who('user:2@db'))).users.length === 1, 'bob is subscribed')
  await send('user:2@db', 'for bob')
  await until(() => other.evaluate(() => window.shown.join() === 'for bob'), 'bob is told')
  assert.equal(network.opened, 2)

  // Where the bus does not accept the session, SAO polls as it always did.
  const refused = await tab(context, network.base, 'refused', 13)
  await until(() => refused.evaluate(() => window.polls === 1), 'SAO polls')
})
