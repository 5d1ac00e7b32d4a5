// Recording is switched on for a user in one window, and his next call appears in another that looks on.
import { strict as assert } from 'node:assert'
import { base, json, newPage, run, visit, work } from './harness.mjs'

await run(async (browser) => {
  const watcher = await newPage(browser)
  await watcher.goto(base + '/live')
  await watcher.getByRole('status').filter({ hasText: 'live' }).waitFor()

  const page = await newPage(browser)
  await visit(page, '/rules')
  await page.getByLabel('Users').fill('admin')
  await page.getByLabel('Methods').fill('model.headroom_test.*')
  await page.getByRole('button', { name: 'Add rule' }).click()
  const rule = page.getByRole('switch')
  await rule.waitFor()
  assert.equal(await rule.getAttribute('aria-checked'), 'true')

  // Calls of the last minute are shown at once: what counts is a method that ran for the first time.
  await until(async () => {
    await work('sleep', 0.01)
    return await watcher.getByRole('grid', { name: 'Recorded calls' }).getByText('.sleep').count() > 0
  })

  await rule.click()
  await page.locator('[role=switch][aria-checked=false]').waitFor()
  assert.deepEqual((await json(page, '/api/perf/rules')).rules, [], 'the rule is off')
  await page.getByRole('switch').click()
  await page.locator('[role=switch][aria-checked=true]').waitFor()
  assert.equal((await json(page, '/api/perf/rules')).rules.length, 1, 'and on again')
  await page.getByRole('switch').click()
  await page.locator('[role=switch][aria-checked=false]').waitFor()
})

/** A rule is obeyed within two seconds, and a record comes a moment later. */
async function until(condition) {
  for (let turn = 0; turn < 40; turn += 1) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  assert.fail('the call did not appear')
}
