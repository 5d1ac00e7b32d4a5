// From a client that connects to a message that the form sends it; mostly without a pointer. Then what a viewer sees, and what the page
// says while the service is away.
import { strict as assert } from 'node:assert'
import { base, json, newPage, run, strangerPage, token, visit, work } from './harness.mjs'
import { Client } from './bus_page_client.mjs'

const people = JSON.parse(process.env.HEADROOM_PEOPLE)

await run(async (browser) => {
  const page = await newPage(browser)
  await nobodyIsThere(page)
  const ann = await Client.connect('ann', 'room:1', 'room:2')
  const bob = await Client.connect('bob', 'room:1')
  await channelsAreSeen(page, bob)
  await peopleAreFound(page)
  await messagesAreFollowed(page, ann)
  await addressIsShared(page, await newPage(browser))
  await formPublishes(page, ann)
  await noSiteCanPublish(page)
  await viewerOnlyLooks(await strangerPage(browser))
  await serviceGoesAndComes(page)
  ann.close()
  bob.close()
})

async function nobodyIsThere(page) {
  await visit(page, '/')
  await page.keyboard.press('8')
  await page.waitForURL('**/bus')
  await page.getByText('No channel has subscribers now.').waitFor()
  await page.getByRole('link', { name: 'People' }).click()
  await page.getByText('Nobody is connected now.').waitFor()
  await page.getByRole('link', { name: 'Connections', exact: true }).click()
  await page.getByText('Closed because they were slow').waitFor()
  await page.getByRole('link', { name: 'Channels' }).click()
}

function row(page, ...texts) {
  return texts.reduce((found, hasText) => found.filter({ hasText }), page.locator('.table-body .row'))
}

async function goToList(page) {
  do await page.keyboard.press('Tab')
  while (await page.evaluate(() => document.activeElement.getAttribute('role')) !== 'grid')
}

async function channelsAreSeen(page, bob) {
  await row(page, 'room:1').waitFor()
  assert.match(await row(page, 'room:1').innerText(), /^room:1\s+2\s/, 'two subscribers')
  assert.match(await row(page, 'room:2').innerText(), /^room:2\s+1\s/)
  await page.locator('.figures div', { hasText: 'Connections' }).getByText('2', { exact: true }).waitFor()
  for (let n = 0; n < 5; n += 1) await bob.publish('room:1', { n })
  await page.waitForFunction(() => /[1-9]/.test(document.querySelector('.table-body .row .cell:nth-child(3)')?.textContent ?? ''))

  await page.keyboard.press('/')
  await page.keyboard.type('room:2')
  await row(page, 'room:1').waitFor({ state: 'detached' })
  assert.equal(new URL(page.url()).searchParams.get('filter'), 'room:2')
  await page.keyboard.press('Control+A')
  await page.keyboard.type('hall')
  await page.getByText('No channel with subscribers begins so.').waitFor()
  await page.keyboard.press('Escape')
  await row(page, 'room:1').waitFor()
}

async function peopleAreFound(page) {
  await page.getByRole('link', { name: 'People' }).click()
  await row(page, 'ann', 'online').waitFor()
  await row(page, 'bob', 'online').waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('an')
  await row(page, 'bob').waitFor({ state: 'detached' })
  await page.getByText('1 user online, 0 away, whose names match.').waitFor()
  await page.keyboard.type('zz')
  await page.getByText('Nobody who matches is there now.').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('combobox').selectOption('away')
  await page.getByText('Nobody who matches is there now.').waitFor()
  await page.getByRole('combobox').selectOption('')
  await row(page, 'bob').waitFor()
}

async function messagesAreFollowed(page, ann) {
  await page.getByRole('link', { name: 'Channels' }).click()
  await row(page, 'room:1').waitFor()
  await goToList(page)
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/bus?view=messages&channel=room%3A1')
  await row(page, 'before', '"n":4').waitFor()
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
  await ann.publish('room:1', { kind: 'order', text: 'first' })
  await ann.publish('room:2', { kind: 'order', text: 'elsewhere' })
  await ann.publish('room:1', { kind: 'note', text: 'second' })
  await row(page, 'second').waitFor()
  assert.equal(await row(page, 'elsewhere').count(), 0, 'another channel')
  const rows = await page.locator('.table-body .row').allInnerTexts()
  assert.ok(rows[0].includes('second') && rows[1].includes('first'), 'the newest comes first')
  assert.ok(!rows[0].includes('before'))
  assert.ok((await page.getByText('2 messages since this page is open').count()) === 1)

  await page.keyboard.press('/')
  await page.keyboard.type('order')
  await row(page, 'second').waitFor({ state: 'detached' })
  await goToList(page)
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  const data = page.locator('.body')
  await data.waitFor()
  assert.deepEqual(JSON.parse(await data.innerText()), { kind: 'order', text: 'first' })
}

