// Without a pointer: from the list to a statement, with the help, the filter and the theme.
import { strict as assert } from 'node:assert'
import { base, newPage, run, settled } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await page.goto(base + '/')
  await page.waitForSelector('.table-body .row')
  await page.keyboard.press('Tab')
  assert.equal(await focused(page), 'Skip to the content')
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main')

  await page.keyboard.press('?')
  await page.getByRole('dialog').getByText('next row').waitFor()
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => document.querySelector('dialog') === null)

  const look = () => page.evaluate(() => document.documentElement.dataset.theme)
  const before = await look()
  await page.keyboard.press('t')
  assert.notEqual(await look(), before)

  await page.keyboard.press('j')
  await page.keyboard.press('j')
  await page.keyboard.press('k')
  assert.equal(await page.locator('.row.active').getAttribute('aria-rowindex'), '2')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/session?**')
  await settled(page)

  await page.keyboard.press('/')
  await page.keyboard.type('thing.run')
  await page.waitForFunction(() => {
    const methods = [...document.querySelectorAll('.table-body .cell:first-child')]
    return methods.length > 0 && methods.every((cell) => cell.textContent.includes('thing.run'))
  })
  await page.keyboard.press('Tab')
  while (await page.evaluate(() => document.activeElement.getAttribute('role')) !== 'grid') await page.keyboard.press('Tab')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/call?**')
  await settled(page)
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.locator('.backtrace, .sql').first().waitFor()
})

function focused(page) {
  return page.evaluate(() => document.activeElement.textContent)
}
