// Every page in both themes and widths: no finding of axe-core (WCAG A and AA), nothing wider than the window. Takes the pictures.
import { strict as assert } from 'node:assert'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { base, busiestSession, json, newPage, run, sessionAddress, settled, strangerPage, visit } from './harness.mjs'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

await run(async (browser) => {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 390]) {
      const options = { colorScheme, viewport: { width, height: width === 390 ? 844 : 800 } }
      const where = `${width}-${colorScheme}`
      const page = await newPage(browser, options)
      for (const [name, path] of await addresses(page)) await check(page, name, path, where)
      await visit(page, '/')
      await page.keyboard.press('?')
      await page.getByRole('dialog').waitFor()
      await examine(page, 'help', where)
      await page.context().close()
      const stranger = await strangerPage(browser, options)
      stranger.expected.push('401')
      await check(stranger, 'sign-in', '/', where)
      await stranger.context().close()
    }
  }
})

async function addresses(page) {
  const session = await busiestSession(page)
  const reference = encodeURIComponent(`${session.database}/${session.session}`)
  const calls = (await json(page, `/api/perf/call?session=${reference}&sort=-tm&limit=1000`)).rows
  const profiled = calls.find((row) => row.details?.includes('profile'))
  const repeated = calls.reduce((most, row) => row.repeated > most.repeated ? row : most)
  const failed = calls.find((row) => row.status === 'exception')
  const statement = (await json(page, `/api/perf/call?session=${reference}&call=${repeated['#']}`)).rows[0].statements.find((one) => one.backtrace)
  const call = (row, more = '') => `/call${sessionAddress(session).slice('/session'.length)}&call=${row['#']}${more}`
  return [
    ['sessions', '/'], ['live', '/live'], ['advice', '/advice'], ['overview', '/overview'], ['rules', '/rules'], ['status', '/status'], ['compare', `/compare?a=${reference}&b=${reference}`],
    ['session', sessionAddress(session)],
    ...['timeline', 'methods', 'tables', 'repeats', 'slow', 'advice'].map((view) => [`session-${view}`, sessionAddress(session, `&view=${view}`)]),
    ['call', call(repeated, `&statement=${statement.fingerprint}`)], ['call-failed', call(failed)],
    ['call-order', call(repeated, '&view=order')], ['call-flame', call(profiled, '&view=flame')],
    ['call-functions', call(profiled, '&view=functions')], ['call-bodies', call(repeated, '&view=bodies')], ['call-facts', call(failed, '&view=facts')],
    ['query', `/query${sessionAddress(session).slice('/session'.length)}&rank=1`], ['nowhere', '/nowhere'],
  ]
}

async function check(page, name, path, where) {
  await page.goto(base + path)
  await page.waitForSelector('main h1, main .empty')
  await settled(page)
  await examine(page, name, where)
}

async function examine(page, name, where) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= window, `${name} ${where}: ${wide} pixels wide in a window of ${window}`)
  await page.screenshot({ path: `${process.env.HEADROOM_PICTURES}/${name}-${where}.png` })
  assert.deepEqual(await wrongNames(page), [], `${name} ${where}: a button's name must hold its text`)
  await page.evaluate(axe)
  const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: 'tag', values: tags } }), TAGS)
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3).join('; ')}`), [], `${name} ${where}`)
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