async function addressIsShared(page, other) {
  await visit(other, new URL(page.url()).pathname + new URL(page.url()).search)
  await other.locator('.body').waitFor()
  assert.ok((await other.locator('.body').innerText()).includes('first'), 'somebody else sees the same message')
  assert.equal(await other.getByRole('searchbox', { name: 'Messages' }).inputValue(), 'order', 'and the same filter')
  await other.context().close()
}

async function formPublishes(page, ann) {
  page.expected.push('400') // the channel with a quote
  const before = ann.messages.length
  await page.getByRole('link', { name: 'Publish' }).click()
  assert.equal(await page.getByLabel('Channel', { exact: true }).inputValue(), 'room:1', 'the channel that was followed')
  await page.getByLabel('Data', { exact: true }).fill('hello')
  await page.getByLabel('Data', { exact: true }).press('Tab')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'stands in double quotes' }).waitFor()
  await page.getByLabel('Data', { exact: true }).fill('{"kind":"note","text":"from the form"}')
  await page.getByLabel('Id', { exact: true }).fill('once')
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByText(/Published: message 8 of room:1/).waitFor()
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByText(/Was published before: message 8 of room:1/).waitFor()
  await page.getByLabel('Channel', { exact: true }).fill('no"quotes')
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByRole('alert').filter({ hasText: 'quotes' }).waitFor()
  await page.getByLabel('Channel', { exact: true }).fill('room:1')
  const got = await ann.got(before + 1)
  assert.deepEqual(got.slice(before), [['room:1', { kind: 'note', text: 'from the form' }]], 'the client got it, once')

  await page.getByLabel('Id', { exact: true }).fill('')
  await page.getByRole('button', { name: 'Publish' }).click()
  await page.getByRole('link', { name: 'Its messages' }).click()
  await row(page, '9', 'from the form').waitFor()
}

async function noSiteCanPublish(page) {
  page.expected.push('403')
  const body = JSON.stringify({ channel: 'room:1', data: 'forged' })
  const status = await page.evaluate(async (sent) => (await fetch('/api/bus/publish', { method: 'POST', body: sent })).status, body)
  assert.equal(status, 403, 'the cookie alone publishes nothing')
  const { messages } = await json(page, '/api/bus/history?channel=room:1')
  assert.equal(messages.length, 9)
}

async function viewerOnlyLooks(page) {
  const signed = await page.request.post(`${base}/api/session`, { data: { user: 'vic', password: people.vic[1] } })
  assert.equal(signed.status(), 200)
  await visit(page, '/bus')
  await row(page, 'room:1').waitFor()
  assert.equal(await row(page, 'room:1').getByRole('link').count(), 0, 'it leads nowhere')
  await visit(page, '/bus?view=people')
  await row(page, 'ann').waitFor()
  await visit(page, '/bus?view=messages&channel=room:1')
  await page.getByText("Viewers don't see messages.").waitFor()
  await visit(page, '/bus?view=publish')
  await page.getByText('Only an administrator publishes here.').waitFor()
  assert.equal(await page.getByRole('button', { name: 'Publish' }).count(), 0)
  const { csrf, role } = await json(page, '/api/session')
  assert.equal(role, 'viewer')
  const refused = await page.request.post(`${base}/api/bus/publish`, { data: { channel: 'room:1', data: 1 }, headers: { 'X-Headroom-CSRF': csrf } })
  assert.equal(refused.status(), 403, 'the daemon refuses as well')
  assert.equal((await page.request.get(`${base}/api/bus/history?channel=room:1`)).status(), 403)
  const opened = await page.evaluate(() => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/api/bus/live`)
    socket.onopen = () => resolve(true)
    socket.onerror = () => resolve(false)
  }))
  page.wrongs = page.wrongs.filter((text) => !text.includes('/api/bus/live'))
  assert.equal(opened, false)
  await page.context().close()
}

async function serviceGoesAndComes(page) {
  page.expected.push('ERR_CONNECTION_REFUSED', 'WebSocket connection', '401')
  await visit(page, '/bus?view=messages&channel=room:1')
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
  await work('stop')
  await page.getByRole('status').filter({ hasText: 'connection lost; trying again' }).waitFor()
  await page.getByText('These figures are old').waitFor()
  await work('start')
  await page.getByRole('heading', { name: 'Sign in' }).waitFor() // sessions end with the service
  await page.request.post(`${base}/api/session`, { data: { token } })
  await visit(page, '/bus?view=messages&channel=room:1')
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
  assert.equal(await page.getByText('These figures are old').count(), 0)
}
