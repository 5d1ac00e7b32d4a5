// What every test with a browser needs: Debian's Chromium, a page that must stay without errors and without requests to other
// machines, and a way to let the user of the application work meanwhile (the Python side does, see conftest.py).
import { strict as assert } from 'node:assert'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const { chromium } = require('playwright-core')

export const base = process.env.HEADROOM_URL
export const token = process.env.HEADROOM_TOKEN
export const DEADLINE = 15_000
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--no-first-run', '--host-resolver-rules=MAP *.test 127.0.0.1']

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Lets the user of the application do something: a method of World with its arguments. */
export async function work(name, ...args) {
  process.stdout.write(`@work ${JSON.stringify([name, ...args])}\n`)
  const { value } = await answers.next()
  assert.equal(value, 'done', `${name} failed: ${value}`)
}

export async function launch(flags = []) {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: [...FLAGS, ...flags], ignoreDefaultArgs: ['--disable-back-forward-cache'] })
}

/** A window on that screen (DISPLAY), with the profile in that folder. */
export async function openWindow(folder, screen, flags = []) {
  const args = [...FLAGS.filter((flag) => flag !== '--headless'), ...flags]
  return chromium.launchPersistentContext(folder, { executablePath: '/usr/bin/chromium', headless: false, args, ignoreDefaultArgs: ['--enable-automation'], viewport: null, locale: 'en-US', env: { ...process.env, DISPLAY: screen } })
}

/** A page of its own context, in which nobody is signed in. What goes wrong in it is in `page.wrongs`, which `run` wants empty. */
export async function strangerPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(DEADLINE)
  page.wrongs = []
  page.expected = [] // answers of the daemon that the test asks for, which the browser logs as errors
  page.on('pageerror', (error) => page.wrongs.push(`error: ${error.stack ?? error.message}`))
  page.on('console', (message) => {
    const text = message.text()
    if (message.type() === 'error' && !page.expected.some((part) => text.includes(part))) page.wrongs.push(`console: ${text} ${message.location().url}`)
  })
  page.on('dialog', (dialog) => { page.wrongs.push(`dialog: ${dialog.message()}`); void dialog.dismiss() })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.origin !== base && url.protocol !== 'blob:') page.wrongs.push(`request to ${url.origin}`)
  })
  pages.push(page)
  return page
}

/** The same for an administrator. */
export async function newPage(browser, options = {}) {
  const page = await strangerPage(browser, options)
  const response = await page.request.post(`${base}/api/session`, { data: { token } })
  assert.equal(response.status(), 200, await response.text())
  return page
}

const pages = []

/** Opens an address and waits until nothing is loaded any more. */
export async function visit(page, path) {
  await page.goto(base + path)
  await page.waitForSelector('main h1')
  await settled(page)
}

export async function settled(page) {
  await page.waitForFunction(() => document.querySelector('.waiting, .loading') === null)
}

export async function json(page, path) {
  const response = await page.request.get(base + path)
  assert.equal(response.status(), 200, `${path}: ${await response.text()}`)
  return response.json()
}

/** The session of the user's work with the most calls. */
export async function busiestSession(page) {
  const { rows } = await json(page, '/api/perf/session?sort=-nb&limit=10')
  return rows.find((row) => row.session.length === 16)
}

export function sessionAddress(row, more = '') {
  return `/session?db=${encodeURIComponent(row.database)}&session=${encodeURIComponent(row.session)}${more}`
}

/** Runs a test: exit status 1 and the reason when it fails, with a picture of every page. */
export async function run(test, flags = []) {
  const browser = await launch(flags)
  let failed = false
  try {
    await test(browser)
    for (const page of pages) assert.deepEqual(page.wrongs, [], `in ${page.url()}`)
  } catch (error) {
    failed = true
    console.error(error)
    for (const [n, page] of pages.entries()) {
      console.error(`page ${n}: ${page.url()}; ${page.wrongs.join('; ')}`)
      if (process.env.HEADROOM_PICTURES) await page.screenshot({ path: `${process.env.HEADROOM_PICTURES}/failed-${n}.png` }).catch(() => undefined)
    }
  } finally {
    await browser.close()
  }
  process.exit(failed ? 1 : 0)
}
