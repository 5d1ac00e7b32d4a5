// One connection to the server, as a state machine: it connects, says who it is, sends commands and matches their answers, and
// comes back by itself. Sockets, time and chance come from outside, so that a test plays all of them.
//
// Liveness: the server's WebSocket pings are invisible here, so silence of `ping_s` is answered by a ping, and a ping without
// answer by a new socket. The old one is dropped without waiting for its `close`, which may never come. A timer that fires late
// (a sleeping machine, a throttled page) proves nothing: it only asks once more.
import { afterClose, growing } from './backoff'
import type { Refusal } from './types'

export interface Socket {
  onopen: (() => void) | null
  onmessage: ((event: { data: any }) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
  send(text: string): void
  close(): void
}

export interface World {
  socket(url: string): Socket
  now(): number
  later(run: () => void, milliseconds: number): unknown
  cancel(timer: unknown): void
  random(): number
}

export interface LinkOwner {
  opened(answer: { user: string }): void
  pushed(push: any): void
  /** The connection is gone and is made anew. */
  interrupted(): void
  /** A fresh token is needed: `give` it when it is there. */
  wantToken(): void
  /** There will be no other connection. */
  ended(error: Refusal): void
}

export type Done = (error: Refusal | undefined, body?: any) => void

interface Ask {
  name: string
  body: object
  done: Done
  lasting: boolean
  sent: boolean
  timer?: unknown
}

const DEADLINE = 10_000
const LATE = 2_000
const CLOSED: Refusal = { code: 'unavailable', message: 'the bus is closed' }
const RETRY = 1_000
/** A command is tried that long: less than the five minutes for which the server knows a publish's id. */
export const ASK_DEADLINE = 240_000
/** Commands that wait for their answer at once; the others queue, so that a reconnect does not trip the rate limit. */
const IN_FLIGHT = 64

export class Link {
  private socket: Socket | undefined
  private open = false
  private ended = false
  private timer: unknown
  private tries = 0
  private number = 0
  private asks = new Map<number, Ask>()
  private ping = 25_000
  private heard = 0
  private probed = 0
  private askedTwice = false
  /** Milliseconds that are waited for by our own choice: a sign of the network may shorten them. */
  private hasty = false
  private fresh = true
  /** The last connection ended because of its token. */
  private stale = false

  constructor(
    private readonly url: string,
    private token: string,
    private readonly world: World,
    private readonly owner: LinkOwner,
  ) {
    this.connect()
  }

  /** Sends a command now or when there is a connection. A `lasting` one is sent again after a reconnect, others fail. */
  ask(name: string, body: object, done: Done = () => undefined, lasting = false): void {
    if (this.ended) return done(CLOSED)
    const id = ++this.number
    const ask: Ask = { name, body, done, lasting, sent: false }
    ask.timer = this.world.later(() => this.finish(id, { code: 'timed_out', message: `no answer to '${name}'` }), ASK_DEADLINE)
    this.asks.set(id, ask)
    this.pump()
  }

  /** A token: the one that was wanted, or a newer one for the open connection. */
  give(token: string): void {
    this.token = token
    this.fresh = true
    if (this.open) this.ask('refresh', { token })
    else if (!this.socket && !this.timer) this.connect()
  }

  /** A token that somebody else has: where the last one was refused, another is tried at once. */
  offer(token: string): void {
    if (!this.stale || token === this.token) return
    this.stale = false
    this.tries = 0
    this.token = token
    this.fresh = true
    this.connect()
  }

  /** Something suggests that the network changed or the machine slept: look at once. */
  check(): void {
    if (this.open) {
      if (this.heard >= this.probed && this.world.now() - this.heard > 1000) this.probe()
    } else if (this.hasty) {
      this.connect()
    }
  }

  close(): void {
    this.end()
  }

  private end(error?: Refusal): void {
    if (this.ended) return
    this.ended = true
    this.drop()
    for (const id of [...this.asks.keys()]) this.finish(id, error ?? CLOSED)
    if (error) this.owner.ended(error)
  }

