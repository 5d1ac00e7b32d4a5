// Nothing there, nothing found, nobody answers: each says what to do next, and goes on when it can.
import { strict as assert } from 'node:assert'
import { busiestSession, newPage, run, sessionAddress, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  page.expected.push('400', '404', 'ERR_FAILED')
  await askedOnce(page)
  await emptyStore(page)
  await unknownSession(page)
  await wrongAddress(page)
  await silentDaemon(page)
})

/** What comes ahead of the script is what the script asks for: an address that differs would be asked for twice. */
async function askedOnce(page) {
  const asked = []
  const note = (request) => asked.push(new URL(request.url()).pathname)
  page.on('request', note)
  await visit(page, '/')
  page.off('request', note)
  assert.deepEqual(asked.filter((path) => path.startsWith('/api/')).sort(), ['/api/perf/session', '/api/session'])
}

async function emptyStore(page) {
  await page.route('**/api/perf/session?**', (route) => route.fulfill({ json: { columns: [], rows: [], total: 0, offset: 0, limit: 200 } }))
  await visit(page, '/')
  await page.getByText('No session was recorded yet.').waitFor()
  await page.unroute('**/api/perf/session?**')
  await page.getByRole('link', { name: 'Add a rule' }).click()
  await page.getByRole('button', { name: 'Add rule' }).waitFor()
}

async function unknownSession(page) {
  await visit(page, '/session?db=nowhere&session=0123456789abcdef')
  const failure = page.getByRole('alert').first()
  await failure.waitFor()
  assert.match(await failure.innerText(), /store keeps calls for a limited time/)
  await failure.getByRole('link', { name: 'All sessions' }).click()
  await page.getByRole('grid', { name: 'Sessions' }).waitFor()
}

/** What goes on from there is a link, not a command. */
async function wrongAddress(page) {
  const session = await busiestSession(page)
  const more = sessionAddress(session).slice('/session'.length)
  for (const [path, up] of [[`/call${more}&call=abc`, /^Session /], [`/call${more}&call=99999`, /^Session /], [`/query${more}&rank=0`, /^Slow statements/]]) {
    await visit(page, path)
    const failure = page.getByRole('alert').first()
    await failure.getByRole('link', { name: up }).waitFor()
    assert.doesNotMatch(await failure.innerText(), /headroom|Try again/, path)
  }
  await page.getByRole('alert').first().getByRole('link', { name: /^Slow statements/ }).click()
  await page.getByRole('grid', { name: 'Slow statements' }).waitFor()
}

async function silentDaemon(page) {
  const session = await busiestSession(page)
  await page.route('**/api/perf/overview?**', (route) => route.abort())
  await page.route('**/api/perf/overview', (route) => route.abort())
  await visit(page, '/overview')
  const failure = page.getByRole('alert').first()
  await failure.getByText('headroom serve does not answer; is it running?').waitFor()
  await page.unrouteAll()
  await failure.getByRole('button', { name: 'Try again' }).click()
  await page.getByRole('grid').first().waitFor()
  await visit(page, sessionAddress(session))
}
