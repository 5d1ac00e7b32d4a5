// The server and the network fail under the tabs: what was acknowledged is seen by every tab, or the tab is told that something is lost.
import { strict as assert } from 'node:assert'
import { run, work } from './harness.mjs'
import { allGot, got, losses, Network, Profile, publish, until } from './bus_harness.mjs'

const TABS = 3
const WAYS = ['shared', 'led']
const RECONNECTED = 40_000

async function threeTabs(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  for (let n = 0; n < TABS; n += 1) await profile.open('alice', [`room:${way}`])
  return { network, profile, pages: profile.tabs, channel: `room:${way}` }
}

/** The same in each way that tabs come to a hub; they wait for one server together. */
const inEachWay = (told) => Promise.all(WAYS.map(told))

/** In the page: publishes one after the other until told to stop, and writes down what was acknowledged. */
function publishOnAndOn(channel) {
  window.acknowledged = []
  window.go = true
  window.publishing = (async () => {
    for (let n = 1; window.go; n += 1) window.acknowledged.push([n, await bus.publish(channel, n)])
  })()
}

const acknowledged = (page) => page.evaluate(() => window.acknowledged)

async function publishedMore(page, number) {
  const before = (await acknowledged(page)).length
  await until(async () => (await acknowledged(page)).length > before + number, `${number} more are acknowledged`, RECONNECTED)
}

async function killedWhilePublishing(browser) {
  const all = await inEachWay((way) => threeTabs(browser, way))
  const publishers = all.map(({ pages }) => pages[0])
  await Promise.all(all.map(({ channel }, n) => publishers[n].evaluate(publishOnAndOn, channel)))
  await Promise.all(publishers.map((page) => publishedMore(page, 20)))
  await work('kill')
  await work('start')
  await Promise.all(publishers.map((page) => publishedMore(page, 20)))
  await Promise.all(all.map(nothingMissingUnsaid))
}

async function nothingMissingUnsaid({ profile, pages, channel }) {
  await pages[0].evaluate(() => { window.go = false; return window.publishing })
  const said = await acknowledged(pages[0])
  for (const page of pages) await until(async () => (await got(page, channel)).includes(said.at(-1)[0]), 'the last message came', RECONNECTED)
  for (const page of pages) {
    const seen = await got(page, channel)
    const missing = said.filter(([n]) => !seen.includes(n))
    assert.ok(missing.length === 0 || (await losses(page)) > 0, `missing without a word: ${JSON.stringify(missing.slice(0, 5))}`)
    assert.ok((await losses(page)) > 0, 'a broker in memory forgets with the process, and says so')
    const newest = said.at(-1)[1].epoch
    const ofNewest = said.filter(([, position]) => position.epoch === newest).map(([n]) => n)
    const seenOfNewest = seen.filter((n) => ofNewest.includes(n))
    assert.equal(new Set(seenOfNewest).size, seenOfNewest.length, 'nothing comes twice')
  }
  await profile.context.close()
}

async function restarted(browser) {
  const all = await inEachWay((way) => threeTabs(browser, way))
  await Promise.all(all.map(async ({ pages, channel }) => {
    await publish(pages[0], channel, 'before')
    await allGot(pages, ['before'], channel)
  }))
  await work('stop')
  // Said while there is no server: kept, and sent when there is one.
  const answers = all.map(({ pages, channel }) => publish(pages[1], channel, 'after'))
  await Promise.all(all.map(({ pages }) => until(() => pages[2].evaluate(() => bus.state === 'waiting'), 'the tabs know that there is no connection')))
  await work('start')
  for (const answer of await Promise.all(answers)) assert.ok(answer.offset >= 1)
  await Promise.all(all.map(goesOnAnew))
}

async function goesOnAnew({ network, profile, pages, channel }) {
  for (const page of pages) await until(async () => (await got(page, channel)).includes('after') || (await losses(page)) > 0, 'after', RECONNECTED)
  assert.ok(network.opened > 1)
  assert.equal(network.open, 1)

  // The memory is gone with the process: each tab is told so, with the place from which it goes on.
  await publish(pages[0], channel, 'later')
  for (const page of pages) {
    await until(async () => (await got(page, channel)).includes('later'), 'the tab goes on', RECONNECTED)
    const [told, { epoch }] = await page.evaluate((channel) => [window.losses, subscriptions[channel].position], channel)
    assert.ok(told.length > 0)
    for (const loss of told) assert.deepEqual([loss.channel, loss.position.epoch], [channel, epoch])
    assert.equal((await got(page, channel)).filter((one) => one === 'later').length, 1)
  }
  await profile.context.close()
}

/** Nothing goes through and nothing is closed; the browser says that it is online again, and the socket is proved. */
async function cut(browser, way) {
  const { network, profile, pages, channel } = await threeTabs(browser, way)
  const elsewhere = await Profile.start(browser, await Network.start(), way)
  const bob = await elsewhere.open('bob', [])
  await publish(bob, channel, 1)
  await allGot(pages, [1], channel)
  network.cut()
  await publish(bob, channel, 2)
  await publish(bob, channel, 3)
  const opened = network.opened
  await new Promise((resolve) => setTimeout(resolve, 1500))
  network.mend()
  await pages[1].evaluate(() => window.dispatchEvent(new Event('online')))
  await allGot(pages, [1, 2, 3], channel, RECONNECTED)
  for (const page of pages) assert.equal(await losses(page), 0)
  assert.ok(network.opened > opened, 'a new socket, though the old was never closed')
  await publish(pages[2], channel, 4)
  await allGot(pages, [1, 2, 3, 4], channel)
  await profile.context.close()
  await elsewhere.context.close()
}

await run(async (browser) => {
  await inEachWay((way) => cut(browser, way))
  await restarted(browser)
  await killedWhilePublishing(browser)
})
