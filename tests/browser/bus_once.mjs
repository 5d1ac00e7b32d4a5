// A side effect runs in exactly one tab: in the one that is looked at, where there is one; also when the browser forgets what the tabs wrote
// down, or writes down nothing.
import { strict as assert } from 'node:assert'
import { run } from './harness.mjs'
import { allGot, claimsSettled, effects, Network, Profile, publishOverHttp, until } from './bus_harness.mjs'

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n)
const sorted = (list) => [...list].sort((a, b) => a - b)

async function tabs(browser, number) {
  const profile = await Profile.start(browser, await Network.start())
  for (let n = 0; n < number; n += 1) await profile.open()
  return profile
}

async function send(pages, data, expected) {
  await publishOverHttp('room:1', data)
  await allGot(pages, expected ?? data)
}

/** In the page: it is as if nobody looked at it or worked in it, and its short timers run when the test says so. */
function leave(hidden) {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })
  document.hasFocus = () => false
  const later = window.setTimeout
  window.held = []
  window.setTimeout = (run, milliseconds) => (milliseconds < 1000 ? window.held.push(run) : later(run, milliseconds))
  window.comeToTurn = () => {
    window.setTimeout = later
    for (const run of window.held.splice(0)) run()
  }
}

const comeToTurn = (pages) => Promise.all(pages.map((page) => page.evaluate(() => window.comeToTurn())))
const waiting = (page) => page.evaluate(() => window.held.length)

async function whoIsLookedAtGoesFirst(browser) {
  const { context, tabs: pages } = await tabs(browser, 4)
  const [hidden, alsoHidden, inUse, seen] = pages
  for (const page of [hidden, alsoHidden]) await page.evaluate(leave, true)
  await seen.evaluate(leave, false)
  const data = numbers(1, 10)
  await send(pages, data)
  await until(async () => (await effects([inUse])).length === 10, 'the tab in use runs them')
  for (const page of [hidden, alsoHidden, seen]) assert.equal(await waiting(page), 10, 'the others let it go first')
  await comeToTurn([hidden, alsoHidden, seen])
  await claimsSettled(pages)
  assert.deepEqual(await effects(pages), data)
  await context.close()
}

async function nobodyLooks(browser) {
  const { context, tabs: pages } = await tabs(browser, 3)
  for (const page of pages) await page.evaluate(leave, true)
  await send(pages, numbers(1, 10))
  assert.deepEqual(await effects(pages), [])
  await comeToTurn(pages)
  await claimsSettled(pages)
  assert.deepEqual(sorted(await effects(pages)), numbers(1, 10))
  await context.close()
}

async function twoEffectsOfOneMessage(browser) {
  const { context, tabs: pages } = await tabs(browser, 2)
  for (const page of pages) {
    await page.evaluate(() => {
      window.sounds = []
      return bus.subscribe('room:1', bus.once((message) => window.sounds.push(message.data), 'sound')).ready
    })
  }
  await send(pages, [1, 2, 3])
  await claimsSettled(pages)
  const sounds = (await Promise.all(pages.map((page) => page.evaluate(() => window.sounds)))).flat()
  assert.deepEqual(sorted(sounds), [1, 2, 3])
  assert.deepEqual(sorted(await effects(pages)), [1, 2, 3])
  await context.close()
}

/** The user has the browser forget the site's data while its tabs are open. */
async function dataIsCleared(browser) {
  const { context, address, tabs: pages } = await tabs(browser, 3)
  await send(pages, [1, 2, 3])
  await claimsSettled(pages)
  const session = await context.newCDPSession(pages[0])
  await session.send('Storage.clearDataForOrigin', { origin: new URL(address).origin, storageTypes: 'indexeddb' })
  await send(pages, [4, 5, 6], numbers(1, 6))
  await claimsSettled(pages)
  assert.deepEqual(sorted(await effects(pages)), numbers(1, 6))
  await context.close()
}

/** A full disk, or a browser that keeps nothing: the tabs have locks left. */
async function nothingIsWritten(browser) {
  const { context, tabs: pages } = await tabs(browser, 3)
  for (const page of pages) await page.evaluate(() => (IDBFactory.prototype.open = () => { throw new DOMException('full', 'QuotaExceededError') }))
  await send(pages, numbers(1, 10))
  await until(async () => (await effects(pages)).length >= 10, 'each side effect ran')
  const asked = () => new Promise((resolve) => navigator.locks.request('the last one asked for', { ifAvailable: true }, () => resolve()))
  for (const page of pages) await page.evaluate(asked)
  assert.deepEqual(sorted(await effects(pages)), numbers(1, 10))
  await context.close()
}

await run(async (browser) => {
  await whoIsLookedAtGoesFirst(browser)
  await nobodyLooks(browser)
  await twoEffectsOfOneMessage(browser)
  await dataIsCleared(browser)
  await nothingIsWritten(browser)
})
