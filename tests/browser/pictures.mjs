// The pictures of the README and the guide, light and dark: a call with a query in a loop, and a flame graph.
import { strict as assert } from 'node:assert'
import { busiestSession, json, newPage, run, sessionAddress, visit } from './harness.mjs'

await run(async (browser) => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await newPage(browser, { colorScheme })
    for (const [name, path] of await addresses(page)) {
      await visit(page, path)
      await page.screenshot({ path: `${process.env.HEADROOM_PICTURES}/${name}-${colorScheme}.png` })
    }
    await page.context().close()
  }
})

async function addresses(page) {
  const session = await busiestSession(page)
  const reference = encodeURIComponent(`${session.database}/${session.session}`)
  const { rows } = await json(page, `/api/perf/call?session=${reference}&limit=1000`)
  const number = (method) => rows.find((row) => row.method === method)?.['#'] ?? assert.fail(`${method} was not recorded`)
  const call = (method, view) => `/call${sessionAddress(session).slice('/session'.length)}&call=${number(method)}${view}`
  return [['call', call('model.sale.sale.fields_view_get', '')], ['flame', call('model.sale.sale.confirm', '&view=flame')]]
}
