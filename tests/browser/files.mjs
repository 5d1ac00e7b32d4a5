// Files for other tools, as the browser saves them: of a session and of a call with a profile. A viewer gets none.
import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { base, busiestSession, json, newPage, run, sessionAddress, strangerPage, visit } from './harness.mjs'

const people = JSON.parse(process.env.HEADROOM_PEOPLE)

await run(async (browser) => {
  const page = await newPage(browser)
  const session = await busiestSession(page)
  await visit(page, sessionAddress(session))
  const csv = await save(page, 'csv')
  assert.equal(csv.toString().trim().split('\n')[0].split(',')[0], '#')
  const traces = JSON.parse(await save(page, 'otlp-json'))
  assert.ok(traces.resourceSpans[0].scopeSpans[0].spans.length > 5)

  const reference = encodeURIComponent(`${session.database}/${session.session}`)
  const { rows } = await json(page, `/api/perf/call?session=${reference}&limit=1000`)
  const profiled = rows.find((row) => row.details?.includes('profile'))
  await visit(page, `/call${sessionAddress(session).slice('/session'.length)}&call=${profiled['#']}&view=flame`)
  assert.ok(JSON.parse(await save(page, 'speedscope')).profiles.length > 0)
  assert.match((await save(page, 'collapsed')).toString(), /^\S.*;.* \d+$/m)
  assert.ok(gunzipSync(await save(page, 'pprof')).length > 100)
  assert.ok((await save(page, 'pstats')).length > 100)

  const viewer = await strangerPage(browser)
  await viewer.request.post(`${base}/api/session`, { data: { user: 'vic', password: people.vic[1] } })
  await visit(viewer, sessionAddress(session))
  assert.equal(await viewer.locator('a[download]').count(), 0, 'what is refused is not offered')
})

async function save(page, format) {
  const coming = page.waitForEvent('download')
  await page.locator('a[download]', { hasText: new RegExp(`^${format}$`) }).first().click()
  const download = await coming
  assert.match(download.suggestedFilename(), /^[A-Za-z0-9.-][A-Za-z0-9._-]*$/)
  return readFileSync(await download.path())
}
