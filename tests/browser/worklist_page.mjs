// From the choice of a user to the documents of a list, while the database changes; mostly without a pointer. Then who sees what: a viewer, a
// stranger, a user with his token, and what the page says while the service is away.
import { strict as assert } from 'node:assert'
import { base, json, newPage, run, strangerPage, visit, work } from './harness.mjs'
import { tokenOf } from './bus_harness.mjs'

const people = JSON.parse(process.env.HEADROOM_PEOPLE)

await run(async (browser) => {
  const page = await newPage(browser)
  await userIsChosen(page)
  await numbersFollow(page)
  await emptyOnesAreHidden(page)
  await whatIsShownIsInTheAddress(page)
  await documentsArePaged(page)
  await costAndPlanAreTold(page)
  await eachListSaysHowItIsCounted(page)
  await viewerOnlySeesTheService(await strangerPage(browser))
  await page.context().close()
  await userSeesHisOwn(await strangerPage(browser))
})

function row(page, ...texts) {
  return texts.reduce((found, hasText) => found.filter({ hasText }), page.locator('.table-body .row'))
}

async function countsOf(page, user) {
  const { lists } = await json(page, `/api/worklist/users/${user}/counts?all=1`)
  return Object.fromEntries(lists.map((list) => [list.list, list.count]))
}

async function toBe(page, name, count) {
  const text = String(count).replace(/\B(?=(\d{3})+$)/g, ',')
  await page.waitForFunction(([name, text]) => [...document.querySelectorAll('.table-body .row')]
    .some((row) => row.textContent.includes(name) && row.querySelector('.counted')?.textContent === text), [name, text])
}

async function userIsChosen(page) {
  page.expected.push('404') // a user who is none
  await visit(page, '/')
  await page.keyboard.press('9')
  await page.waitForURL('**/worklists')
  await page.getByText('Whose work lists?').waitFor()
  await page.keyboard.press('u')
  await page.keyboard.type('7')
  await page.waitForFunction(() => document.querySelectorAll('datalist option').length === 11) // 7, 70 to 79
  await page.keyboard.press('Enter')
  await page.waitForURL('**/worklists?user=7')
  const counts = await countsOf(page, 7)
  for (const [list, name] of [['sale/draft', 'Draft sales'], ['sale/large', 'Large sales'], ['invoice/overdue', 'Overdue customer invoices']]) await toBe(page, name, counts[list])
  assert.equal(await row(page, 'Shipments of the board').count(), 0, 'a guard refuses it')
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
  const link = await row(page, 'Draft sales').getByRole('link', { name: 'Open' }).getAttribute('href')
  assert.equal(link, 'https://erp.example.com/model/sale.sale?state=draft')
  await visit(page, '/worklists?user=99')
  await page.getByText("there is no user '99'").waitFor()
  await visit(page, '/worklists?user=7')
  await row(page, 'Draft sales').waitFor()
}

/** What is committed in the database is on the page, marked for a moment, and nothing else moves. */
async function numbersFollow(page) {
  const { 'sale/draft': before } = await countsOf(page, 7)
  await toBe(page, 'Draft sales', before)
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
  const place = await row(page, 'Draft sales').boundingBox()
  const marked = page.waitForFunction(() => [...document.querySelectorAll('.fresh')].map((one) => one.closest('.row').textContent)
    .find((text) => text.includes('Draft sales')))
  await work('execute', "INSERT INTO sale SELECT 20000 + n, 'draft', '2026-01-01', 7, NULL FROM generate_series(1, 3) AS n")
  await toBe(page, 'Draft sales', before + 3)
  assert.ok((await (await marked).jsonValue()).includes(`(${before + 3})`), 'the title tells the number too')
  assert.deepEqual(await row(page, 'Draft sales').boundingBox(), place)
  await page.waitForFunction(() => document.querySelector('.fresh') === null)
  await work('execute', 'DELETE FROM sale WHERE id > 20000')
  await toBe(page, 'Draft sales', before)
  await work('execute', "INSERT INTO sale VALUES (20001, 'draft', '2026-01-01', 8, NULL)")
  await toBe(page, 'Draft sales', before)
}

