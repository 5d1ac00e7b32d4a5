// A list of a hundred thousand calls: the document stays small, and any place in it is a moment away.
import { strict as assert } from 'node:assert'
import { busiestSession, newPage, run, sessionAddress, visit } from './harness.mjs'

const TOTAL = 100_000

await run(async (browser) => {
  const page = await newPage(browser)
  const session = await busiestSession(page)
  const asked = []
  await page.route('**/api/perf/call?**', (route) => {
    const query = new URL(route.request().url()).searchParams
    const offset = Number(query.get('offset') ?? 0)
    asked.push(offset)
    const rows = Array.from({ length: Math.min(Number(query.get('limit')), TOTAL - offset) }, (_, n) => call(offset + n + 1))
    return route.fulfill({ json: { report: 'call', columns: [], rows, total: TOTAL, offset, limit: rows.length } })
  })
  await visit(page, sessionAddress(session))
  const table = page.getByRole('grid', { name: 'Calls' })
  assert.equal(await table.getAttribute('aria-rowcount'), String(TOTAL + 1))
  await table.evaluate((box) => { box.scrollTop = box.scrollHeight / 2 })
  await page.getByText('model.made.number.50001', { exact: false }).first().waitFor()
  await table.press('End')
  await page.locator('.row.active').getByText('.number.100000').waitFor()
  assert.ok(await page.locator('.table-body .row').count() < 100, 'only rows in view are in the document')
  assert.ok(asked.length < 12, `asked for ${asked.length} pages of 500`)
})

function call(number) {
  return { '#': number, method: `model.made.number.${number}`, dt: '2026-11-21T09:00:00Z', tm: 1 / number, db_nb: 1, db_tm: 0, req_size: 1, res_size: 1,
    status: 'ok', error: null, cpu: null, wait: 0, commit: 0, rows: 0, repeated: 1, attempts: 1, kind: 'rpc', details: null, user: 'admin', http_status: 200 }
}
