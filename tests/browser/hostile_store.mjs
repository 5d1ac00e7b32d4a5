// A store may hold names and texts of a mebibyte, in each of its calls: every answer of the daemon, and every page, stays small, and
// shows them as text. The store is that of `perf_sample_store --hostile`.
import { strict as assert } from 'node:assert'
import { base, busiestSession, DEADLINE, newPage, run, sessionAddress, settled } from './harness.mjs'

const KIB = 1024
/** Of a list of 40 calls; of one call, whose own texts are shown whole. */
const LIST = 4096 * KIB
const ONE = 16_384 * KIB

await run(async (browser) => {
  const page = await newPage(browser)
  page.setDefaultTimeout(4 * DEADLINE) // pages of megabytes, in a browser that shares its processor
  const session = await busiestSession(page)
  assert.equal(session.nb, 40)
  const which = `session=${encodeURIComponent(`${session.database}/${session.session}`)}`
  await answers(page, which)
  await pages(page, session)
  assert.match(await page.title(), /Headroom$/, 'no script of theirs ran')
})

async function answers(page, which) {
  for (const report of ['method', 'table', 'call', 'profile', 'db', 'io', 'query', 'repeat', 'conflict', 'advice']) {
    await small(page, `/api/perf/${report}?${which}&limit=1000`, LIST)
  }
  for (const path of ['session', 'overview', 'conflict', 'advice', 'status', 'running', 'rules']) await small(page, `/api/perf/${path}`, LIST)
  await small(page, `/api/perf/call?${which}&sort=-method&limit=1000`, LIST)
  for (const by of ['method', 'table', 'statement']) await small(page, `/api/perf/diff?a=2d..&b=2d..&by=${by}`, LIST)
  await small(page, `/api/perf/export?${which}&format=otlp-json`, LIST)
  await small(page, '/metrics', LIST)
  for (const path of ['call?call=1', 'profile?call=1', 'db?call=1&limit=1000', 'io?call=1', 'query?rank=1', 'profile/tree?call=1']) {
    await small(page, `/api/perf/${path}&${which}`, ONE)
  }
}

/** Answered, no larger, and whole names only where one thing was asked for. */
async function small(page, path, most) {
  const response = await page.request.get(base + path)
  const body = await response.text()
  assert.equal(response.status(), 200, `${path}: ${body.slice(0, 300)}`)
  assert.ok(body.length <= most, `${path}: ${body.length} bytes`)
  if (most === LIST) assert.doesNotMatch(body, /(?:\u5546<b>){30000}/, `${path} holds a whole text`)
}

async function pages(page, session) {
  const call = (more = '') => `/call${sessionAddress(session).slice('/session'.length)}&call=1${more}`
  const views = ['', 'timeline', 'methods', 'tables', 'repeats', 'slow', 'advice'].map((view) => sessionAddress(session, view && `&view=${view}`))
  const parts = ['', 'order', 'flame', 'functions', 'bodies', 'facts'].map((view) => call(view && `&view=${view}`))
  const query = `/query${sessionAddress(session).slice('/session'.length)}&rank=1`
  for (const path of ['/', '/overview', '/advice', '/status', '/live', ...views, ...parts, query, `/compare?a=2d..&b=2d..`]) {
    await page.goto(base + path)
    await page.waitForSelector('main h1')
    await settled(page)
    const { nodes, text, foreign, wide } = await page.evaluate(() => ({
      nodes: document.querySelectorAll('*').length,
      text: document.querySelector('main').textContent,
      foreign: document.querySelectorAll('main img, main script, main iframe, main b').length,
      wide: document.documentElement.scrollWidth > innerWidth,
    }))
    assert.ok(nodes < (path === query ? 25_000 : 5000), `${path}: ${nodes} elements`)
    assert.ok(text.length < ONE, `${path}: ${text.length} characters`)
    assert.equal(foreign, 0, `${path}: markup of theirs`)
    assert.ok(!wide, `${path} is wider than the window`)
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(text, /[\u0000\u001b\u202e]/, `${path}: a control character`)
  }
}
