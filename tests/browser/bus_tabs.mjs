// Many tabs of one user: one connection, every message in every tab, a side effect in one; and tabs that die or freeze.
import { strict as assert } from 'node:assert'
import { run } from './harness.mjs'
import { allGot, effects, got, killRenderer, losses, Network, Profile, publish, setLifecycle, until } from './bus_harness.mjs'

const TABS = 20
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

async function publishAll(page, data) {
  for (const one of data) await publish(page, 'room:1', one)
}

async function manyTabs(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  for (let n = 0; n < TABS; n += 1) await profile.open()
  assert.equal(network.opened, 1, `${TABS} tabs have one connection (${way})`)
  await publishAll(profile.tabs[7], numbers(1, 10))
  await allGot(profile.tabs, numbers(1, 10))
  await until(async () => (await effects(profile.tabs)).length >= 10, 'each side effect ran')

  // A tab that begins at the position that was rendered with it, older than that of the connection.
  const position = await profile.tabs[0].evaluate(() => subscriptions['room:1'].position)
  const late = await profile.open('alice', [])
  await late.evaluate((since) => read('room:1', { since }), { ...position, offset: position.offset - 4 })
  await allGot([late], numbers(7, 10))

  // The first tab leads, or its process runs the worker: both die with it.
  const [first, ...others] = profile.tabs
  await killRenderer(first)
  await publishAll(others[3], numbers(11, 20))
  await allGot(others.slice(0, -1), numbers(1, 20))
  await allGot([late], numbers(7, 20))
  assert.equal(network.open, 1, 'again one connection')
  const after = async () => (await effects(others)).filter((one) => one > 10).sort((a, b) => a - b)
  await until(async () => (await after()).length >= 10, 'each side effect ran after the death of the leader')
  const ran = await after()
  assert.deepEqual(ran, numbers(11, 20), 'each side effect ran once, over the death of the leader')
  for (const page of others) assert.equal(await losses(page), 0)
  await profile.context.close()
  await until(() => network.open === 0, 'the connection ends with the last tab')
}

/** The server forgets what only a dead tab had. */
async function deadTab(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const stays = await profile.open('alice', ['room:1'])
  const dies = await profile.open('alice', ['room:1', `room:only-${way}`])
  const elsewhere = await Profile.start(browser, network, way)
  const bob = await elsewhere.open('bob', [])
  const readers = () => bob.evaluate((channel) => bus.who(channel), `room:only-${way}`)
  assert.deepEqual((await readers()).users, ['alice'])
  await killRenderer(dies)
  await until(async () => (await readers()).users.length === 0, "the dead tab's subscription ended")
  assert.deepEqual((await bob.evaluate(() => bus.who('room:1'))).users, ['alice'])
  await bob.evaluate(() => { window.seen = []; bus.presence(['alice'], (users) => seen.push(users.alice)) })
  await killRenderer(stays)
  await until(() => bob.evaluate(() => seen.join() === 'online,offline'), 'who has no tab left is offline')
  await profile.context.close()
  await elsewhere.context.close()
}

async function frozenTab(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const pages = []
  for (let n = 0; n < 3; n += 1) pages.push(await profile.open('alice', [`room:frozen-${way}`]))
  const channel = `room:frozen-${way}`
  await setLifecycle(pages[0], 'frozen')
  for (const one of numbers(1, 10)) await publish(pages[1], channel, one)
  await allGot(pages.slice(1), numbers(1, 10), channel)
  await setLifecycle(pages[0], 'active')
  await allGot(pages, numbers(1, 10), channel)
  const position = await pages[1].evaluate((channel) => subscriptions[channel].position.offset, channel)
  assert.equal(position, 10)
  await until(() => network.open === 1, 'one connection at the end')
  assert.deepEqual((await effects(pages)).sort((a, b) => a - b), numbers(1, 10))
  assert.equal((await got(pages[0], channel)).length, 10)
  await profile.context.close()
}

await run(async (browser) => {
  for (const way of ['shared', 'led']) {
    await manyTabs(browser, way)
    await deadTab(browser, way)
    await frozenTab(browser, way)
  }
})
