// Titles that would be markup and addresses that would run are text: on the page, and in the piece of HTML that applications embed.
import { strict as assert } from 'node:assert'
import { base, newPage, run, visit } from './harness.mjs'

await run(async (browser) => {
  const page = await newPage(browser)
  await visit(page, '/worklists?user=7&filter=odd')
  const row = page.locator('.table-body .row:not(.group)').filter({ hasText: 'onerror' })
  await row.waitFor()
  const text = await row.innerText()
  assert.ok(text.includes('\\u202e') && text.includes('\\x1b'), 'what turns the direction of text is written out')
  assert.equal(await page.getByText('no link', { exact: true }).count(), 3)
  const links = await page.locator('.table-body a[target]').evaluateAll((all) => all.map((one) => one.href))
  assert.deepEqual(links, ['https://erp.example.com/?a=%22%3E%3Cscript%3Edocument.title=6%3C/script%3E'])
  await nothingRan(page)

  await page.getByRole('link', { name: 'Cost' }).click()
  await page.locator('.table-body .row').filter({ hasText: 'odd/markup' }).waitFor()
  await nothingRan(page)
  await fragmentIsText(page)
})

async function fragmentIsText(page) {
  const first = await page.request.get(`${base}/api/worklist/users/7/fragment`)
  assert.match(first.headers()['content-type'], /^text\/html; charset=utf-8$/)
  assert.match(first.headers()['cache-control'], /private/)
  const again = await page.request.get(`${base}/api/worklist/users/7/fragment`, { headers: { 'If-None-Match': first.headers().etag } })
  assert.equal(again.status(), 304)
  const found = await page.evaluate((html) => {
    const box = document.createElement('div')
    box.innerHTML = html // as an application does; what it runs would run here too
    document.querySelector('main').append(box)
    const all = [...box.querySelectorAll('*')]
    return {
      tags: [...new Set(all.map((one) => one.localName))].sort(),
      attributes: [...new Set(all.flatMap((one) => one.getAttributeNames()))].sort(),
      links: [...box.querySelectorAll('a')].map((one) => one.getAttribute('href')).filter((href) => !href.startsWith('model/')),
      names: [...box.querySelectorAll('[data-list^="odd/"] .headroom-worklist-name')].map((one) => one.textContent),
      drafts: box.querySelector('[data-list="sale/draft"]').dataset.count,
    }
  }, await first.text())
  assert.deepEqual(found.tags, ['a', 'div', 'h3', 'li', 'section', 'span', 'ul'])
  assert.deepEqual(found.attributes, ['class', 'data-count', 'data-group', 'data-list', 'href'])
  assert.deepEqual(found.links, ['https://erp.example.com/?a="><script>document.title=6</script>'])
  const drafts = found.drafts
  assert.deepEqual(found.names.map((name) => name.replace(/[\u202e\ufffd]/g, '*')).sort(), [`'"&&lt;quotes (${drafts})`,
    `<img src=x onerror="document.title=1"><script>document.title=2</script>**[31m (${drafts})`, `Hidden scheme (${drafts})`, `Quoted (${drafts})`].sort())
  await nothingRan(page)
}

async function nothingRan(page) {
  assert.equal(await page.locator('main img, main script, main iframe').count(), 0)
  assert.match(await page.title(), /Headroom$/, 'no script of theirs ran')
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= window, `${wide} pixels wide in a window of ${window}`)
}