async function emptyOnesAreHidden(page) {
  assert.equal(await row(page, 'Sales to approve').count(), 0)
  const box = page.getByLabel('Empty ones too')
  await box.check()
  await toBe(page, 'Sales to approve', 0)
  assert.equal(new URL(page.url()).searchParams.get('zeros'), '1')
  await box.uncheck()
  await row(page, 'Sales to approve').waitFor({ state: 'detached' })
  await work('execute', "INSERT INTO sale VALUES (20002, 'to approve', '2026-01-01', 7, NULL)")
  await toBe(page, 'Sales to approve', 1)
  await work('execute', 'DELETE FROM sale WHERE id = 20002')
  await toBe(page, 'Sales to approve', 0) // it stays: nothing goes from under the reader's eyes
}

async function whatIsShownIsInTheAddress(page) {
  await page.keyboard.press('/')
  await page.keyboard.type('invoice')
  await row(page, 'Draft sales').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Number' }).click()
  await page.getByRole('combobox', { name: 'Groups' }).selectOption('workflow')
  const { user, filter, sort, by } = Object.fromEntries(new URL(page.url()).searchParams)
  assert.deepEqual({ user, filter, sort, by }, { user: '7', filter: 'invoice', sort: '-count', by: 'workflow' })
  await page.reload()
  await row(page, 'Invoices to post').waitFor()
  const numbers = (await page.locator('.table-body .counted').allInnerTexts()).map(Number)
  assert.ok(numbers.length === 4 && numbers.every((one, n) => n === 0 || numbers[n - 1] >= one), `the largest first: ${numbers}`)
  assert.equal(await page.locator('.row.group').count(), 1)
  await page.keyboard.press('/')
  await page.keyboard.press('Escape')
  await row(page, 'Draft sales').waitFor()
}

async function goToList(page) {
  do await page.keyboard.press('Tab')
  while (await page.evaluate(() => document.activeElement.getAttribute('role')) !== 'grid')
}

async function documentsArePaged(page) {
  await visit(page, '/worklists?user=7&filter=draft+sales')
  await row(page, 'Draft sales').waitFor()
  await goToList(page)
  await page.keyboard.press('j') // the group
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.waitForURL('**list=sale%2Fdraft**')
  const all = (await json(page, '/api/worklist/users/7/lists/sale/draft/documents?limit=1000')).documents
  const keys = page.getByRole('list', { name: 'Keys of the documents' }).getByRole('listitem')
  await keys.first().waitFor()
  const seen = await keys.allInnerTexts()
  assert.equal(seen.length, 100)
  while (seen.length < all.length) {
    await page.getByRole('button', { name: 'Next page' }).click()
    await page.waitForFunction((first) => document.querySelector('.keys li')?.textContent === first, all[seen.length])
    seen.push(...(await keys.allInnerTexts()))
  }
  assert.deepEqual(seen, all)
  await page.getByRole('button', { name: 'First page' }).click()
  await page.waitForFunction((first) => document.querySelector('.keys li')?.textContent === first, all[0])
}

async function costAndPlanAreTold(page) {
  await visit(page, '/worklists?user=7')
  await page.getByRole('link', { name: 'Cost' }).click()
  await row(page, 'sale/large').waitFor()
  await page.getByText('nothing is known of the size of large_sale').waitFor()
  assert.match(await row(page, 'shipment/secret').innerText(), /hidden/)
  await row(page, 'invoice/overdue').getByRole('link').click()
  await page.waitForURL('**list=invoice%2Foverdue**')
  for (const way of ['join', 'cells', 'each']) await page.locator('.cards .card', { hasText: `${way}` }).first().waitFor()
  assert.equal(await page.locator('.cards .tag').count(), 1, 'one of them is chosen')
  await page.getByRole('combobox', { name: 'Way' }).selectOption('each')
  await page.locator('pre.sql', { hasText: 'count(*)' }).waitFor()
  await page.locator('summary', { hasText: 'scope' }).click()
  await page.locator('details[open] pre', { hasText: 'security_uid' }).first().waitFor()
}

