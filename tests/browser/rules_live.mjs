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
  await page.getByLabel('For').selectOption('10 minutes')
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

  // What was switched off is there after another page and after a reload, and comes back as it was.
  await page.getByRole('link', { name: 'Live', exact: true }).click()
  await page.getByRole('heading', { name: 'Live' }).waitFor()
  await page.getByRole('link', { name: 'Rules', exact: true }).click()
  await page.locator('[role=switch][aria-checked=false]').waitFor()
  await page.reload()
  await page.locator('[role=switch][aria-checked=false]').waitFor()
  await page.getByText('off; held for 10 minutes').waitFor()
  await page.getByRole('switch').click()
  await page.locator('[role=switch][aria-checked=true]').waitFor()
  const { rules } = await json(page, '/api/perf/rules')
  assert.deepEqual(rules.map((one) => [one.users, one.methods, one.expires_us - one.created_us]), [[['admin'], ['model.headroom_test.*'], 600e6]],
    'and on again, for as long as before')
  await page.getByRole('switch').click()
  await page.locator('[role=switch][aria-checked=false]').waitFor()

  await page.route('**/api/perf/rules', async (route) => {
    const answer = await (await route.fetch()).json()
    await route.fulfill({ json: { ...answer, of_files: [{ rule: { ...rules[0], id: '', expires_us: undefined }, processes: 3, hosts: ['app1', 'app2'] }] } })
  })
  await page.evaluate(() => localStorage.clear())
  await visit(page, '/rules')
  await page.getByText('Only what trytond.conf says is recorded now.').waitFor()
  await page.getByText('3 processes on app1, app2').waitFor()
  await page.unrouteAll()
})

/** A rule is obeyed within two seconds, and a record comes a moment later. */
async function until(condition) {
  for (let turn = 0; turn < 40; turn += 1) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  assert.fail('the call did not appear')
}