  private wait(milliseconds: number, then: () => void): void {
    this.world.cancel(this.timer)
    this.timer = this.world.later(() => {
      this.timer = undefined
      then()
    }, milliseconds)
  }

  private connect(): void {
    if (this.ended) return
    this.drop()
    if (!this.fresh) return // `give` goes on
    const socket = this.world.socket(this.url)
    this.socket = socket
    socket.onopen = () => socket.send(JSON.stringify({ id: ++this.number, connect: { token: this.token, client: 'headroom-bus/1' } }))
    socket.onmessage = (event) => this.receive(JSON.parse(event.data))
    socket.onclose = (event) => this.lost(event.code, event.reason)
    this.wait(DEADLINE, () => this.lost(1006, ''))
  }

  /** Forgets the socket without waiting for anything from it. */
  private drop(): void {
    this.world.cancel(this.timer)
    this.timer = undefined
    this.hasty = this.open = false
    const socket = this.socket
    this.socket = undefined
    if (!socket) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
  }

  private lost(code: number, reason: string): void {
    const wait = afterClose(code, reason, this.tries++, () => this.world.random())
    this.drop()
    for (const [id, ask] of [...this.asks]) {
      ask.sent = false
      if (!ask.lasting) this.finish(id, { code: 'unavailable', message: 'the connection was lost', retry: true })
    }
    if (wait.never) return this.end(wait.never)
    this.hasty = !wait.obeyed
    this.wait(wait.delay, () => this.connect())
    this.owner.interrupted()
    if (wait.token) {
      this.fresh = false
      this.stale = true
      this.owner.wantToken()
    }
  }

  private receive(frame: any): void {
    this.heard = this.world.now()
    if (!this.open && frame.connect) return this.connected(frame.connect)
    if (!this.open && frame.error) return this.refused(frame.error)
    if (frame.expires) return this.owner.wantToken()
    const ask = this.asks.get(frame.id)
    if (!ask) return this.owner.pushed(frame)
    if (frame.error?.retry && ask.lasting) {
      this.world.later(() => {
        ask.sent = false
        this.pump()
      }, growing(0, () => this.world.random()) + RETRY)
    } else {
      this.finish(frame.id, frame.error, frame[ask.name])
    }
  }

  private connected(answer: any): void {
    this.open = true
    this.stale = false
    this.tries = 0
    this.probed = 0
    this.ping = (answer.ping_s ?? 25) * 1000
    this.watch(this.ping)
    this.owner.opened(answer)
    this.pump()
  }

  private refused(error: Refusal): void {
    if (error.retry) this.lost(1006, '')
    else this.end(error)
  }

  private finish(id: number, error: Refusal | undefined, body?: any): void {
    const ask = this.asks.get(id)
    if (!ask) return
    this.asks.delete(id)
    this.world.cancel(ask.timer)
    ask.done(error, body)
    this.pump()
  }

  private pump(): void {
    if (!this.open) return
    let flying = 0
    for (const [id, ask] of this.asks) {
      if (flying++ >= IN_FLIGHT) return
      if (ask.sent) continue
      ask.sent = true
      this.socket!.send(JSON.stringify({ id, [ask.name]: ask.body }))
    }
  }

  private probe(): void {
    this.probed = this.world.now()
    this.socket!.send(JSON.stringify({ id: ++this.number, ping: {} }))
    this.watch(DEADLINE)
  }

  private watch(milliseconds: number): void {
    const due = this.world.now() + milliseconds
    this.wait(milliseconds, () => {
      const now = this.world.now()
      if (this.heard < this.probed) {
        if (now - due < LATE || this.askedTwice) return this.lost(1006, '')
        this.askedTwice = true
        return this.probe()
      }
      this.askedTwice = false
      const silent = now - this.heard
      if (silent >= this.ping) this.probe()
      else this.watch(this.ping - silent)
    })
  }
}
