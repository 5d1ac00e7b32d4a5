// The bus in a page: what an application calls. Everything that must survive a change of the hub is kept here, in the tab:
// its subscriptions with their positions, its watches, and what it published without an answer so far.
import { once } from './once'
import { tabLock } from './browser'
import { ACKNOWLEDGE, type FromTab, type Handler, type Numbered, type Port, type Position, type Published, type Refusal, type State, type Statuses, type ToTab } from './types'
import { alone, led, loadHub, shared, type Place, type Way } from './ways'

export type { Handler, Message, Position, Published, Refusal, State, Status, Statuses } from './types'

declare const BUS_VERSION: string

export interface Options {
  /** The WebSocket of the server, absolute or relative to the page: "/bus/ws". */
  url: string
  /** The token, or what fetches one; called again whenever a fresh one is needed. */
  token: string | (() => string | Promise<string>)
  /** Whose token it is. May be left out when the token is a JWT, whose `sub` says it. */
  user?: string
  /** Two databases of one server have users of their own. */
  database?: string
  /** Where the worker's script is, of the page's own origin; by default beside this script. */
  worker?: string
  /** Milliseconds without any input after which this tab is not in use; a hidden tab never is. */
  idle?: number
}

export interface SubscribeOptions {
  /** Go on after this position: the one that was rendered with the page, or one that was kept. */
  since?: Position | undefined
  signature?: string | undefined
  /** Messages after `since` are gone: load the state anew; the subscription goes on from `position`. */
  lost?: (position: Position) => void
}

export interface Subscription {
  readonly channel: string
  /** What was handled last; undefined until the server has answered. */
  readonly position: Position | undefined
  /** When the server has answered; fails when the channel may not be read. */
  readonly ready: Promise<Position>
  close(): void
}

export interface Events {
  /** Messages of a channel are gone: the application loads its state anew. */
  lost: { channel: string; position: Position }
  /** A channel may not be read, or not any more. */
  denied: { channel: string; error: Refusal }
  state: State
  /** The server accepts no other connection; the reason. */
  closed: Refusal
}

export class BusError extends Error {
  readonly code: string
  constructor({ code, message }: Refusal) {
    super(message || code)
    this.name = 'BusError'
    this.code = code
  }
}

/** Something the tab wants of the hub: `again` is what asks for it, at first and from each new hub. */
interface Want {
  again(): FromTab
  take(message: ToTab & { n: number }): void
  fail?(error: Refusal): void
}

const TRY_AGAIN = 5_000
const MOST_WAITING = 1000
/** Less than the five minutes for which the server knows a publish's id, so that none is published twice. */
const ANSWER_WITHIN = 240_000

export class Bus {
  private readonly listeners = new Map<string, Set<(value: any) => void>>()
  private readonly wants = new Map<number, Want>()
  private readonly key: string
  private readonly scope: string
  private number = 0
  private waiting = 0
  private handled = 0
  private current: State = 'waiting'
  private token: string | undefined
  private port: Port | undefined
  private greeted = false
  /** The number of what the hub said last. */
  private heard = 0
  private place: Place | undefined
  private way: Way | undefined
  private leaving: (() => void) | undefined
  private idleTimer: ReturnType<typeof setTimeout> | undefined
  private active = true
  private readonly ended = new AbortController()
  private refusesWorker = false

  constructor(private readonly options: Options & { user: string }, token?: string) {
    this.token = token
    const url = this.url()
    this.scope = JSON.stringify([url, options.database, options.user])
    this.key = BUS_VERSION + this.scope
    this.listen()
    void this.arrive()
  }

  get state(): State {
    return this.current
  }

  /** Calls `handler` with each message, in order. Errors: `ready` fails, and `denied` is said, when it may not be read. */
  subscribe<T = unknown>(channel: string, handler: Handler<T>, { since, signature, lost }: SubscribeOptions = {}): Subscription {
    let position = since && { ...since }
    let told: { resolve(position: Position): void; reject(error: Error): void }
    const ready = new Promise<Position>((resolve, reject) => (told = { resolve, reject }))
    ready.catch(() => undefined)
    const n = this.want({
      again: () => ({ t: 'subscribe', n, channel, since: position, signature }),
      take: (message) => {
        if (message.t === 'message') {
          const { offset, epoch, data } = message
          // What a hub sent before it went may arrive when the next one has sent it too.
          if (position?.epoch === epoch && offset <= position.offset) return
          position = { offset, epoch }
          handler({ channel, offset, epoch, data: data as T })
        } else if (message.t === 'at' || message.t === 'lost') {
          position = { ...message.at }
          told.resolve(position)
          if (message.t === 'at') return
          lost?.(position)
          this.say('lost', { channel, position })
        }
      },
      fail: (error) => {
        this.wants.delete(n)
        told.reject(new BusError(error))
        this.say('denied', { channel, error })
      },
    })
    return {
      channel,
      ready,
      get position() {
        return position
      },
      close: () => this.unwant(n),
    }
  }

