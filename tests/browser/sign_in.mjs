// Signing in: refused with the wrong token, let in with the right one; a viewer changes nothing and sees no bodies.
import { strict as assert } from 'node:assert'
import { base, busiestSession, json, run, sessionAddress, strangerPage, token, visit } from './harness.mjs'

const people = JSON.parse(process.env.HEADROOM_PEOPLE)

await run(async (browser) => {
  await tokenWorks(await strangerPage(browser))
  await viewerOnlyLooks(await strangerPage(browser))
  await administratorChanges(await strangerPage(browser))
})

async function tokenWorks(page) {
  page.expected.push('401')
  await visit(page, '/rules')
  assert.equal(await page.locator('h1').innerText(), 'Sign in', 'a stranger sees nothing else')
  assert.equal((await page.request.get(`${base}/api/perf/session`)).status(), 401)
  await page.getByLabel('the access token').check()
  await page.getByLabel('Token', { exact: true }).fill('a wrong token of the right length')
  await submit(page)
  await page.locator('.problem').filter({ hasText: /\w/ }).waitFor()
  await page.getByLabel('Token', { exact: true }).fill(token)
  await submit(page)
  await page.getByRole('button', { name: 'Add rule' }).waitFor()

  const [cookie, ...others] = await page.context().cookies()
  assert.deepEqual(others, [])
  assert.equal(cookie.httpOnly, true, 'scripts can’t read the cookie')
  assert.equal(cookie.sameSite, 'Strict', 'pages of other sites can’t send it')
  const without = await page.request.post(`${base}/api/perf/rules`, { data: { users: ['admin'] } })
  assert.equal(without.status(), 403, 'the cookie alone changes nothing')

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  assert.equal((await json(page, '/api/session')).signed_in, false)
}

function submit(page) {
  return page.locator('form').getByRole('button', { name: 'Sign in' }).click()
}

async function signInAs(page, name) {
  await visit(page, '/rules')
  await page.getByLabel('user and password').check()
  await page.getByLabel('User', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill(people[name][1])
  await submit(page)
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
}

async function viewerOnlyLooks(page) {
  page.expected.push('403')
  await signInAs(page, 'vic')
  await page.getByText('Only an administrator').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Add rule' }).count(), 0)
  const { csrf, role } = await json(page, '/api/session')
  assert.equal(role, 'viewer')
  const refused = await page.request.post(`${base}/api/perf/rules`, { data: { users: ['admin'] }, headers: { 'X-Headroom-CSRF': csrf } })
  assert.equal(refused.status(), 403, 'the daemon refuses as well')

  const session = await busiestSession(page)
  const { rows } = await json(page, `/api/perf/call?session=${session.database}/${session.session}&sort=-tm`)
  const call = rows.find((row) => row.details?.includes('io'))
  await visit(page, `/call${sessionAddress(session).slice('/session'.length)}&call=${call['#']}&view=bodies`)
  await page.getByRole('alert').filter({ hasText: 'administrator' }).waitFor()
  assert.equal(await page.locator('.body').count(), 0)
}

async function administratorChanges(page) {
  await signInAs(page, 'ada')
  await page.getByRole('button', { name: 'Add rule' }).waitFor()
}
