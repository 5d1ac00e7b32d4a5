// A service without [bus]: the page says what it is and how to turn it on.
import { run } from './harness.mjs'
import { lookAtAll } from './look_at.mjs'

await run((browser) => lookAtAll(browser, async (page) => {
  await page.goto(process.env.HEADROOM_URL + '/bus')
  await page.getByText('The bus is not turned on.').waitFor()
  return [['bus-off', '/bus']]
}, ['404']))
