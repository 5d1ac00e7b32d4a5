// Names and bodies that would be markup, that control a terminal, or that are a megabyte long, are text and nothing else.
import { strict as assert } from 'node:assert'
import { busiestSession, json, newPage, run, sessionAddress, settled, visit, work } from './harness.mjs'

const MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
const CONTROL = '\u001b[31m\u202egnp.exe\u0000'

await run(async (browser) => {
  const page = await newPage(browser)
  await work('record', '--io', 'model.*', '--db', 'model.*')
  await work('log_in')
  await work('echo_until_recorded', MARKUP + CONTROL + 'x'.repeat(1_000_000))
  await work('rename_method', 'model.headroom_test.thing.echo', MARKUP + '\u202e')
  await work('end_record')

  const session = await sessionWith(page, 'onerror')
  await visit(page, sessionAddress(session))
  const row = page.getByRole('row').filter({ hasText: 'onerror' }).first()
  assert.ok((await row.innerText()).includes('<img src=x'), 'the name is shown as it is')
  assert.ok((await row.innerText()).includes('\\u202e'), 'what turns the direction of text is written out')
  await row.getByRole('link').click()
  await page.waitForURL('**/call?**')
  await settled(page)
  assert.ok((await page.locator('h1').innerText()).includes('<script>'))
  await page.getByRole('link', { name: 'Bodies' }).click()
  const body = page.locator('.body').first()
  await body.waitFor()
  const text = await body.innerText()
  assert.ok(text.includes('<script>'))
  assert.ok(!/[\u0000\u001b\u202e]/.test(text), 'no control character reaches the page')
  await page.getByRole('button', { name: 'Show all of it' }).first().click()
  await page.waitForFunction(() => document.querySelector('.body').textContent.length > 900_000)
  await page.getByRole('link', { name: 'In order' }).click()
  await settled(page)
  assert.equal(await page.locator('main img, main script, main iframe').count(), 0)
  assert.match(await page.title(), /Headroom$/, 'no script of theirs ran')
  await busiestSession(page)
})

async function sessionWith(page, part) {
  const { rows } = await json(page, '/api/perf/session?sort=-last')
  for (const row of rows) {
    const calls = (await json(page, `/api/perf/call?session=${encodeURIComponent(`${row.database}/${row.session}`)}&limit=1000`)).rows
    if (calls.some((call) => call.method.includes(part))) return row
  }
  return assert.fail('the call was not recorded')
}
