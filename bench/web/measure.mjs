// Takes the times in a browser: prints {"floor": [...], "first_page": [...], "flame_draw": [...], "flame_frame": [...]} in milliseconds.
import { strict as assert } from 'node:assert'
import { DEADLINE, launch } from '../../tests/browser/harness.mjs'
import { tree } from './tree.mjs'

const ROUNDS = Number(process.env.HEADROOM_ROUNDS)
const NODES = 100_000
const base = process.env.HEADROOM_URL
const calls = Number(process.env.HEADROOM_CALLS)

const browser = await launch()
try {
  process.stdout.write(JSON.stringify({ floor: await floor(), first_page: await firstPage(), ...(await flame()) }))
} finally {
  await browser.close()
}

/**
 * From the beginning of the navigation, with an empty cache, until rows of the store are in a picture and the page answers a key: j is
 * pressed with each picture until it marks a row. The page tells by a function of its own: a condition that Playwright waits for would
 * put 300 kB of script into the page while it loads.
 */
async function firstPage() {
  const times = []
  for (let round = 0; round <= ROUNDS; round += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const page = await context.newPage()
    const time = await told(page, base + '/', () => {
      const press = () => {
        if (document.querySelector('.row.active')) return // more would scroll the first row away
        if (document.querySelector('.table-body .row a')) document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'j', bubbles: true }))
        requestAnimationFrame(press)
      }
      new MutationObserver((_, observer) => {
        if (document.querySelector('.table-body .row.active') === null) return
        observer.disconnect()
        window.tell(performance.now())
      }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ['class'] })
      requestAnimationFrame(press)
    })
    const { rows } = await (await page.request.get(`${base}/api/perf/session?limit=1`)).json()
    const status = await (await page.request.get(`${base}/api/perf/status`)).json()
    assert.equal(status.store.calls, calls)
    await page.getByText(rows[0].session).first().waitFor()
    if (round > 0) times.push(time) // the first one warms the daemon and the browser up
    await context.close()
  }
  return times
}

/** The same for a few bytes of text of the same daemon: what browser and machine take before a page has done anything. */
async function floor() {
  const times = []
  for (let round = 0; round <= ROUNDS; round += 1) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const time = await told(await context.newPage(), base + '/health', () => {
      addEventListener('DOMContentLoaded', () => requestAnimationFrame(() => window.tell(performance.now())))
    })
    if (round > 0) times.push(time)
    await context.close()
  }
  return times
}

/** What the page tells, once, when `watch` runs in it before its own scripts. */
async function told(page, address, watch) {
  let timer
  const answer = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${address} told nothing`)), DEADLINE)
    void page.exposeFunction('tell', resolve).then(() => page.addInitScript(watch)).then(() => page.goto(address, { waitUntil: 'commit' })).catch(reject)
  })
  return answer.finally(() => clearTimeout(timer))
}

/** The draw from the parsed profile to the finished picture, and each frame while it zooms. */
async function flame() {
  const answer = JSON.stringify({ profiles: [tree(NODES)] })
  const [draws, frames] = [[], []]
  for (let round = 0; round <= ROUNDS; round += 1) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
    const session = (await (await page.request.get(`${base}/api/perf/session?limit=1`)).json()).rows[0]
    await page.route('**/api/perf/profile/tree?**', (route) => route.fulfill({ body: answer, contentType: 'application/json' }))
    await page.route('**/api/perf/call?**', (route) => withProfile(route))
    const draw = await told(page, `${base}/call?db=${session.database}&session=${session.session}&call=1&view=flame`, () => {
      new PerformanceObserver((list) => list.getEntriesByName('flame').forEach(({ duration }) => window.tell(duration))).observe({ type: 'measure' })
    })
    await page.locator('.flame canvas').waitFor()
    assert.ok(await page.getByText(`${NODES.toLocaleString('en')} nodes`).count() > 0)
    const zoom = await page.evaluate(zoomed)
    if (round > 0) {
      draws.push(draw)
      frames.push(...zoom)
    }
    await page.close()
  }
  return { flame_draw: draws, flame_frame: frames }
}

/** The call of the store says that it has a profile. */
async function withProfile(route) {
  const answer = await (await route.fetch()).json()
  answer.rows[0].details = 'profile'
  await route.fulfill({ json: answer })
}

/** Clicks a box in the third row, and gives the time between frames until the picture stands. */
function zoomed() {
  return new Promise((resolve) => {
    const canvas = document.querySelector('.flame canvas')
    const box = canvas.getBoundingClientRect()
    const at = { clientX: box.left + box.width / 4, clientY: box.top + 60, bubbles: true }
    const frames = []
    let last = performance.now()
    const end = last + 160
    const step = (now) => {
      frames.push(now - last)
      last = now
      if (now < end) requestAnimationFrame(step)
      else resolve(frames.slice(1))
    }
    canvas.dispatchEvent(new MouseEvent('click', at))
    requestAnimationFrame(step)
  })
}
