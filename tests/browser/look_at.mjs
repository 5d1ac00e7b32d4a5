// Looks at pages in both themes and widths: no finding of axe-core (WCAG A and AA), nothing wider than the window. Takes the pictures.
import { strict as assert } from 'node:assert'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { base, newPage, settled } from './harness.mjs'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

/** Calls `look` with the options of a page and their name, for each theme and width. */
export async function inAllLooks(look) {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 390]) {
      await look({ colorScheme, viewport: { width, height: width === 390 ? 844 : 800 } }, `${width}-${colorScheme}`)
    }
  }
}

/** `addresses` gives the names and paths; some of them may be answered with a status that is among `expected`. */
export async function lookAtAll(browser, addresses, expected = []) {
  await inAllLooks(async (options, where) => {
    const page = await newPage(browser, options)
    page.expected.push(...expected)
    for (const [name, path] of await addresses(page)) await check(page, name, path, where)
    await page.context().close()
  })
}

/** Opens an address and examines what it shows. */
export async function check(page, name, path, where) {
  await page.goto(base + path)
  await page.waitForSelector('main h1, main .empty')
  await settled(page)
  await examine(page, name, where)
}

/** What the page shows now. */
export async function examine(page, name, where) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= window, `${name} ${where}: ${wide} pixels wide in a window of ${window}`)
  await page.screenshot({ path: `${process.env.HEADROOM_PICTURES}/${name}-${where}.png` })
  assert.deepEqual(await wrongNames(page), [], `${name} ${where}: a button's name must hold its text`)
  assert.deepEqual(await cutNames(page), [], `${name} ${where}: the name of a method is cut without a mark`)
  await page.evaluate(axe)
  const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: 'tag', values: tags } }), TAGS)
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3).join('; ')}`), [], `${name} ${where}`)
}

/** Names of methods that run out of their cell, where no ellipsis tells that they go on. */
function cutNames(page) {
  return page.evaluate(() => [...document.querySelectorAll('.method')].filter((method) => {
    const end = method.getBoundingClientRect().right + 0.5
    return [...method.children].some((part) => part.textContent !== '' && part.getBoundingClientRect().right > end)
  }).map((method) => method.title))
}

/** Who speaks to the page says what he reads: a name that is given must hold the text that is shown (WCAG 2.5.3). */
function wrongNames(page) {
  return page.evaluate(() => [...document.querySelectorAll('button, a')].flatMap((element) => {
    const shown = element.cloneNode(true)
    for (const hidden of shown.querySelectorAll('[aria-hidden=true]')) hidden.remove()
    const name = element.getAttribute('aria-label')
    const words = (text) => text.toLowerCase().replace(/\s+/g, ' ').trim()
    return name === null || words(name).includes(words(shown.textContent)) ? [] : [`${shown.textContent} is called ${name}`]
  }))
}
