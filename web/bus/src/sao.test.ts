import { beforeEach, expect, test, vi } from 'vitest'
import type { Handler, Options, Position, SubscribeOptions } from './bus'

/** A bus that writes down what it is asked for, and plays what the test says. */
class PlayedBus {
  readonly handlers = new Map<string, Handler>()
  readonly since = new Map<string, Position | undefined>()
  readonly subscriptions = new Map<string, { channel: string; position: Position | undefined }>()
  readonly onces: Handler[] = []
  closed = false
  private refuse: (() => void) | undefined

  constructor(readonly options: Options) {
    opened.push(this)
  }

  subscribe(channel: string, handler: Handler, { since }: SubscribeOptions) {
    this.handlers.set(channel, handler)
    this.since.set(channel, since)
    const subscription = { channel, position: since }
    this.subscriptions.set(channel, subscription)
    return subscription
  }

  once(handler: Handler) {
    this.onces.push(handler)
    return handler
  }

  on(_: string, listener: () => void) {
    this.refuse = listener
  }

  close() {
    this.closed = true
  }

  token() {
    return (this.options.token as () => string)()
  }

  /** A message arrives. */
  push(channel: string, data: unknown, offset = 1) {
    const at = { offset, epoch: 'e' }
    this.subscriptions.get(channel)!.position = at
    this.handlers.get(channel)!({ channel, data, ...at })
  }

  /** The server accepts no other connection. */
  end() {
    this.closed = true
    this.refuse!()
  }
}

let opened: PlayedBus[] = []
vi.mock('./bus', () => ({ Bus: PlayedBus }))

/** What custom.js finds of SAO, and no more: its session, its poll, its names. */
class Session {
  static current_session: Session | null = null
  constructor(
    public database: string | null,
    public login: string | null,
    public user_id: number | null,
    public session: string | null,
  ) {
    Session.current_session = this
    this.store()
  }

  store() {
    kept.set(`sao_session_${this.database}`, JSON.stringify({ login: this.login, user_id: this.user_id, session: this.session }))
  }

  get_auth() {
    return `${this.login}:${this.user_id}:${this.session}`
  }

  do_logout() {
    if (!this.session) return
    kept.delete(`sao_session_${this.database}`)
    this.database = this.login = this.user_id = this.session = null
    if (Session.current_session === this) Session.current_session = null
  }
}

let kept = new Map<string, string>()
let polls: unknown[][] = []
let handled: unknown[] = []
let sao: { Session: typeof Session; Bus: { id: string; channels: string[]; listen(...rest: unknown[]): void; handle(message: unknown): void }; common: { uuid4(): string } }

beforeEach(async () => {
  opened = []
  kept = new Map()
  polls = []
  handled = []
  let names = 0
  const uuid4 = () => `uuid-${++names}`
  const id = uuid4()
  sao = {
    Session: class extends Session {}, // custom.js changes its prototype
    Bus: { id, channels: [`client:${id}`], listen: (...rest) => void polls.push(rest), handle: (message) => void handled.push(message) },
    common: { uuid4 },
  }
  Session.current_session = null
  vi.stubGlobal('Sao', sao)
  vi.stubGlobal('BUS_VERSION', 'v')
  vi.stubGlobal('localStorage', { getItem: (name: string) => kept.get(name) ?? null })
  vi.resetModules()
  await import('./sao')
})

const alice = () => new sao.Session('shop', 'alice', 7, 'key 1')

test('a session opens the bus of its user, with the channels of the user and of the tab', () => {
  sao.Bus.listen()
  expect(opened).toEqual([]) // nobody has logged in
  alice()
  sao.Bus.listen()
  sao.Bus.listen()
  expect(opened).toHaveLength(1)
  const { options } = opened[0]!
  expect(options).toMatchObject({ url: '/bus/ws', database: 'shop', user: '7@shop', worker: '/bus/bus.worker-v.js' })
  expect(opened[0]!.token()).toBe('Session shop alice:7:key 1')
  expect([...opened[0]!.handlers.keys()]).toEqual(['user:7@shop', 'client:uuid-1@shop'])
  expect(polls).toEqual([])
})

test('what is for the user is handled once among the tabs, what is for the client in the tab', () => {
  alice()
  sao.Bus.listen()
  const [bus] = opened
  expect(bus!.onces).toEqual([bus!.handlers.get('user:7@shop')])
  bus!.push('user:7@shop', 'for the user')
  bus!.push('client:uuid-1@shop', 'for the client')
  expect(handled).toEqual(['for the user', 'for the client'])
})

