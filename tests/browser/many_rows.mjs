// A list of a hundred thousand calls of a real daemon: every call once, in the order asked for, at any place a moment away; the
// document stays small, and what was seen is not asked for again. The store is that of `perf_sample_store --many`.
import { strict as assert } from 'node:assert'
import { busiestSession, json, newPage, run, sessionAddress, settled, visit } from './harness.mjs'

const TOTAL = 100_000
const PAGE = 200
const HEIGHT = 28

await run(async (browser) => {
  const page = await newPage(browser)
  const session = await busiestSession(page)
  assert.equal(session.nb, TOTAL)
  await wholeOrder(page, session, '-tm', byTime(-1))
  await wholeOrder(page, session, 'db_nb', (a, b) => statements(a) - statements(b) || a - b)
  await scrolls(page, session)
  await sorts(page, session)
})

/** As `perf_sample_store` makes them of a call's number. */
function time(number) {
  return ((number - 1) * 7919) % TOTAL
}

function statements(number) {
  return (number - 1) % 97
}

function byTime(sign) {
  return (a, b) => sign * (time(a) - time(b))
}

function ordered(compare) {
  return Array.from({ length: TOTAL }, (_, n) => n + 1).sort(compare)
}

/** All pages put together are the whole list in its order. */
async function wholeOrder(page, session, sort, compare) {
  const found = []
  const reference = encodeURIComponent(`${session.database}/${session.session}`)
  for (let offset = 0; offset < TOTAL; offset += 1000) {
    const { rows, total } = await json(page, `/api/perf/call?session=${reference}&sort=${sort}&limit=1000&offset=${offset}`)
    assert.equal(total, TOTAL)
    found.push(...rows.map((row) => row['#']))
  }
  assert.deepEqual(found, ordered(compare), sort)
}

/** From end to end by hand, as it opens: the slowest first. */
async function scrolls(page, session) {
  const expected = ordered(byTime(-1))
  const asked = []
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.pathname === '/api/perf/call') asked.push(Number(url.searchParams.get('offset')))
  })
  await visit(page, sessionAddress(session))
  const table = page.getByRole('grid', { name: 'Calls' })
  assert.equal(await table.getAttribute('aria-rowcount'), String(TOTAL + 1))
  const places = Array.from({ length: 50 }, (_, n) => Math.floor((n * (TOTAL - 100)) / 49))
  for (const place of places) {
    await table.evaluate((box, top) => { box.scrollTop = top }, place * HEIGHT)
    await shows(page, place, expected)
  }
  await table.press('End')
  await page.locator(`.row.active[aria-rowindex="${TOTAL + 1}"]`).waitFor()
  await shows(page, TOTAL - 20, expected)
  assert.ok(await page.locator('.table-body .row').count() < 100, 'only rows in view are in the document')
  assert.equal(new Set(asked).size, asked.length, 'no page is asked for twice')
  assert.ok(asked.length <= 2 * (places.length + 1), `asked for ${asked.length} pages of ${PAGE}`)
}

/** The rows around a place are drawn, each with the call that belongs there. */
async function shows(page, place, expected) {
  await page.waitForFunction((index) => document.querySelector(`.row[aria-rowindex="${index}"] .cell:last-child .muted`), place + 2)
  await settled(page)
  const rows = await page.evaluate(() => [...document.querySelectorAll('.table-body .row')].map((row) =>
    [Number(row.getAttribute('aria-rowindex')) - 2, Number(row.querySelector('.cell:last-child').textContent)]))
  assert.ok(rows.some(([index]) => index === place))
  for (const [index, number] of rows) assert.equal(number, expected[index], `row ${index}`)
}

/** A click on a heading sorts all of them, and the filter leaves those of one method. */
async function sorts(page, session) {
  await visit(page, sessionAddress(session))
  await page.getByRole('button', { name: 'Time', exact: true }).click()
  await page.waitForURL('**sort=tm**')
  await shows(page, 0, ordered(byTime(1)))
  await page.getByRole('searchbox', { name: 'Method' }).fill('module7.')
  await page.waitForFunction((rows) => document.querySelector('.table').getAttribute('aria-rowcount') === String(rows), TOTAL / 50 + 1)
  await shows(page, 0, ordered(byTime(1)).filter((number) => (number - 1) % 50 === 7))
}
