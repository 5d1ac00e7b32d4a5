// Watches the live page for $SECONDS: prints {"messages", "shown", "busy"}: messages that came, the calls a second that the page
// shows at the end, and the milliseconds in which tasks of more than 50 ms kept it from answering.
import { launch } from '../../tests/browser/harness.mjs'

const seconds = Number(process.env.SECONDS)
const browser = await launch()
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  let messages = 0
  page.on('websocket', (socket) => socket.on('framereceived', () => { messages += 1 }))
  await page.addInitScript(() => {
    window.busy = 0
    new PerformanceObserver((list) => { for (const task of list.getEntries()) window.busy += task.duration }).observe({ entryTypes: ['longtask'] })
  })
  await page.goto(`${process.env.HEADROOM_URL}/live`)
  await page.getByText('model.bench.method', { exact: false }).first().waitFor()
  const before = { messages, busy: await page.evaluate(() => window.busy) }
  await page.waitForTimeout(seconds * 1000)
  const busy = await page.evaluate(() => window.busy)
  process.stdout.write(JSON.stringify({ messages: messages - before.messages, busy: busy - before.busy, shown: await page.locator('main').innerText() }))
} finally {
  await browser.close()
}
