// The same work before and after a change: 40 statements a call became 214.
import { strict as assert } from 'node:assert'
import { json, newPage, run, settled, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  const { rows } = await json(page, '/api/perf/session?sort=first')
  const [before, after] = rows.filter((row) => row.session.length === 16).map((row) => `${row.database}/${row.session}`)
  await visit(page, '/compare')
  await page.getByLabel('Before').fill(before)
  await page.getByLabel('After').fill(after)
  await page.getByRole('button', { name: 'Compare' }).click()
  await page.getByRole('grid', { name: 'Changes' }).waitFor()
  await page.getByLabel('Measure').selectOption('count')
  await settled(page)
  const row = page.getByRole('row').filter({ hasText: 'model.headroom_test.thing.run' })
  await row.getByText('worse').waitFor()
  assert.match(await row.innerText(), /\+\d+ %/)
  await page.getByRole('button', { name: 'Swap' }).click()
  await page.getByLabel('Measure').selectOption('count')
  await page.getByRole('row').filter({ hasText: 'model.headroom_test.thing.run' }).getByText('better').waitFor()
})
