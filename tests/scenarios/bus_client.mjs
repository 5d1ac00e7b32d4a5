// A client of the bus with the `ws` of Node, as the browser tests carry it: subscribes, publishes, drops, resumes.
import { strict as assert } from 'node:assert'
import { createRequire } from 'node:module'

const [url, modules, token] = process.argv.slice(2)
const { ws: WebSocket } = createRequire(modules + '/')('playwright-core/lib/utilsBundle')

async function open() {
  const socket = new WebSocket(url)
  const waiting = []
  const queue = []
  socket.on('message', (data, isBinary) => {
    assert.equal(isBinary, false)
    const object = JSON.parse(data.toString())
    if (waiting.length) waiting.shift()(object)
    else queue.push(object)
  })
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  const next = () => (queue.length ? Promise.resolve(queue.shift()) : new Promise((resolve) => waiting.push(resolve)))
  const ask = (command) => {
    socket.send(JSON.stringify(command))
    return next()
  }
  assert.equal((await ask({ id: 1, connect: { token } })).connect.protocol, 1)
  return { socket, next, ask }
}

const first = await open()
const [at] = (await first.ask({ id: 2, subscribe: { channels: ['room:node'] } })).subscribe.channels
first.socket.send(JSON.stringify({ id: 3, publish: { channel: 'room:node', data: 'one' } }))
const both = [await first.next(), await first.next()]
assert.equal(both.find((object) => object.id === 3).publish.offset, 1)
assert.equal(both.find((object) => object.message).message.data, 'one')
first.socket.terminate()

const second = await open()
await second.ask({ id: 2, publish: { channel: 'room:node', data: 'two' } })
const since = { offset: 1, epoch: at.epoch }
const [back] = (await second.ask({ id: 3, subscribe: { channels: [{ channel: 'room:node', since }] } })).subscribe.channels
assert.equal(back.recovered, true)
assert.equal((await second.next()).message.data, 'two')
const closed = new Promise((resolve) => second.socket.once('close', resolve))
second.socket.close(1000)
assert.equal(await closed, 1000)
