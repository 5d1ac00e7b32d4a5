// The server and the network fail under the tabs: what was acknowledged is seen by every tab, or the tab is told that something is lost.
import { strict as assert } from 'node:assert'
import { run, work } from './harness.mjs'
import { allGot, got, losses, Network, Profile, publish, until } from './bus_harness.mjs'

const TABS = 3
const RECONNECTED = 40_000

async function threeTabs(browser, way) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  for (let n = 0; n < TABS; n += 1) await profile.open('alice', [`room:${way}`])
  return { network, profile, pages: profile.tabs, channel: `room:${way}` }
}

/** In the page: publishes one after the other until told to stop, and writes down what was acknowledged. */
function publishOnAndOn(channel) {
  window.acknowledged = []
  window.go = true
  window.publishing = (async () => {
    for (let n = 1; window.go; n += 1) window.acknowledged.push([n, await bus.publish(channel, n)])
  })()
}

async function killedWhilePublishing(browser, way) {
  const { profile, pages, channel } = await threeTabs(browser, way)
  await pages[0].evaluate(publishOnAndOn, channel)
  await until(() => pages[0].evaluate(() => window.acknowledged.length > 20), 'messages are acknowledged')
  await work('kill')
  await work('start')
  const before = await pages[0].evaluate(() => window.acknowledged.length)
  await until(() => pages[0].evaluate((before) => window.acknowledged.length > before + 20, before), 'publishing goes on', RECONNECTED)
  await pages[0].evaluate(() => { window.go = false; return window.publishing })
  const acknowledged = await pages[0].evaluate(() => window.acknowledged)
  for (const page of pages) await until(async () => (await got(page, channel)).includes(acknowledged.at(-1)[0]), 'the last message came', RECONNECTED)
  for (const page of pages) {
    const seen = await got(page, channel)
    const missing = acknowledged.filter(([n]) => !seen.includes(n))
    assert.ok(missing.length === 0 || (await losses(page)) > 0, `missing without a word: ${JSON.stringify(missing.slice(0, 5))}`)
    assert.ok((await losses(page)) > 0, 'a broker in memory forgets with the process, and says so')
    const newest = acknowledged.at(-1)[1].epoch
    const ofNewest = acknowledged.filter(([, position]) => position.epoch === newest).map(([n]) => n)
    const seenOfNewest = seen.filter((n) => ofNewest.includes(n))
    assert.equal(new Set(seenOfNewest).size, seenOfNewest.length, 'nothing comes twice')
  }
  await profile.context.close()
}

async function restarted(browser, way) {
  const { network, profile, pages, channel } = await threeTabs(browser, way)
  const before = network.opened
  await publish(pages[0], channel, 'before')
  await allGot(pages, ['before'], channel)
  await work('stop')
  // Said while there is no server: kept, and sent when there is one.
  const answer = publish(pages[1], channel, 'after')
  await until(() => pages[2].evaluate(() => bus.state === 'waiting'), 'the tabs know that there is no connection')
  await work('start')
  assert.ok((await answer).offset >= 1)
  for (const page of pages) await until(async () => (await got(page, channel)).includes('after') || (await losses(page)) > 0, 'after', RECONNECTED)
  assert.ok(network.opened > before)
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
  for (const way of ['shared', 'led']) {
    await cut(browser, way)
    await restarted(browser, way)
    await killedWhilePublishing(browser, way)
  }
})
