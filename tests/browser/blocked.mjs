// A call waits for a row that a person in psql holds: Live says so while it lasts.
import { strict as assert } from 'node:assert'
import { base, newPage, run, work } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await work('hold_row')
  await work('wait_for_row')
  await page.goto(base + '/live')
  const running = page.getByRole('grid', { name: 'Running calls' })
  const blocked = running.getByRole('row').filter({ hasText: 'idle in transaction' })
  await blocked.waitFor()
  assert.match(await blocked.innerText(), /change[^]*psql <b>&"/)
  const tree = page.getByRole('grid', { name: 'Who waits for whom' })
  const lines = await tree.locator('.table-body .row').allInnerTexts()
  assert.equal(lines.length, 2)
  assert.match(lines[0], /^psql <b>&"[^]*holds/)
  assert.match(lines[1], /thing\.change of admin/)
  assert.ok(lines.every((line) => !line.includes('held')), 'no values')
  assert.equal(await tree.locator('b').count(), 0, 'a name is text')

  await page.getByRole('button', { name: 'Hold' }).click() // each picture that comes makes new rows
  await running.focus()
  await page.keyboard.press('j')
  await running.locator('.row.active').waitFor() // and not the last table of the page, as without a focus
  assert.equal(await page.locator('.row.active').count(), 1)
  await page.getByRole('button', { name: 'Go on' }).click()

  await work('let_row_go')
  await tree.waitFor({ state: 'detached' })
  await running.waitFor({ state: 'detached' })
})
