// Opens a profile in speedscope, the released pages of its npm package, in Debian's Chromium: speedscope.mjs FILE PICTURE
// Prints {"title", "rows": [[total, self, function]]} of its table of functions, and takes a picture of its flame chart.
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { DEADLINE, launch } from '../browser/harness.mjs'

const [file, picture] = process.argv.slice(2)
const require = createRequire(new URL('../../web/package.json', import.meta.url))
const pages = join(dirname(require.resolve('speedscope/package.json')), 'dist', 'release')
const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css', wasm: 'application/wasm' }

const server = createServer(async (request, answer) => {
  const name = basename(new URL(request.url, 'http://127.0.0.1').pathname)
  try {
    const body = await readFile(name === basename(file) ? file : join(pages, name))
    answer.writeHead(200, { 'Content-Type': TYPES[name.split('.').pop()] ?? 'application/octet-stream' }).end(body)
  } catch {
    answer.writeHead(404).end()
  }
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const base = `http://127.0.0.1:${server.address().port}`
const browser = await launch()
const page = await browser.newPage({ viewport: { width: 1000, height: 500 } })
page.setDefaultTimeout(DEADLINE)
const wrongs = []
page.on('pageerror', (error) => wrongs.push(error.message))
page.on('dialog', (dialog) => { wrongs.push(dialog.message()); void dialog.dismiss() })
await page.goto(`${base}/index.html#profileURL=${encodeURIComponent(`${base}/${basename(file)}`)}`)
await page.getByText('Sandwich').waitFor()
await page.screenshot({ path: picture })
await page.getByText('Sandwich').click()
await page.locator('tr').nth(1).waitFor()
const rows = await page.locator('tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText.trim())))
if (wrongs.length) throw new Error(wrongs.join('; '))
process.stdout.write(JSON.stringify({ title: await page.title(), rows: rows.slice(1) }))
await browser.close()
process.exit(0)
