// The live feed: a WebSocket that brings a picture of the server every second, and comes back by itself when it broke.

import { signal, type Signal } from './signal'

export interface RunningCall {
  id: string
  database: string
  session: string
  user: string | null
  method: string
  start: string
  seconds: number
  host: string
  process: number
  activity: string
  activity_seconds: number
  statement: string | null
  /** Whose lock it waits for in the database, in words. */
  blocked_by: string | null
}

/** A session of the database that waits for a lock, or that another waits for. */
export interface LockSession {
  database: string
  backend: number
  /** In the tree: 0 waits for nobody. */
  depth: number
  name: string
  waits_for: number[]
  waiting: number | null
  lock: string | null
  transaction: number | null
  state: string | null
  statement: string | null
}

export interface LiveMethod {
  database: string | null
  method: string
  kind: string
  number: number
  errors: number
  per_second: number
  /** How many ran at once. */
  busy: number
  avg: number
  sql: number
}

export interface LiveCall {
  id: string
  database: string
  session: string
  '#': number
  method: string
  user: string | null
  status: string
  start: string
  time: number
  sql: number
  statements: number
  repeated: number
}

export interface Snapshot {
  at: string
  running: RunningCall[]
  running_total: number
  blocking: { sessions: LockSession[]; problems: string[] }
  per_second: number
  methods: LiveMethod[]
  calls: LiveCall[]
  drops: number
  /** Why the store told nothing. */
  problem: string | null
}

export type Connection = 'connecting' | 'open' | 'lost'

/** How many points the charts hold, and how many recorded calls the list. */
const POINTS = 180
const CALLS = 500
const RETRY = [500, 1000, 2000, 5000]

/** What the page knows: the last picture, and what came before in short. */
export interface Live {
  snapshot: Snapshot | undefined
  times: number[]
  perSecond: number[]
  running: number[]
  calls: LiveCall[]
}

const nothing: Live = { snapshot: undefined, times: [], perSecond: [], running: [], calls: [] }

/** The statement that the call is in; in Python it is in none, though the last one is known. */
export function statementNow(call: RunningCall): string | null {
  return call.activity === 'code' ? null : call.statement
}

/** The state after one more picture. */
export function advance(live: Live, snapshot: Snapshot): Live {
  const kept = <T>(list: T[], next: T) => [...list.slice(Math.max(0, list.length - POINTS + 1)), next]
  const known = new Set(live.calls.slice(0, 100).map((call) => call.id))
  const fresh = snapshot.calls.filter((call) => !known.has(call.id))
  return {
    snapshot,
    times: kept(live.times, Date.parse(snapshot.at) / 1000),
    perSecond: kept(live.perSecond, snapshot.per_second),
    running: kept(live.running, snapshot.running_total),
    calls: [...fresh.sort((a, b) => (a.start < b.start ? 1 : -1)), ...live.calls].slice(0, CALLS),
  }
}

/** Holds the connection while the page is shown. */
export class Feed {
  readonly live: Signal<Live> = signal(nothing)
  readonly connection: Signal<Connection> = signal<Connection>('connecting')
  private socket: WebSocket | undefined
  private timer = 0
  private tries = 0
  private closed = false

  constructor(private readonly url: string) {
    this.connect()
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.socket?.close()
  }

  private connect(): void {
    const socket = new WebSocket(this.url)
    this.socket = socket
    socket.onopen = () => {
      this.tries = 0
      this.connection.set('open')
    }
    socket.onmessage = (message) => this.live.set(advance(this.live.value, JSON.parse(String(message.data)) as Snapshot))
    socket.onclose = () => this.again()
  }

  private again(): void {
    if (this.closed) return
    this.connection.set('lost')
    this.timer = window.setTimeout(() => this.connect(), RETRY[Math.min(this.tries, RETRY.length - 1)])
    this.tries += 1
  }
}

export function feedAddress(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/perf/live`
}
