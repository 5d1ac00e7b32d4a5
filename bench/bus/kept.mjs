// Clients of the browser's package, without a browser: what their handlers got, and what not.
//
//   node kept.mjs PACKAGE MODULES CLIENTS CHANNELS TOKEN URL...
//
// PACKAGE is the folder of bus.js as it is shipped. Each connection goes to one of the URLs, as a balancer would send it. A line of
// JSON on stdin, {"acknowledged":[[channel,number],...]}, is answered by what the handlers lack of it, got twice, or were told lost, with
// the first that lack something.
import { setMaxListeners } from 'node:events'
import { createRequire } from 'node:module'
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [folder, modules, clients, channels, token, ...urls] = process.argv.slice(2)
const { ws } = createRequire(modules + '/')('playwright-core/lib/utilsBundle')
let connections = 0

class Balanced extends ws {
  constructor() {
    super(urls[connections++ % urls.length])
    this.on('error', () => undefined) // its close follows
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

const { connect } = await import(pathToFileURL(`${folder}/bus.js`).href)
const worker = readdirSync(folder).find((name) => name.startsWith('bus.worker-'))

class Client {
  counts = new Map()
  lost = 0
  constructor() {
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
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1)
  }
}

const all = Array.from({ length: Number(clients) }, () => new Client())
await Promise.all(all.map((client) => client.ready))
console.log(JSON.stringify({ ready: all.length }))

for await (const line of createInterface({ input: process.stdin })) {
  const keys = JSON.parse(line).acknowledged.map(([channel, number]) => `${channel} ${number}`)
  const found = { missing: 0, twice: 0, lost: 0, handled: 0, connections, lacking: [] }
  for (const client of all) {
    found.lost += client.lost
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