  /** Resolves when the server keeps the message. Sent again until answered; with the same `id` it stands in the channel once. */
  publish(channel: string, data: unknown, { id = identity() }: { id?: string } = {}): Promise<Published> {
    return this.ask<Published>('publish', { channel, data, id })
  }

  /** The status of these users now and at each change. Returns what ends it. */
  presence(users: string[], handler: (statuses: Statuses) => void): () => void {
    const n = this.want({
      again: () => ({ t: 'watch', n, users }),
      take: (message) => message.t === 'presence' && handler(message.users),
      fail: (error) => console.error(new BusError(error)),
    })
    return () => this.unwant(n)
  }

  /** Who is in a channel. */
  who(channel: string): Promise<{ users: string[]; connections: number; more?: boolean }> {
    return this.ask('who', { channel })
  }

  /** A handler that runs in exactly one of the tabs that get a message. Two effects of one message have two names. */
  once<T = unknown>(handler: Handler<T>, name = ''): Handler<T> {
    return once(this.scope, handler, name)
  }

  /** Returns what ends it. */
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    const all = this.listeners.get(event) ?? new Set()
    this.listeners.set(event, all)
    all.add(listener)
    return () => all.delete(listener)
  }

  close(): void {
    this.finish({ code: 'unavailable', message: 'the bus was closed' })
  }

  private finish(error: Refusal): void {
    if (this.current === 'closed') return
    this.depart()
    this.ended.abort()
    clearTimeout(this.idleTimer)
    for (const want of [...this.wants.values()]) want.fail?.(error)
    this.wants.clear()
    this.show('closed')
  }

  private say<E extends keyof Events>(event: E, value: Events[E]): void {
    for (const listener of this.listeners.get(event) ?? []) listener(value)
  }

  private show(state: State): void {
    if (this.current === state) return
    this.current = state
    this.say('state', state)
  }

  // What the tab wants

  private want(want: Want): number {
    const n = ++this.number
    if (this.current === 'closed') {
      queueMicrotask(() => want.fail?.({ code: 'unavailable', message: 'the bus was closed' }))
      return n
    }
    this.wants.set(n, want)
    // Not before the caller knows `n`.
    queueMicrotask(() => this.greeted && this.wants.has(n) && this.post(want.again()))
    return n
  }

  private unwant(n: number): void {
    if (this.wants.delete(n)) this.post({ t: 'end', n })
  }

  private ask<T>(name: string, body: object): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.waiting >= MOST_WAITING) return reject(new BusError({ code: 'overloaded', message: `${MOST_WAITING} commands wait for their answers` }))
      this.waiting += 1
      const end = (error: Refusal | undefined, answer?: unknown) => {
        if (!this.wants.delete(n) && !error) return
        clearTimeout(timer)
        this.waiting -= 1
        if (error) reject(new BusError(error))
        else resolve(answer as T)
      }
      const n = this.want({
        again: () => ({ t: 'ask', n, name, body }),
        take: (message) => message.t === 'answer' && end(undefined, message.body),
        fail: end,
      })
      const timer = setTimeout(() => end({ code: 'timed_out', message: `no answer to '${name}' of ${JSON.stringify(body).slice(0, 80)}` }), ANSWER_WITHIN)
    })
  }

  // The hub

  private post(message: FromTab): void {
    if (this.greeted) this.port?.postMessage(message)
  }

  private async arrive(): Promise<void> {
    try {
      this.token ??= await this.fetchToken()
    } catch (error) {
      return this.arriveLater(error)
    }
    if (this.place || this.current === 'closed') return
    const tab = identity()
    const place: Place = {
      key: this.key,
      tab,
      worker: this.options.worker ?? import.meta.url.replace(/[^/]*$/, `bus.worker-${BUS_VERSION}.js`),
      attach: () => ({ t: 'attach', tab, url: this.url(), token: this.token!, active: this.active }),
      arrived: (port) => this.meet(port, place),
      failed: () => {
        if (this.greeted || this.place !== place) return
        this.refusesWorker = true
        this.way?.leave()
        void this.take(place)
      },
    }
    this.place = place
    if (!navigator.locks) return void this.take(place)
    // Held while this tab lives: that is how the hub notices its end.
    const held = new Promise<void>((resolve) => (this.leaving = resolve))
    void navigator.locks.request(tabLock(tab), () => {
      if (this.place !== place) return undefined
      void this.take(place)
      return held
    })
  }

  private async take(place: Place): Promise<void> {
    const way = this.choose()
    try {
      if (way !== shared) place.hub = await loadHub(place.worker)
      if (this.place === place) this.way = way(place)
    } catch (error) {
      if (way === shared) return place.failed()
      if (this.place !== place) return
      this.depart()
      this.arriveLater(error)
    }
  }

  private arriveLater(error: unknown): void {
    console.error(error)
    setTimeout(() => void this.arrive(), TRY_AGAIN)
  }

  private meet(port: Port, place: Place): void {
    this.port?.close()
    this.port = port
    port.onmessage = (event) => this.receive(event.data)
    this.attach(place)
  }

  private attach(place: Place): void {
    this.greeted = false
    if (this.current === 'open') this.show('waiting')
    this.port!.postMessage(place.attach())
  }

  private depart(): void {
    this.post({ t: 'bye' })
    this.way?.leave()
    this.port?.close()
    this.leaving?.()
    this.way = this.port = this.leaving = this.place = undefined
    this.greeted = false
  }

  private receive(message: Numbered): void {
    if (message.t !== 'hello') {
      if (!this.greeted) return
      if (message.s !== this.heard + 1) return this.attach(this.place!)
    }
    this.heard = message.s
    switch (message.t) {
      case 'hello':
        this.greeted = true
        this.handled = 0
        this.way?.greeted()
        for (const want of [...this.wants.values()]) this.post(want.again())
        return
      case 'state':
        return this.show(message.state)
      case 'token':
        return void this.fetchToken().then((token) => this.post({ t: 'token', token: (this.token = token) }), console.error)
      case 'closed':
        this.say('closed', message.error)
        return this.finish(message.error)
      case 'error':
        return this.wants.get(message.n)?.fail?.(message.error)
    }
    try {
      this.wants.get(message.n)?.take(message)
    } finally {
      if (message.t === 'message' || message.t === 'presence') this.acknowledge()
    }
  }

  private acknowledge(): void {
    if (++this.handled < ACKNOWLEDGE) return
    this.post({ t: 'ack', count: this.handled })
    this.handled = 0
  }

  private async fetchToken(): Promise<string> {
    const { token } = this.options
    return typeof token === 'string' ? token : token()
  }

  private url(): string {
    const url = new URL(this.options.url, location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    return url.href
  }

  // The page's life

  private listen(): void {
    const signal = this.ended.signal
    const on = (target: EventTarget, event: string, run: (event: any) => void) => target.addEventListener(event, run, { signal, passive: true, capture: true })
    const check = () => this.check()
    on(window, 'pagehide', (event: PageTransitionEvent) => (event.persisted ? this.depart() : this.post({ t: 'bye' })))
    on(window, 'pageshow', (event: PageTransitionEvent) => (event.persisted ? void this.arrive() : check()))
    // The tab that leads must not take the others into its sleep.
    on(document, 'freeze', () => this.way && this.choose() === led && this.depart())
    on(document, 'resume', () => (this.way ? check() : void this.arrive()))
    on(window, 'online', check)
    on(document, 'visibilitychange', () => {
      this.use()
      if (!document.hidden) check()
    })
    for (const event of ['pointerdown', 'keydown', 'wheel']) on(document, event, () => this.use())
    this.use()
  }

  private check(): void {
    this.post({ t: 'check' })
    this.way?.check?.()
  }

  private choose(): (place: Place) => Way {
    if (!navigator.locks) return alone
    return typeof SharedWorker === 'function' && !this.refusesWorker ? shared : led
  }

  /** The tab is in use until it is hidden or had no input for a while. */
  private use(): void {
    this.setActive(!document.hidden)
    clearTimeout(this.idleTimer)
    this.idleTimer = setTimeout(() => this.setActive(false), this.options.idle ?? 60_000)
  }

  private setActive(active: boolean): void {
    if (active === this.active) return
    this.active = active
    this.post({ t: 'active', active })
    if (active) this.check()
  }
}

/** `crypto.randomUUID` is missing on a page that came over plain http. */
function identity(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

function subject(token: string): string | undefined {
  try {
    return JSON.parse(atob(token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/'))).sub
  } catch {
    return undefined
  }
}

/** Opens the bus of a user. Errors: `user` is missing and the token is not a JWT that names one. */
export function connect(options: Options): Bus {
  const token = typeof options.token === 'string' ? options.token : undefined
  const user = options.user ?? (token && subject(token))
  if (!user) throw new TypeError("connect: 'user' is needed, since the token does not name one before it is fetched")
  return new Bus({ ...options, user }, token)
}
