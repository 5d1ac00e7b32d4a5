// Debian's SAO over a real trytond: a user opens "My Work" from his menu, finds his tabs with their numbers, and opens the documents of one.
import { strict as assert } from 'node:assert'
import { launch } from './harness.mjs'
import { logIn } from './sao.mjs'

const { address, database, person, waiting } = JSON.parse(process.env.HEADROOM_SAO)
const LOADED = 60_000
const AT_ONCE = 20 // rows that SAO shows

const browser = await launch()
const page = await (await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 } })).newPage()
page.setDefaultTimeout(LOADED)
const wrongs = []
page.on('pageerror', (error) => wrongs.push(error.message))

const picture = (name) => process.env.HEADROOM_PICTURES ? page.screenshot({ path: `${process.env.HEADROOM_PICTURES}/${name}.png` }) : undefined
const rows = () => page.locator('.tab-pane.active tbody tr:not(.more-row):visible')

/** Until as many rows are there as are expected; the texts of their cells. */
async function told(number) {
  await page.waitForFunction((number) => [...document.querySelectorAll('.tab-pane.active tbody tr:not(.more-row)')]
    .filter((row) => row.offsetParent !== null && row.textContent.trim() !== '').length === number, number, { polling: 200 })
  return Promise.all((await rows().all()).map(async (row) => (await row.locator('td .cell').allInnerTexts()).map((text) => text.trim()).filter(Boolean)))
}

async function myWorkIsShown() {
  await page.locator('#menu').getByText('My Work', { exact: true }).click()
  await page.waitForFunction((first) => document.querySelector('.tab-pane.active tbody tr')?.textContent.includes(first), waiting[0][1], { polling: 200 })
  await picture('my-work')
  await page.setViewportSize({ width: 1280, height: 2600 }) // SAO adds rows as their place comes into view
  const shown = await told(waiting.length)
  assert.deepEqual(shown.map((cells) => cells.slice(0, 3)), waiting.map(([action, name, number]) => [action, name, number.toLocaleString('en-US')]))
}

/** A double click, as on any row of SAO; the tab that was chosen is in front, with as many documents as were counted. */
async function oneIsOpened() {
  const chosen = waiting.findIndex(([, name, number]) => name === 'Exception' && number < AT_ONCE)
  assert.ok(chosen >= 0, 'there is one whose documents SAO shows at once')
  const [action, name, number] = waiting[chosen]
  await rows().nth(chosen).locator('td .cell').first().dblclick()
  await page.waitForFunction((action) => Sao.Tab.tabs.at(-1)?.name?.includes(action), action, { polling: 200 })
  const tab = page.locator('.tab-pane.active .nav-tabs li.active')
  await tab.getByText(name).first().waitFor()
  await page.waitForFunction((number) => document.querySelector('.tab-pane.active .nav-tabs li.active .badge')?.textContent === String(number), number, { polling: 200 })
  await told(number)
}

try {
  await page.goto(`${address}/#${database}`)
  await logIn(page, person)
  await myWorkIsShown()
  await oneIsOpened()
  assert.deepEqual(wrongs, [])
} catch (error) {
  console.error(error, wrongs)
  await picture('failed-my-work')
  process.exitCode = 1
} finally {
  await browser.close()
}
process.exit()
