// A slow statement's plan: drawn, measured, and refused in words.
import { strict as assert } from 'node:assert'
import { busiestSession, json, newPage, run, sessionAddress, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  const session = await busiestSession(page)
  const reference = encodeURIComponent(`${session.database}/${session.session}`)
  const { rows } = await json(page, `/api/perf/query?session=${reference}&limit=1000`)
  const rankOf = (start) => {
    const place = rows.findIndex((row) => row.sql.startsWith(start) && row.sql.includes('headroom_test_thing'))
    assert.ok(place >= 0, `a statement that begins with ${start}`)
    return place + 1
  }
  const open = (rank) => visit(page, `/query${sessionAddress(session).slice('/session'.length)}&rank=${rank}`)

  await open(rankOf('SELECT'))
  await page.getByRole('button', { name: 'Show the plan' }).click()
  const steps = page.getByRole('list', { name: 'Steps, the last one first' })
  await steps.getByText('headroom_test_thing').first().waitFor()
  assert.match(await steps.getByRole('listitem').first().innerText(), /cost/)
  await page.getByText('nothing was run').waitFor()
  const other = await newPage(browser)
  await other.goto(page.url()) // a link that was sent to somebody else
  await other.getByText('nothing was run').waitFor()
  await page.getByRole('button', { name: 'Run and measure' }).click()
  await page.getByText(/It ran .*; planning took/).waitFor()
  assert.match(await steps.getByRole('listitem').first().innerText(), /1 row/)

  await open(rankOf('UPDATE'))
  await page.getByRole('button', { name: 'Show the plan' }).click()
  await steps.getByText('ModifyTable').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Run and measure' }).count(), 0, 'what would always be refused is not offered')
})
