// A call hangs and holds the interpreter: its stack is shown on Live, for an administrator and not for a viewer.
import { strict as assert } from 'node:assert'
import { base, newPage, run, strangerPage, work } from './harness.mjs'

const people = JSON.parse(process.env.HEADROOM_PEOPLE)

await run(async (browser) => {
  const page = await newPage(browser)
  await work('hang', 25)
  await page.goto(base + '/live')
  const running = page.getByRole('grid', { name: 'Running calls' })
  await running.getByText('.hold_gil').first().waitFor()
  await running.getByRole('button', { name: /^Stack of .*hold_gil/ }).click()
  const stack = page.getByRole('region', { name: 'Stack', exact: true })
  const frames = stack.getByRole('list', { name: 'Backtrace, innermost first' })
  await frames.waitFor()
  const first = await frames.getByRole('listitem').first().innerText()
  assert.match(first, /thing\.py:\d+ .*headroom_test\.thing:hold_gil/)
  assert.match(first, /is here/)
  assert.match(await stack.getByRole('heading').innerText(), /hold_gil after/)

  const viewer = await strangerPage(browser)
  const signedIn = await viewer.request.post(`${base}/api/session`, { data: { user: 'vic', password: people.vic[1] } })
  assert.equal(signedIn.status(), 200)
  await viewer.goto(base + '/live')
  await viewer.getByRole('grid', { name: 'Running calls' }).getByText('.hold_gil').first().waitFor()
  assert.equal(await viewer.getByRole('button', { name: /^Stack of/ }).count(), 0, 'a viewer gets no button')
  assert.equal((await viewer.request.get(`${base}/api/perf/stack`)).status(), 403, 'and no answer')

  await work('end_hang')
  await running.getByText('.hold_gil').first().waitFor({ state: 'detached' })
  page.expected.push('404')
  await stack.getByRole('button', { name: 'Look again' }).click()
  await stack.getByRole('alert').waitFor()
  await stack.getByRole('button', { name: 'Close the stack' }).click()
  await stack.waitFor({ state: 'detached' })
})
