// A new user: opens the page, takes the session, then its worst call, and stands on the line of Python that sent the statement.
import { strict as assert } from 'node:assert'
import { base, busiestSession, newPage, run, sessionAddress, settled, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await visit(page, '/')
  const session = await busiestSession(page)
  await page.getByRole('row').filter({ hasText: session.session }).getByRole('link').click()
  await page.waitForURL('**/session?**')
  await settled(page)

  const times = await page.locator('.table-body .row .cell:nth-child(2)').allInnerTexts()
  assert.ok(times.length > 5, 'the calls are listed')
  assert.deepEqual(times.map(inSeconds), times.map(inSeconds).sort((a, b) => b - a), 'the worst call comes first')

  await page.getByRole('searchbox', { name: 'Method' }).fill('thing.run')
  await page.locator('.table-body .row').first().getByText('214').waitFor()
  await page.locator('.table-body .row').first().getByRole('link').click()
  await page.waitForURL('**/call?**')
  await page.getByText('One statement ran 214 times.').waitFor()

  await page.getByRole('row').filter({ hasText: '214×' }).getByRole('link').click()
  const line = page.locator('.backtrace .chosen')
  await line.waitFor()
  assert.match(await line.innerText(), /headroom_test\/thing\.py:\d+\s+Thing\._select\s*sent from here/)
  assert.match(await page.locator('.sql').innerText(), /FROM "headroom_test_thing" AS "a"\nWHERE/)

  const shared = page.url()
  const other = await newPage(browser)
  await other.goto(shared) // a link that was sent to somebody else
  await other.locator('.backtrace .chosen').waitFor()

  await page.goBack()
  await page.goBack()
  await page.waitForURL('**/session?**')
  assert.equal(await page.getByRole('searchbox', { name: 'Method' }).inputValue(), 'thing.run', 'Back finds the filter as it was')
  assert.ok(base)

  for (const [view, part, words] of [['slow', 'slow_statement', 'SELECT slow_statement'], ['repeats', 'thing.run', 'headroom_test_thing thing.run']])
    await filters(page, session, view, part, words)

  // A telephone tells two sessions of one user apart, and cuts nothing.
  await page.setViewportSize({ width: 390, height: 844 })
  await visit(page, '/')
  await page.getByRole('columnheader', { name: 'Last call' }).waitFor()
  const cut = await page.evaluate(() => [...document.querySelectorAll('.cell')].filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent))
  assert.deepEqual(cut, [])
  if (process.env.HEADROOM_PICTURES) await page.screenshot({ path: `${process.env.HEADROOM_PICTURES}/telephone.png` })
})

/** Words may stand in the statement, the table or the method. Only the rows of the method stay, and they lead where they led. */
async function filters(page, session, view, part, words) {
  await visit(page, sessionAddress(session, `&view=${view}`))
  await page.getByRole('searchbox', { name: 'Statement' }).fill(words)
  await page.waitForURL('**filter=**')
  await page.waitForFunction((text) => {
    const rows = [...document.querySelectorAll('.table-body .row')]
    return rows.length > 0 && rows.every((row) => row.querySelector('.method')?.title.includes(text))
  }, part)
  await page.locator('.table-body .row').first().getByRole('link').click()
  await page.getByText(part).first().waitFor()
  await visit(page, sessionAddress(session, `&view=${view}&filter=no_such_method`))
  await page.getByText('No statement matches.').waitFor()
}

function inSeconds(text) {
  const [number, unit] = text.split(' ')
  return Number(number) * { µs: 1e-6, ms: 1e-3, s: 1, min: 60 }[unit]
}
