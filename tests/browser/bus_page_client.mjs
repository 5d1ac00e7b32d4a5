// A client of the bus, as a browser tab is one, with the `ws` of Node.
import { strict as assert } from 'node:assert'
import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import { base, DEADLINE } from './harness.mjs'

const { ws: WebSocket } = createRequire(new URL('../../web/package.json', import.meta.url))('playwright-core/lib/utilsBundle')
const key = process.env.HEADROOM_BUS_KEY

function tokenOf(user) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, iat: now, exp: now + 3600 })}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

export class Client {
  /** What it got, as [channel, data]. */
  messages = []
  #answers = new Map()
  #number = 0

  static async connect(user, ...channels) {
    const client = new Client()
    client.socket = new WebSocket(base.replace('http', 'ws') + '/bus/ws', { maxPayload: 16 * 1024 * 1024 })
    client.socket.on('message', (data) => client.#take(JSON.parse(data.toString())))
    await new Promise((resolve, reject) => client.socket.once('open', resolve).once('error', reject))
    await client.ask({ connect: { token: tokenOf(user) } })
    if (channels.length > 0) await client.ask({ subscribe: { channels } })
    return client
  }

  /** The answer to a command, which must not be an error. */
  async ask(command) {
    this.#number += 1
    const answer = new Promise((resolve) => this.#answers.set(this.#number, resolve))
    this.socket.send(JSON.stringify({ id: this.#number, ...command }))
    const got = await answer
    assert.equal(got.error, undefined, JSON.stringify(got))
    return got
  }

  publish(channel, data) {
    return this.ask({ publish: { channel, data } })
  }

  async got(count) {
    const end = Date.now() + DEADLINE
    while (this.messages.length < count) {
      assert.ok(Date.now() < end, `${this.messages.length} messages came, ${count} were expected`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return this.messages
  }

  close() {
    this.socket.terminate()
  }

  #take(object) {
    if (object.message) this.messages.push([object.message.channel, object.message.data])
    this.#answers.get(object.id)?.(object)
    this.#answers.delete(object.id)
  }
}
