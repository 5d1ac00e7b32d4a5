// Makes the built pages part of the executable: node pack.mjs FOLDER OUTPUT.cpp
//
// Every file is packed with gzip once, here, so that the daemon only copies bytes. The output is a table that
// web/assets.hpp describes. The build fails when the first page is larger than its budget: what a browser must load before
// it shows anything is index.html with the scripts and styles that it names, and what these import at once.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { gzipSync } from 'node:zlib'

const FIRST_PAGE_BUDGET = 150_000

const CONTENT_TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

function readAsset(folder, file) {
  const content = readFileSync(file)
  const contentType = CONTENT_TYPES[extname(file)]
  if (contentType === undefined) throw new Error(`${file}: no content type is known for ${extname(file)}`)
  const gzip = gzipSync(content, { level: 9 })
  gzip[9] = 255 // the system that packed it: unknown, so that every machine makes the same bytes
  const etag = createHash('sha256').update(content).digest('hex').slice(0, 16)
  return { path: '/' + relative(folder, file).split(sep).join('/'), contentType, etag, content, gzip }
}

/** Paths that must be there before the first page shows: what index.html names. */
function firstPage(assets) {
  const index = assets.find((asset) => asset.path === '/index.html')
  if (index === undefined) throw new Error('index.html is missing')
  const named = [...index.content.toString().matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1])
  return assets.filter((asset) => asset === index || named.includes(asset.path))
}

function checkBudget(assets) {
  const size = firstPage(assets).reduce((sum, asset) => sum + asset.gzip.length, 0)
  if (size > FIRST_PAGE_BUDGET) {
    throw new Error(`the first page has ${size} bytes packed; at most ${FIRST_PAGE_BUDGET} are allowed`)
  }
  console.log(`first page: ${size} of ${FIRST_PAGE_BUDGET} bytes, packed; ${assets.length} files`)
}

function bytes(buffer) {
  const lines = []
  for (let at = 0; at < buffer.length; at += 32) lines.push('  ' + [...buffer.subarray(at, at + 32)].join(','))
  return lines.join(',\n')
}

function source(assets) {
  const data = assets.map((asset, i) => `constexpr unsigned char kData${i}[] = {\n${bytes(asset.gzip)}};\n`)
  const rows = assets.map((asset, i) =>
    `    {${JSON.stringify(asset.path)}, ${JSON.stringify(asset.contentType)}, ${JSON.stringify(asset.etag)}, kData${i}},`)
  return `// Made by web/tools/pack.mjs.
#include "web/assets.hpp"

#include <array>

namespace headroom::web {
namespace {

${data.join('\n')}
constexpr std::array<Asset, ${assets.length}> kAssets{{
${rows.join('\n')}
}};

}  // namespace

std::span<const Asset> web_assets() { return kAssets; }

}  // namespace headroom::web
`
}

const [folder, output] = process.argv.slice(2)
const order = (a, b) => (a.path < b.path ? -1 : 1)
const assets = filesBelow(folder).map((file) => readAsset(folder, file)).sort(order)
checkBudget(assets)
writeFileSync(output, source(assets))
