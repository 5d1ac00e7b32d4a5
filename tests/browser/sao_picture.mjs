// The picture of docs/bus-tryton.md: three tabs of SAO in a window, and the one notification that they show.
import { openWindow, work } from './harness.mjs'
import { until } from './bus_harness.mjs'
import { logIn, shown } from './sao.mjs'

const { address, database, person, screen, profile } = JSON.parse(process.env.HEADROOM_SAO)
const TABS = 3
const SIZE = [1280, 800]

/** In the page: counts the notifications that the browser has shown. */
function count() {
  const { Notification } = window
  window.notifications = 0
  window.Notification = class extends Notification {
    constructor(...given) {
      super(...given)
      this.onshow = () => (window.notifications += 1)
    }
  }
}

/** In the page: what a user of the application looks at. */
function showSales() {
  for (const tab of [...Sao.Tab.tabs]) tab.close()
  Sao.Tab.create({ model: 'sale.sale', mode: ['tree', 'form'] })
}

const counts = (pages) => Promise.all(pages.map((page) => page.evaluate(() => window.notifications)))
const total = async (pages) => (await counts(pages)).reduce((sum, one) => sum + one, 0)

async function takePicture(window) {
  await window.grantPermissions(['notifications'], { origin: address })
  await window.addInitScript(count)
  const pages = window.pages()
  await pages[0].goto(`${address}/#${database}`)
  await logIn(pages[0], person)
  while (pages.length < TABS) {
    const page = await window.newPage()
    await page.goto(`${address}/#${database}`)
    await shown(page)
    pages.push(page)
  }
  const front = pages.at(-1)
  await front.evaluate(showSales)
  await front.locator('text=Sale Date').first().waitFor()
  const user = await pages[0].evaluate(() => Sao.Session.current_session.user_id)
  await work('notify', { title: 'Invoice 2026/0042 was paid', body: 'Said by trytond.bus.notify, shown by one tab of three', user })
  await until(async () => (await total(pages)) === 1, 'one tab shows it')
  await new Promise((resolve) => setTimeout(resolve, 1500)) // until it has slid in
  await work('take')
  console.log(`shown by: ${await counts(pages)}`)
}

const window = await openWindow(profile, screen, [`--window-size=${SIZE}`, '--window-position=0,0'])
try {
  await takePicture(window)
} finally {
  await window.close()
}
process.exit(0)
