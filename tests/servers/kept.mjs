// Clients of the browser's package, without a browser: what their handlers got, and what not.
//
//   node kept.mjs PACKAGE MODULES CHANNELS URL...
//
// PACKAGE is the folder of bus.js as it is shipped. The first line of stdin, {"tokens":[...]}, has one for each client. Each connection
// goes to one of the URLs, as a balancer would send it: none for a while to one that refused a connection. Then a line
// {"acknowledged":[[channel,number],...]} is answered by what the handlers lack of it, got twice, got after a greater number of the
// channel, or were told lost, with the first that lack something.
import { webcrypto } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { createRequire } from 'node:module'
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [folder, modules, channels, ...urls] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const { tokens } = JSON.parse((await lines.next()).value)
const { ws } = createRequire(modules + '/')('playwright-core/lib/utilsBundle')
const away_ms = 10_000
const refused = new Map()
let connections = 0

function next_url() {
  const there = urls.filter((url) => Date.now() - (refused.get(url) ?? 0) > away_ms)
  return (there.length ? there : urls)[connections++ % (there.length || urls.length)]
}

class Balanced extends ws {
  constructor() {
    const url = next_url()
    super(url)
    // Its close follows.
    this.on('error', ({ code }) => code === 'ECONNREFUSED' && refused.set(url, Date.now()))
  }
}

// What the package takes from a page; without Web Locks each client has a connection of its own.
class Page extends EventTarget {
  hidden = false
  constructor() {
    super()
    setMaxListeners(0, this)
  }
}
Object.assign(globalThis, { WebSocket: Balanced, self: globalThis, window: new Page(), document: new Page(), location: new URL(urls[0].replace('ws', 'http')) })
Object.defineProperty(globalThis, 'navigator', { value: {} })
globalThis.crypto ??= webcrypto // Node 18 has it there behind a flag alone

const { connect } = await import(pathToFileURL(`${folder}/bus.js`).href)
const worker = readdirSync(folder).find((name) => name.startsWith('bus.worker-'))

class Client {
  counts = new Map()
  newest = new Map()
  lost = 0
  disordered = 0
  constructor(token) {
    this.bus = connect({ url: '/bus/ws', token, worker: pathToFileURL(`${folder}/${worker}`).href })
    this.bus.on('lost', () => (this.lost += 1))
    this.subscriptions = Array.from({ length: Number(channels) }, (_, i) => this.bus.subscribe(`room:${i}`, (message) => this.take(message)))
    this.ready = Promise.all(this.subscriptions.map((one) => one.ready))
  }
  story(lacks) {
    return { lacks: lacks.slice(0, 5), state: this.bus.state, at: this.subscriptions.map(({ channel, position }) => [channel, position]) }
  }
  take({ channel, data }) {
    const key = `${channel} ${data.n}`
    if (data.n < (this.newest.get(channel) ?? 0)) this.disordered += 1
    this.newest.set(channel, data.n)
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1)
  }
}

const all = tokens.map((token) => new Client(token))
await Promise.all(all.map((client) => client.ready))
console.log(JSON.stringify({ ready: all.length }))

for await (const line of lines) {
  const keys = JSON.parse(line).acknowledged.map(([channel, number]) => `${channel} ${number}`)
  const found = { missing: 0, twice: 0, lost: 0, disordered: 0, handled: 0, connections, lacking: [] }
  for (const client of all) {
    found.lost += client.lost
    found.disordered += client.disordered
    for (const count of client.counts.values()) {
      found.handled += 1
      if (count > 1) found.twice += 1
    }
    const lacks = keys.filter((key) => !client.counts.has(key))
    found.missing += lacks.length
    if (lacks.length && found.lacking.length < 5) found.lacking.push(client.story(lacks))
  }
  console.log(JSON.stringify(found))
}
process.exit(0)
