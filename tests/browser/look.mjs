// Every page in both themes and widths: no finding of axe-core (WCAG A and AA), nothing wider than the window. Takes the pictures.
import { busiestSession, json, newPage, run, sessionAddress, strangerPage, visit } from './harness.mjs'
import { check, examine, inAllLooks, lookAtAll } from './look_at.mjs'

await run(async (browser) => {
  await lookAtAll(browser, addresses)
  await inAllLooks(async (options, where) => {
    const page = await newPage(browser, options)
    await visit(page, '/')
    await page.keyboard.press('?')
    await page.getByRole('dialog').waitFor()
    await examine(page, 'help', where)
    await page.context().close()
    const stranger = await strangerPage(browser, options)
    stranger.expected.push('401')
    await check(stranger, 'sign-in', '/', where)
    await stranger.context().close()
  })
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