test('a renewed session opens the bus anew, and goes on where it was', () => {
  const session = alice()
  sao.Bus.listen()
  opened[0]!.push('user:7@shop', 'before', 41)
  session.session = 'key 2'
  session.store()
  sao.Bus.listen()
  expect(opened.map(({ closed }) => closed)).toEqual([true, false])
  expect(opened[1]!.token()).toBe('Session shop alice:7:key 2')
  expect(opened[1]!.since.get('user:7@shop')).toEqual({ offset: 41, epoch: 'e' })
  opened[1]!.push('user:7@shop', 'after', 42)
  expect(handled).toEqual(['before', 'after'])
})

test('where it goes on is the position that the server gave, also after a loss', () => {
  const session = alice()
  sao.Bus.listen()
  opened[0]!.push('user:7@shop', 'before', 41)
  opened[0]!.subscriptions.get('user:7@shop')!.position = { offset: 3, epoch: 'after a restart' }
  session.session = 'key 2'
  sao.Bus.listen()
  expect(opened[1]!.since.get('user:7@shop')).toEqual({ offset: 3, epoch: 'after a restart' })
})

test('a session that was renewed in another tab gives its key to this one, and that of another user does not', () => {
  alice()
  sao.Bus.listen()
  kept.set('sao_session_shop', JSON.stringify({ login: 'alice', user_id: 7, session: 'key of the other tab' }))
  expect(opened[0]!.token()).toBe('Session shop alice:7:key of the other tab')
  for (const other of [{ login: 'bob', user_id: 8, session: "bob's" }, { login: 'alice', user_id: 7, session: null }, null]) {
    kept.set('sao_session_shop', JSON.stringify(other))
    expect(opened[0]!.token()).toBe('Session shop alice:7:key 1')
  }
  kept.clear()
  expect(opened[0]!.token()).toBe('Session shop alice:7:key 1')
})

test('a renewal that failed opens nothing: SAO listens then too', () => {
  const session = alice()
  sao.Bus.listen()
  session.user_id = session.session = null // as SAO does, before it logs out
  sao.Bus.listen()
  session.do_logout()
  sao.Bus.listen()
  expect(opened.map(({ closed }) => closed)).toEqual([true])
  expect(polls).toEqual([])
})

test('where the bus is refused SAO polls, poll after poll, until the session is another', () => {
  const session = alice()
  sao.Bus.listen()
  opened[0]!.end()
  expect(polls).toEqual([[]])
  sao.Bus.listen('last message', 1)
  expect(polls).toEqual([[], ['last message', 1]])
  session.session = 'key 2'
  sao.Bus.listen()
  expect(opened).toHaveLength(2) // tried again
  sao.Bus.listen('last message', 1)
  expect(polls).toHaveLength(2) // the poll of before does not go on beside the bus
  opened[1]!.end()
  expect(polls).toHaveLength(3)
})

test('a bus that ends after the logout does not poll for whoever comes next', () => {
  const session = alice()
  sao.Bus.listen()
  session.do_logout()
  new sao.Session('shop', 'bob', 8, "bob's")
  opened[0]!.end()
  expect(polls).toEqual([])
})

test('who logs in next is another client, from whom nothing of the one before comes', () => {
  const session = alice()
  sao.Bus.channels.push('of a module')
  sao.Bus.listen()
  opened[0]!.push('client:uuid-1@shop', 'for alice', 5)
  session.do_logout()
  expect(opened[0]!.closed).toBe(true)
  new sao.Session('shop', 'bob', 8, "bob's")
  sao.Bus.listen()
  expect(sao.Bus.id).toBe('uuid-2')
  expect([...opened[1]!.since]).toEqual([['user:8@shop', undefined], ['client:uuid-2@shop', undefined], ['of a module@shop', undefined]])
  opened[0]!.push('user:7@shop', 'too late')
  opened[1]!.push('user:8@shop', 'for bob')
  expect(handled).toEqual(['for alice', 'for bob'])
})

test('the same user who comes back is another session', () => {
  const session = alice()
  sao.Bus.listen()
  session.do_logout()
  alice()
  sao.Bus.listen()
  expect(opened.map(({ closed }) => closed)).toEqual([true, false])
  expect([...opened[1]!.since.values()]).toEqual([undefined, undefined])
})
