// A service without [worklist]: the page says what it is and how to turn it on.
import { run } from './harness.mjs'
import { lookAtAll } from './look_at.mjs'

await run((browser) => lookAtAll(browser, async (page) => {
  await page.goto(process.env.HEADROOM_URL + '/worklists')
  await page.getByText('Work lists are not turned on.').waitFor()
  return [['worklists-off', '/worklists']]
}, ['404']))
