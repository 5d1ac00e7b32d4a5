// SAO in Chromium, over HTTP/2: its user logs in, waits on the bus and is shown what comes. Reports to the test by lines on stdout
// ("waiting", then each title that was shown); ends when its input does.
//
// Usage: node sao_bus.mjs ADDRESS DATABASE USER PASSWORD
import { strict as assert } from 'node:assert'
import { launch } from '../browser/harness.mjs'

const [address, database, user, password] = process.argv.slice(2)
const browser = await launch()
process.stdin.on('end', async () => { await browser.close(); process.exit(0) }).resume()

const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-US' })
const page = await context.newPage()
page.setDefaultTimeout(60_000)
const polls = []
page.on('request', (request) => { if (new URL(request.url()).pathname === `/${database}/bus`) polls.push(request) })
page.on('console', (message) => { if (message.text().includes('Bus not supported')) console.log('no bus') })
// Chromium without a window shows no notification: what SAO asks it to show is told here.
await page.exposeFunction('shown', (title, body) => console.log(`shown ${JSON.stringify([title, body])}`))
await page.addInitScript(() => {
  window.Notification = class { static permission = 'granted'; constructor(title, { body }) { window.shown(title, body) } }
})
await page.goto(`${address}/#${database}`)
await page.locator('#login').fill(user)
await page.locator('.modal:visible button[type=submit]').click()
await page.locator('input[type=password]').fill(password)
await page.keyboard.press('Enter')
await page.waitForFunction(() => window.Sao?.Session.current_session?.session)
while (polls.length === 0) await new Promise((resolve) => setTimeout(resolve, 100))
assert.match(polls[0].headers().authorization, /^Session /)
assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'h2')
console.log('waiting')
