// Tabs whose script stands still, as in a dialog, an endless loop or a debugger: the others go on, and it gets what it missed, or is told.
import { strict as assert } from 'node:assert'
import { launch, run } from './harness.mjs'
import { allGot, got, killRenderer, losses, Network, Profile, publish, publishOverHttp, standStill, until } from './bus_harness.mjs'

const MORE_THAN_A_TAB_IS_SENT = 600
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

/** Three tabs, of which the first leads where a tab does. */
async function threeTabs(browser, way, channels) {
  const network = await Network.start()
  const profile = await Profile.start(browser, network, way)
  await profile.context.addInitScript(forgetsWhenTold)
  const entries = channels.map((channel) => [channel, { effects: false }])
  for (let n = 0; n < 3; n += 1) await profile.open('alice', entries)
  return { network, profile, pages: profile.tabs }
}

/** It is sent no more than a few hundred messages, gets the rest from history, and is told where history does not reach. */
async function stuckTab(browser, way) {
  const [many, kept] = [`room:many-${way}`, `room:short-stuck-${way}`]
  const { network, profile, pages } = await threeTabs(browser, way, [many, kept])
  const [stuck, ...others] = [pages[1], pages[0], pages[2]]
  const all = numbers(1, MORE_THAN_A_TAB_IS_SENT)
  const { goOn } = await standStill(stuck)
  await publishOverHttp(many, all)
  await allGot(others, all, many)
  await publishOverHttp(kept, numbers(1, 20))
  await allGot(others, numbers(1, 20), kept)
  await goOn()
  await allGot(pages, all, many)
  await publish(others[0], kept, 'next')
  await until(async () => (await got(stuck, kept)).includes('next'), 'the tab goes on')
  assert.deepEqual(await got(stuck, kept), ['next'], 'five messages are kept, and the tab was sent none any more')
  const told = await stuck.evaluate(() => window.losses)
  assert.deepEqual(told.map((loss) => [loss.channel, loss.position.offset]), [[kept, 20]])
  for (const page of others) assert.equal(await losses(page), 0)
  assert.equal(network.opened, 1)
  await profile.context.close()
}

/** The tabs share a process, as Chromium has it once there are many: who stands still holds up the others, the one that leads too. */
async function stuckProcess(browser, way) {
  const channel = `room:many-process-${way}`
  const { network, profile, pages } = await threeTabs(browser, way, [channel])
  const all = numbers(1, MORE_THAN_A_TAB_IS_SENT)
  const { stands, goOn } = await standStill(pages[1])
  await publishOverHttp(channel, all)
  await stands
  await goOn()
  await allGot(pages, all, channel)
  for (const page of pages) assert.equal(await losses(page), 0)
  await publish(pages[2], channel, 'next')
  await allGot(pages, [...all, 'next'], channel)
  assert.equal(network.opened, 1)
  await profile.context.close()
}

/** A tab that stands still while the one that leads dies does not hear who leads next, and asks when it is used again. */
async function anotherLeads(browser) {
  const channel = 'room:another-leads'
  const { network, profile, pages } = await threeTabs(browser, 'led', [channel])
  const [leads, next, stuck] = pages
  const { stands, goOn } = await standStill(stuck)
  await publishOverHttp(channel, [1])
  await stands
  await killRenderer(leads)
  await publishOverHttp(channel, numbers(2, 10))
  await allGot([next], numbers(1, 10), channel)
  await goOn()
  await stuck.evaluate(() => document.dispatchEvent(new Event('resume')))
  await allGot([next, stuck], numbers(1, 10), channel)
  assert.equal(await losses(stuck), 0)
  assert.equal(network.open, 1)
  await profile.context.close()
}

/** What the browser has for a tab that stands still may be lost: the tab sees that numbers are missing. */
async function forgetfulBrowser(browser, way) {
  const channel = `room:forgotten-${way}`
  const { network, profile, pages } = await threeTabs(browser, way, [channel])
  await publishOverHttp(channel, [1])
  await allGot(pages, [1], channel)
  await pages[1].evaluate(() => { window.forgets = true })
  await publishOverHttp(channel, numbers(2, MORE_THAN_A_TAB_IS_SENT))
  const all = numbers(1, MORE_THAN_A_TAB_IS_SENT)
  await allGot([pages[0], pages[2]], all, channel)
  assert.deepEqual(await got(pages[1], channel), [1])
  await pages[1].evaluate(() => {
    window.forgets = false
    document.dispatchEvent(new Event('resume'))
  })
  await allGot(pages, all, channel)
  for (const page of pages) assert.equal(await losses(page), 0)
  assert.equal(network.opened, 1)
  await profile.context.close()
}

/** In the page, before its own scripts: what other tabs say is gone while `forgets`. */
function forgetsWhenTold() {
  const { BroadcastChannel } = globalThis
  globalThis.BroadcastChannel = class extends BroadcastChannel {
    constructor(name) {
      super(name)
      this.addEventListener('message', (event) => window.forgets && event.stopImmediatePropagation())
    }
  }
}

await run(async (browser) => {
  const oneProcess = await launch(['--process-per-site'])
  try {
    for (const way of ['shared', 'led']) {
      await stuckTab(browser, way)
      await stuckProcess(oneProcess, way)
    }
    await forgetfulBrowser(browser, 'led')
    await anotherLeads(browser)
  } finally {
    await oneProcess.close()
  }
})
