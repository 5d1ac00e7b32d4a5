// Watches with the `ws` of Node, as the browser tests carry it: offers compression, pings, and says goodbye.
import { strict as assert } from 'node:assert'
import { createRequire } from 'node:module'

const [address, modules] = process.argv.slice(2)
const { ws: WebSocket } = createRequire(modules + '/')('playwright-core/lib/utilsBundle')

const socket = new WebSocket(`ws://${address}/api/perf/live`)
const messages = []
const told = (event) => new Promise((resolve) => socket.once(event, (...values) => resolve(values)))

socket.on('message', (data, isBinary) => messages.push([JSON.parse(data.toString()), isBinary]))
await told('open')
assert.equal(socket.extensions, '', 'no compression was agreed on')
while (messages.length < 2) await told('message')
assert.equal(messages[0][1], false, 'text')
assert.ok(messages[0][0].at < messages[1][0].at)

socket.ping('are you there')
assert.equal((await told('pong'))[0].toString(), 'are you there')
socket.send('x'.repeat(200))
socket.close(1000, 'enough')
const [code] = await told('close')
assert.equal(code, 1000)
