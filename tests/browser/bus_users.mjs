// Who shares a connection with whom: never two users, never two tabs of a page that came over plain http; and a page that the browser
// keeps for the way back holds no connection.
import { strict as assert } from 'node:assert'
import { run } from './harness.mjs'
import { allGot, effects, losses, Network, Profile, publish, until } from './bus_harness.mjs'

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
  await until(async () => (await effects(pages)).length >= 3, 'each side effect ran')
  assert.deepEqual((await effects(pages)).sort(), [1, 2, 3], 'and in one tab')
  await pages[0].close()
  await until(() => network.open === 2, 'its connection ends with a tab')
  await profile.context.close()
}

/** A second tab stays: Chromium may halt a SharedWorker whose last page it keeps for the way back. */
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

await run(async (browser) => {
  await plainHttp(browser)
  for (const way of ['shared', 'led']) {
    await userChanged(browser, way)
    await backAndForth(browser, way)
  }
})
