// Advice, over all and of a session: what is the matter, what to do, and the calls with it.
import { strict as assert } from 'node:assert'
import { busiestSession, json, newPage, run, sessionAddress, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await visit(page, '/advice')
  const again = page.getByRole('listitem').filter({ hasText: 'Rows that were read before' }).filter({ hasText: 'thing.run' })
  await again.waitFor()
  assert.match(await again.innerText(), /saves about[^]*What to do:/)
  await again.getByText('Evidence').click()
  await again.getByText('headroom_test/thing.py').first().waitFor()

  const session = await busiestSession(page)
  await visit(page, sessionAddress(session, '&view=advice'))
  const own = page.getByRole('listitem').filter({ hasText: 'Rows that were read before' }).filter({ hasText: 'thing.run' })
  await own.getByRole('link').first().click()
  await page.waitForURL('**/call?**')
  await page.getByText(/One statement ran \d+ times/).waitFor()

  const { total } = await json(page, '/api/perf/advice?since=24h&limit=1')
  assert.ok(total > 0)
})
