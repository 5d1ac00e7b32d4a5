// Advice, over all and of a session: what is the matter, what to do, and the calls with it.
import { strict as assert } from 'node:assert'
import { busiestSession, json, newPage, run, sessionAddress, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await visit(page, '/advice')
  const loop = page.getByRole('listitem').filter({ hasText: 'A query in a loop' }).filter({ hasText: 'thing.run' })
  await loop.waitFor()
  assert.match(await loop.innerText(), /saves about[^]*What to do:/)
  await loop.getByText('Evidence').click()
  await loop.getByText('headroom_test/thing.py').first().waitFor()

  const session = await busiestSession(page)
  await visit(page, sessionAddress(session, '&view=advice'))
  const own = page.getByRole('listitem').filter({ hasText: 'A query in a loop' }).filter({ hasText: 'thing.run' })
  await own.getByRole('link').first().click()
  await page.waitForURL('**/call?**')
  await page.getByText(/One statement ran \d+ times/).waitFor()

  const { total } = await json(page, '/api/perf/advice?since=24h&limit=1')
  assert.ok(total > 0)
})