async function eachListSaysHowItIsCounted(page) {
  await page.getByRole('link', { name: 'How they are counted' }).click()
  await row(page, 'sale/large', 'SQL', 'it is a query').waitFor()
  assert.match(await row(page, 'sale/draft').innerText(), /live/)
  await page.getByRole('button', { name: 'Count all anew' }).click()
  await page.getByText('Begun.').waitFor()
}

async function viewerOnlySeesTheService(page) {
  page.expected.push('401')
  await page.goto(`${base}/worklists`)
  await page.getByRole('button', { name: 'Show my lists' }).waitFor() // a stranger may bring a token
  assert.equal(await page.locator('.table').count(), 0)
  const signed = await page.request.post(`${base}/api/session`, { data: { user: 'vic', password: people.vic[1] } })
  assert.equal(signed.status(), 200)
  await visit(page, '/worklists?user=7')
  await row(page, 'sale/draft').waitFor()
  assert.equal(await page.getByPlaceholder('Id of the user').count(), 0)
  assert.equal(await page.getByRole('button', { name: 'Count all anew' }).count(), 0)
  for (const tail of ['users/7/counts', 'users/7/plan', 'users/7/fragment', 'users/7/events', 'users?beginning=7', 'users/7/lists/sale/draft/documents']) {
    assert.equal((await page.request.get(`${base}/api/worklist/${tail}`)).status(), 403, `${tail} is refused to a viewer`)
  }
  await page.context().close()
}

async function userSeesHisOwn(page) {
  page.expected.push('401', '403', 'ERR_', '404')
  await page.goto(`${base}/worklists#token=${tokenOf('8')}`)
  await page.getByRole('heading', { name: 'My work lists' }).waitFor()
  assert.equal(page.url(), `${base}/worklists`, 'the token does not stay in the address')
  const headers = { Authorization: `Bearer ${tokenOf('8')}` }
  const own = async () => (await (await page.request.get(`${base}/worklist/counts?all=1`, { headers })).json()).lists.find((list) => list.list === 'sale/draft').count
  await toBe(page, 'Draft sales', await own())
  assert.equal(await page.getByRole('link', { name: 'Cost' }).count(), 0)
  await work('execute', "INSERT INTO sale VALUES (20003, 'draft', '2026-01-01', 8, NULL)")
  await toBe(page, 'Draft sales', await own())
  await row(page, 'Draft sales').getByRole('link').first().click()
  await page.getByRole('listitem').filter({ hasText: '20003' }).or(page.getByRole('button', { name: 'Next page' })).first().waitFor()
  for (const tail of ['counts', 'fragment', 'events', 'lists/sale/draft', 'lists/sale/draft/documents']) {
    assert.equal((await page.request.get(`${base}/worklist/${tail}?user=7`, { headers })).status(), 403, `${tail} of another`)
    assert.equal((await page.request.get(`${base}/worklist/${tail}`)).status(), 401, `${tail} without a token`)
    const forged = { Authorization: `Bearer ${tokenOf('7').slice(0, -4)}AAAA` }
    assert.equal((await page.request.get(`${base}/worklist/${tail}`, { headers: forged })).status(), 401, `${tail} with a forged token`)
  }
  await serviceGoesAndComes(page)
  await visit(page, `/worklists#token=${tokenOf('8', -5)}`)
  await page.getByText('The token is not accepted').waitFor()
  await page.getByRole('button', { name: 'Forget the token' }).first().click()
  await page.getByRole('button', { name: 'Show my lists' }).waitFor()
}

async function serviceGoesAndComes(page) {
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
  await work('stop')
  await page.getByRole('status').filter({ hasText: 'connection lost; trying again' }).waitFor()
  await work('start')
  await work('wait_until_current')
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
}
