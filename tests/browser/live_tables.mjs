// The tables of the live view: sorted by a click on a heading, narrowed by the filter, each in the address; and where one reads in
// them, the next picture of the server does not jump away from.
import { strict as assert } from 'node:assert'
import { base, newPage, run, sessionAddress, settled, busiestSession, visit, work } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await work('record')
  await work('log_in')
  for (const number of [3, 30, 300]) await work('run', number, 6)
  await work('echo', 'x')
  await recorded(page)
  await running(page)
  await timeline(page)
  await work('end_record')
})

async function recorded(page) {
  await page.goto(base + '/live')
  const table = page.getByRole('grid', { name: 'Recorded calls' })
  await table.locator('.table-body .row').nth(10).waitFor()
  await table.getByRole('button', { name: 'Statements' }).click()
  await page.waitForURL('**calls=-statements**')
  await rowsAre(table, 5, (a, b) => b - a)
  await table.getByRole('button', { name: 'Statements' }).click()
  await rowsAre(table, 5, (a, b) => a - b)

  await table.evaluate((box) => { box.scrollTop = 56 })
  const note = page.getByText('last news at')
  const before = await note.innerText()
  await page.waitForFunction((text) => ![...document.querySelectorAll('.note')].some((one) => one.textContent === text), before)
  assert.equal(await table.evaluate((box) => box.scrollTop), 56, 'the place stays')

  const filter = page.getByRole('searchbox', { name: 'Calls' })
  await filter.fill('thing.echo admin')
  await page.waitForURL('**filter=**')
  await page.waitForFunction(() => {
    const methods = [...document.querySelectorAll('[aria-label="Recorded calls"] .method')]
    return methods.length > 0 && methods.every((one) => one.title.endsWith('.echo'))
  })
  await filter.fill('no_such_thing')
  await page.getByText('No recorded call matches.').waitFor()
  await filter.fill('')
}

/** Two calls at once, the older one above, or below. */
async function running(page) {
  await work('rest', 6)
  await new Promise((resolve) => setTimeout(resolve, 1200))
  await work('rest', 6)
  const table = page.getByRole('grid', { name: 'Running calls' })
  await table.locator('.table-body .row').nth(1).waitFor()
  await rowsAre(table, 2, (a, b) => b - a)
  await table.getByRole('button', { name: 'Runs for' }).click()
  await page.waitForURL('**running=seconds**')
  await rowsAre(table, 2, (a, b) => a - b)
  await page.getByRole('searchbox', { name: 'Calls' }).fill('no_such_thing')
  await page.getByText('No running call matches.').waitFor()
  await page.getByRole('searchbox', { name: 'Calls' }).fill('thing.sleep')
  await table.locator('.table-body .row').nth(1).waitFor()
  await work('end_rest')
}

async function timeline(page) {
  const session = await busiestSession(page)
  await visit(page, sessionAddress(session, '&view=timeline'))
  const table = page.getByRole('grid', { name: 'Timeline' })
  await table.getByRole('button', { name: 'Time', exact: true }).click()
  await page.waitForURL('**sort=-tm**')
  await settled(page)
  await rowsAre(table, 3, (a, b) => b - a)
  await page.getByRole('searchbox', { name: 'Method' }).fill('thing.run')
  await page.waitForFunction(() => {
    const methods = [...document.querySelectorAll('[aria-label="Timeline"] .method')]
    return methods.length > 0 && methods.every((one) => one.title.includes('thing.run'))
  })
}

/** Waits until the figures of a column stand in the order; they are not all the same. */
async function rowsAre(table, column, compare) {
  for (let turn = 0; turn < 40; turn += 1) {
    const texts = await table.locator(`.table-body .row .cell:nth-child(${column})`).allInnerTexts()
    const figures = texts.map(inUnits)
    const ordered = [...figures].sort(compare)
    if (new Set(figures).size > 1 && figures.every((figure, n) => figure === ordered[n])) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  assert.fail(`column ${column} is not in order: ${await table.locator(`.table-body .row .cell:nth-child(${column})`).allInnerTexts()}`)
}

function inUnits(text) {
  const [number, unit] = text.split(' ')
  return Number(number.replace(/[^0-9.]/g, '')) * ({ µs: 1e-6, ms: 1e-3, s: 1, min: 60 }[unit] ?? 1)
}
