// Builds the package: node build.mjs FOLDER
//
// bus.js (what an application imports), bus.worker-VERSION.js, and custom.js (for SAO: bus.js and a little more). VERSION is a
// hash of the worker as built: all tabs of a browser share the worker of that name, so another content has another name. The
// build fails when a browser would load more than the budget.
import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, transformWithEsbuild } from 'vite'

const here = dirname(fileURLToPath(import.meta.url))
const folder = resolve(process.argv[2] ?? 'dist')
const BUDGET = 8000
/** With the little more. */
const BUDGET_OF_SAO = 8192

/** One file of the package as text, minified. Vite leaves the white space of ES libraries, so esbuild is called once more. */
async function bundle(entry, format, define) {
  const [{ output }] = await build({
    root: here,
    configFile: false,
    logLevel: 'warn',
    define,
    build: { write: false, target: 'es2020', minify: false, lib: { entry: join(here, 'src', entry), formats: [format], name: 'headroomBus' } },
  })
  const minified = await transformWithEsbuild(output[0].code, 'bundle.js', { minify: true, target: 'es2020', sourcemap: false })
  return minified.code
}

const worker = await bundle('worker.ts', 'iife', {})
const version = createHash('sha256').update(worker).digest('hex').slice(0, 8)
const define = { BUS_VERSION: JSON.stringify(version) }
const files = {
  [`bus.worker-${version}.js`]: worker,
  'bus.js': await bundle('bus.ts', 'es', define),
  // It says itself where the worker is.
  'custom.js': await bundle('sao.ts', 'iife', { ...define, 'import.meta.url': '""' }),
}

/** What a browser loads: that file, and the worker. */
function check(name, budget) {
  const size = [files[name], worker].reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0)
  if (size > budget) throw new Error(`${name} and its worker have ${size} bytes packed; at most ${budget} are allowed`)
  console.log(`${name}: ${size} of ${budget} bytes, packed`)
}

check('bus.js', BUDGET)
check('custom.js', BUDGET_OF_SAO)

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
