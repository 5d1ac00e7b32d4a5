// For the tests: a world whose time, chance and sockets the test plays, and tabs that write down what they get.
import { Hub } from './hub'
import type { Socket, World } from './link'
import type { FromTab, Numbered, Port, ToTab } from './types'

export class FakeSocket implements Socket {
  onopen: (() => void) | null = null
  onmessage: ((event: { data: any }) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  closed = false
  private taken = 0
  readonly sent: any[] = []

  constructor(readonly url: string) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {
    this.closed = true
  }

  /** What was sent since the last look, without the ids. */
  look(): any[] {
    const fresh = this.sent.slice(this.taken)
    this.taken = this.sent.length
    return fresh.map(({ id: _, ...command }) => command)
  }

  push(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }

  /** Answers the newest command of that name. */
  answer(name: string, body: object, more = {}): void {
    const command = this.sent.filter((one) => name in one).pop()
    this.push({ id: command.id, [name]: body, ...more })
  }

  welcome(user = 'alice'): void {
    this.onopen?.()
    this.answer('connect', { connection: 'c1', user, protocol: 1, ping_s: 25 })
    this.look()
  }

  end(code = 1006, reason: object | string = ''): void {
    this.onclose?.({ code, reason: typeof reason === 'string' ? reason : JSON.stringify(reason) })
  }
}

export class FakeWorld implements World {
  readonly sockets: FakeSocket[] = []
  chance = 0
  private time = 1_000_000
  private number = 0
  private timers = new Map<number, { at: number; run: () => void }>()

  socket(url: string): Socket {
    const made = new FakeSocket(url)
    this.sockets.push(made)
    return made
  }

  get last(): FakeSocket {
    return this.sockets[this.sockets.length - 1]!
  }

  now(): number {
    return this.time
  }

  later(run: () => void, milliseconds: number): unknown {
    this.timers.set(++this.number, { at: this.time + milliseconds, run })
    return this.number
  }

  cancel(timer: unknown): void {
    this.timers.delete(timer as number)
  }

  random(): number {
    return this.chance
  }

  get waiting(): number {
    return this.timers.size
  }

  /** Time goes by, and each timer runs in its turn. */
  pass(milliseconds: number): void {
    const until = this.time + milliseconds
    for (;;) {
      const [id, next] = [...this.timers].sort((a, b) => a[1].at - b[1].at)[0] ?? []
      if (!next || next.at > until) break
      this.timers.delete(id!)
      this.time = Math.max(this.time, next.at)
      next.run()
    }
    this.time = until
  }

  /** The machine sleeps: time goes by, and timers run late, once it wakes. */
  sleep(milliseconds: number): void {
    this.time += milliseconds
    this.pass(0)
  }
}

export class FakeTab implements Port {
  onmessage: ((event: { data: any }) => void) | null = null
  closed = false
  private got: ToTab[] = []
  private heard = 0

  constructor(
    hub: Hub,
    readonly id: string,
    token = 'a token',
  ) {
    hub.join(this)
    this.say({ t: 'attach', tab: id, url: 'ws://here/bus/ws', token, active: true })
  }

  say(message: FromTab): void {
    this.onmessage?.({ data: structuredClone(message) })
  }

  postMessage({ s, ...message }: Numbered): void {
    if (s !== (message.t === 'hello' ? 1 : this.heard + 1)) throw new Error(`${JSON.stringify(message)} has the number ${s} after ${this.heard}`)
    this.heard = s
    this.got.push(structuredClone(message) as ToTab)
  }

  close(): void {
    this.closed = true
  }

  /** What came since the last look. */
  look(): ToTab[] {
    return this.got.splice(0)
  }

  /** The data of the messages among it. */
  data(): unknown[] {
    return this.look().flatMap((message) => (message.t === 'message' ? [message.data] : []))
  }
}
