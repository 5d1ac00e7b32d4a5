// The flame graph of a call is walked and zoomed with keys and with the pointer, and searched; the address holds the search.
import { strict as assert } from 'node:assert'
import { busiestSession, json, newPage, run, sessionAddress, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await visit(page, await flameAddress(page))
  const facts = page.locator('.flame-facts strong')
  const out = page.getByRole('button', { name: 'Whole call' })
  assert.equal(await facts.innerText(), 'The whole call')

  await page.getByRole('application').focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  const second = await facts.innerText()
  assert.notEqual(second, 'The whole call')
  await page.keyboard.press('Enter')
  await out.waitFor()
  const guest = await newPage(browser)
  await guest.goto(page.url()) // a link to the zoomed frame
  await guest.getByRole('button', { name: 'Whole call' }).waitFor()
  assert.equal(await guest.locator('.flame-facts strong').innerText(), second)
  await page.keyboard.press('ArrowUp')
  assert.notEqual(await facts.innerText(), second)
  await page.keyboard.press('Escape') // to its caller
  await page.keyboard.press('Escape')
  await out.waitFor({ state: 'detached' })

  const box = await page.locator('.flame canvas').boundingBox()
  await page.mouse.move(box.x + box.width / 4, box.y + 45)
  const under = await facts.innerText()
  assert.notEqual(under, 'The whole call', 'the pointer tells what it is over')
  await page.mouse.click(box.x + box.width / 4, box.y + 45)
  await out.click()
  await out.waitFor({ state: 'detached' })

  await page.keyboard.press('/')
  await page.keyboard.type('sale.sale')
  const found = page.getByText(/of the time is in matches/)
  await found.waitFor()
  await page.waitForURL('**search=sale.sale**')
  const other = await newPage(browser)
  await other.goto(page.url()) // a link that was sent to somebody else
  await other.getByText(await found.innerText()).waitFor()
})

async function flameAddress(page) {
  const session = await busiestSession(page)
  const reference = encodeURIComponent(`${session.database}/${session.session}`)
  const { rows } = await json(page, `/api/perf/call?session=${reference}&sort=-tm&limit=1000`)
  const profiled = rows.find((row) => row.details?.includes('profile'))
  return `/call${sessionAddress(session).slice('/session'.length)}&call=${profiled['#']}&view=flame`
}
