// Many tabs of one user: one connection, every message in every tab, a side effect in one; and tabs that die or freeze.
import { strict as assert } from 'node:assert'
import { run } from './harness.mjs'
import {
  allGot, claimsSettled, effects, freeze, got, killRenderer, losses, Network, Profile, publish, publishOverHttp, thaw, until,
} from './bus_harness.mjs'

const TABS = 20
const AT_ONCE = 5 // tabs that are opened
const WAYS = ['shared', 'led']
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n)
const sorted = (list) => [...list].sort((a, b) => a - b)

async function publishAll(page, data) {
  for (const one of data) await publish(page, 'room:1', one)
}

async function manyTabs(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  await profile.open()
  while (profile.tabs.length < TABS) await Promise.all(Array.from({ length: Math.min(AT_ONCE, TABS - profile.tabs.length) }, () => profile.open()))
  assert.equal(network.opened, 1, `${TABS} tabs have one connection (${way})`)
  await publishAll(profile.tabs[7], numbers(1, 10))
  await allGot(profile.tabs, numbers(1, 10))
  await claimsSettled(profile.tabs)
  assert.deepEqual(sorted(await effects(profile.tabs)), numbers(1, 10), 'each side effect ran once')

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
  await claimsSettled(others)
  const ran = sorted(await effects(others)).filter((one) => one > 10)
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

/** The first tab is the one that leads, where a tab does; the others are led. */
async function frozenTab(browser, way, frozen) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const channel = `room:frozen-${way}-${frozen}`
  const pages = []
  for (let n = 0; n < 3; n += 1) pages.push(await profile.open('alice', [channel]))
  const sleeper = pages[frozen]
  const others = pages.filter((page) => page !== sleeper)
  await freeze(sleeper, others[0])
  await publishOverHttp(channel, numbers(1, 10))
  await allGot(others, numbers(1, 10), channel)
  await thaw(sleeper)
  await allGot(pages, numbers(1, 10), channel)
  assert.equal(await sleeper.evaluate((channel) => subscriptions[channel].position.offset, channel), 10)
  for (const page of pages) assert.equal(await losses(page), 0)
  await until(() => network.open === 1, 'one connection at the end')
  await claimsSettled(pages)
  assert.deepEqual(sorted(await effects(pages)), numbers(1, 10), 'each side effect ran once')
  await profile.context.close()
}

/** Each tab goes on after the position that was rendered with its page, or is told that it can't. */
async function rendered(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  const [channel, short] = [`room:rendered-${way}`, `room:short-rendered-${way}`]
  const positions = await publishOverHttp(channel, numbers(1, 5))
  const inShort = await publishOverHttp(short, numbers(1, 20))
  const first = await profile.open('alice', [[channel, { since: positions[2] }]])
  await allGot([first], [4, 5], channel)
  const older = await profile.open('alice', [[channel, { since: positions[0] }]])
  const newest = await profile.open('alice', [channel])
  const other = await profile.open('alice', [[channel, { since: { offset: 3, epoch: 'of another server' } }], [short, { since: inShort[1] }]])
  const inReach = await profile.open('alice', [[short, { since: inShort[16] }]])
  await publishOverHttp(channel, [6])
  await publishOverHttp(short, [21])
  await allGot([first], numbers(4, 6), channel)
  await allGot([older], numbers(2, 6), channel)
  await allGot([newest, other], [6], channel)
  await allGot([other], [21], short)
  await allGot([inReach], numbers(18, 21), short)
  const told = Object.fromEntries((await other.evaluate(() => window.losses)).map((loss) => [loss.channel, loss.position]))
  assert.deepEqual(told, { [channel]: positions[4], [short]: inShort[19] }, 'what is gone is said, and where it goes on')
  for (const page of [first, older, newest, inReach]) assert.equal(await losses(page), 0)
  assert.equal(network.opened, 1)
  await profile.context.close()
}

await run(async (browser) => {
  for (const way of WAYS) {
    await manyTabs(browser, way)
    await deadTab(browser, way)
    for (const frozen of [0, 1]) await frozenTab(browser, way, frozen)
  }
  await Promise.all(WAYS.map((way) => rendered(browser, way)))
})
