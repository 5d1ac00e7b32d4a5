// The picture of the page "Work lists", light and dark: a user's lists a moment after one of the numbers changed.
import { newPage, run, visit, work } from './harness.mjs'

await run(async (browser) => {
  for (const [n, colorScheme] of ['light', 'dark'].entries()) {
    const page = await newPage(browser, { colorScheme })
    await visit(page, '/worklists?user=7')
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor()
    await page.locator('.table-body .row').filter({ hasText: 'Draft sales' }).waitFor()
    const marked = page.waitForFunction(() => document.querySelector('.fresh'))
    await work('execute', `INSERT INTO invoice VALUES (${50_000 + n}, 'out', 'validated', '2026-01-01', 7, NULL)`)
    await marked
    await page.screenshot({ path: `${process.env.HEADROOM_PICTURES}/worklists-${colorScheme}.png` })
    await page.context().close()
  }
})
