// Who shares a connection with whom: never two users, never two tabs of a page that came over plain http; and a page that the browser
// keeps for the way back holds no connection.
import { strict as assert } from 'node:assert'
import { run } from './harness.mjs'
import {
  allGot, claimsSettled, effects, killRenderer, losses, Network, Profile, publish, publishOverHttp, signIn, tokenOf, until,
} from './bus_harness.mjs'

async function userChanged(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const alice = await profile.open('alice', ['room:1', 'user:alice'])
  const bob = await profile.open('bob', ['room:1', 'user:bob'])
  assert.equal(network.open, 2, 'two users in one profile have two connections')
  const denied = await bob.evaluate(() => bus.subscribe('user:alice', () => undefined).ready.catch((error) => error.code))
  assert.equal(denied, 'denied')
  await publish(alice, 'room:1', 1)
  await allGot([alice, bob], [1])

  // The application signs alice out and bob in, in one and the same tab.
  await alice.evaluate(() => bus.close())
  await until(() => network.open === 1, "alice's connection ends")
  const state = await alice.evaluate(() => bus.publish('room:1', 'too late').catch((error) => [bus.state, error.code]))
  assert.deepEqual(state, ['closed', 'unavailable'])
  await publish(bob, 'room:1', 2)
  await allGot([bob], [1, 2])
  await allGot([alice], [1])
  await signIn(alice, 'bob', ['room:1', 'user:bob'])
  await publishOverHttp('room:1', [3])
  await allGot([bob], [1, 2, 3])
  await allGot([alice], [3])
  await until(() => network.open === 1, "bob's two tabs have one connection")
  assert.equal(network.opened, 2)
  await profile.context.close()
}

/** The same name in two databases is two users. */
async function twoDatabases(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const pages = []
  for (const database of ['shop', 'test', 'shop']) pages.push(await profile.open('alice', ['room:1'], { database }))
  assert.equal(network.opened, 2)
  await publish(pages[0], 'room:1', 1)
  await allGot(pages, [1])
  await claimsSettled(pages)
  assert.deepEqual(await effects([pages[0], pages[2]]), [1], 'once for the user')
  assert.deepEqual(await effects([pages[1]]), [1], 'and once for the other')
  await profile.context.close()
}

/** In the page: connects with tokens of a few seconds, and counts them. */
async function connectWithShortTokens(tokens) {
  const { connect } = await import('/bus/bus.js')
  window.asked = 0
  window.got = { 'room:1': [] }
  window.bus = connect({ url: '/bus/ws', user: 'alice', token: () => tokens[window.asked++] ?? tokens.at(-1) })
  await bus.subscribe('room:1', (message) => window.got['room:1'].push(message.data)).ready
}

/** A token that is about to end is replaced on the open connection. */
async function tokenEnds(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const page = await profile.context.newPage()
  await page.goto(profile.address)
  await page.evaluate(connectWithShortTokens, [tokenOf('alice', 30), tokenOf('alice')])
  await until(() => page.evaluate(() => window.asked === 2), 'a fresh token is asked for')
  await publishOverHttp('room:1', [1])
  await allGot([page], [1])
  assert.equal(network.opened, 1, 'one connection for both tokens')
  await profile.context.close()
}

/** A page whose policy forbids workers: its tabs share the connection of the one that leads. */
async function workersForbidden(browser) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, 'refused')
  const pages = [await profile.open(), await profile.open(), await profile.open()]
  assert.equal(network.opened, 1)
  await publish(pages[1], 'room:1', 1)
  await allGot(pages, [1])
  await killRenderer(pages[0])
  await publish(pages[1], 'room:1', 2)
  await allGot(pages.slice(1), [1, 2])
  assert.equal(network.open, 1)
  await profile.context.close()
}

/** http://plain.test has neither Web Locks nor `crypto.randomUUID`. */
async function plainHttp(browser) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, 'alone', 'plain.test')
  const pages = [await profile.open(), await profile.open(), await profile.open()]
  assert.equal(await pages[0].evaluate(() => navigator.locks), undefined)
  assert.equal(network.opened, 3, 'one connection per tab')
  for (const one of [1, 2, 3]) await publish(pages[0], 'room:1', one)
  await allGot(pages, [1, 2, 3])
  await claimsSettled(pages)
  assert.deepEqual((await effects(pages)).sort(), [1, 2, 3], 'each side effect ran in one tab')
  await pages[0].close()
  await until(() => network.open === 2, 'its connection ends with a tab')
  await profile.context.close()
}

/** With a second tab that stays the page holds nothing while it is away. Chromium may halt a SharedWorker whose last page it keeps for the way back. */
async function backAndForth(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const page = await profile.open('alice', ['room:1', 'room:left'])
  const stays = await profile.open('alice')
  const elsewhere = await Profile.start(browser, network, way)
  const bob = await elsewhere.open('bob')
  await publish(bob, 'room:1', 1)
  await allGot([page, stays], [1])
  await page.evaluate(() => window.addEventListener('pageshow', (event) => (window.restored = event.persisted)))
  await page.goto('about:blank')
  const readers = () => bob.evaluate(() => bus.who('room:left'))
  await until(async () => (await readers()).users.length === 0, 'a page that is left reads nothing')
  await publish(bob, 'room:1', 2)
  await page.goBack({ waitUntil: 'commit' })
  await until(() => page.evaluate(() => window.restored === true), 'the page comes back as it was')
  await publish(bob, 'room:1', 3)
  await allGot([page, stays], [1, 2, 3])
  for (const one of [page, stays]) assert.equal(await losses(one), 0)
  assert.equal(network.open, 2, 'one connection for each profile')
  await profile.context.close()
  await elsewhere.context.close()
}

/** The only tab: whatever the browser does with its worker, the page resumes. */
async function onlyTabBackAndForth(browser, way, host) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way, host)
  const page = await profile.open('alice', ['room:1'])
  await publishOverHttp('room:1', [1])
  await allGot([page], [1])
  await page.evaluate(() => window.addEventListener('pageshow', (event) => (window.restored = event.persisted)))
  await page.goto('about:blank')
  await publishOverHttp('room:1', [2])
  await page.goBack({ waitUntil: 'commit' })
  await until(() => page.evaluate(() => window.restored === true), 'the page comes back as it was')
  await publishOverHttp('room:1', [3])
  await allGot([page], [1, 2, 3])
  assert.equal(await losses(page), 0)
  await until(() => network.open === 1, 'it has one connection')
  await profile.context.close()
}

await run(async (browser) => {
  await plainHttp(browser)
  await onlyTabBackAndForth(browser, 'alone', 'plain.test')
  await workersForbidden(browser)
  for (const way of ['shared', 'led']) {
    await userChanged(browser, way)
    await twoDatabases(browser, way)
    await tokenEnds(browser, way)
    await backAndForth(browser, way)
    await onlyTabBackAndForth(browser, way)
  }
})
