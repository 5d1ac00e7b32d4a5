// Names of channels and users, and messages, that would be markup, that control a terminal, or that are a megabyte long, are text.
import { strict as assert } from 'node:assert'
import { newPage, run, settled, visit } from './harness.mjs'
import { Client } from './bus_page_client.mjs'

const MARKUP = '<img src=x onerror=document.title=1><script>document.title=2</script>'
const CONTROL = '\u001b[31m\u202egnp.exe\u0000'
const CHANNEL = `room:${MARKUP}\u202e`
const LONG = `room:${'é'.repeat(125)}`

await run(async (browser) => {
  const page = await newPage(browser)
  const eve = await Client.connect(`${MARKUP.slice(0, 50)}\u202e`, CHANNEL, LONG)
  await visit(page, '/bus')
  const row = page.getByRole('row').filter({ hasText: 'onerror' })
  await row.waitFor()
  assert.ok((await row.innerText()).includes('\\u202e'), 'what turns the direction of text is written out')
  await nothingRan(page)
  await visit(page, '/bus?view=people')
  await page.getByRole('row').filter({ hasText: 'onerror' }).waitFor()
  await nothingRan(page)

  await visit(page, '/bus')
  await row.getByRole('link').click()
  await page.waitForURL('**/bus?view=messages**')
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
  await eve.publish(CHANNEL, { text: MARKUP + CONTROL, deep: JSON.parse('['.repeat(30) + ']'.repeat(30)) })
  await eve.ask({ publish: { channel: CHANNEL, data: 'a'.repeat(30_000) } })
  await page.getByRole('row').filter({ hasText: 'aaaa' }).waitFor()
  const message = page.getByRole('row').filter({ hasText: 'gnp.exe' })
  assert.ok(!/[\u0000\u001b\u202e]/.test(await message.innerText()), 'no control character reaches the page')
  await message.getByRole('link').click()
  await page.locator('.body').waitFor()
  assert.ok((await page.locator('.body').innerText()).includes('<script>'))
  await nothingRan(page)

  await megabyte(page)
  await visit(page, '/bus?view=publish&channel=' + encodeURIComponent(CHANNEL))
  await page.getByLabel('Data', { exact: true }).fill(JSON.stringify(MARKUP))
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByText(/Published: message 4 of/).waitFor()
  await nothingRan(page)
  eve.close()
})

/** Through the form, which takes as much as the rule of the channel does. */
async function megabyte(page) {
  await visit(page, '/bus?view=publish&channel=' + encodeURIComponent(CHANNEL))
  await page.getByLabel('Data', { exact: true }).fill(JSON.stringify(`${MARKUP}${'x'.repeat(1_000_000)}`))
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByText(/Published: message 3 of/).waitFor()
  await page.getByRole('link', { name: 'Its messages' }).click()
  const row = page.getByRole('row').filter({ hasText: '1.00 MB' })
  await row.waitFor()
  assert.ok((await row.innerText()).length < 1000)
  await row.getByRole('link').click()
  await page.getByRole('button', { name: 'Show all of it' }).click()
  await page.waitForFunction(() => document.querySelector('.body').textContent.length > 1_000_000)
  await settled(page)
  await nothingRan(page)
}

async function nothingRan(page) {
  assert.equal(await page.locator('main img, main script, main iframe').count(), 0)
  assert.match(await page.title(), /Headroom$/, 'no script of theirs ran')
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= window, `${wide} pixels wide in a window of ${window}`)
}
