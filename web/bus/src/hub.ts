// All tabs of one user over one connection. The hub runs in the SharedWorker, in the tab that leads, or in a lone tab.
//
// Every subscription has a position of its own: what its tab was sent last. The channel has one too: what the connection was sent
// last. A subscription that is behind its channel (it began with an older `since`; its tab was frozen and took nothing) is filled
// from the channel's history until it has caught up, and is told `lost` where history does not reach; live messages are sent to
// the others meanwhile. After a reconnect the channel goes on from its position, and each subscription is looked at again.
import { Link, type World } from './link'
import { UNHANDLED, type FromTab, type Port, type Position, type Refusal, type State, type Status, type Statuses, type ToTab } from './types'

class Tab {
  readonly wants = new Map<number, Subscription | Watch>()
  active = true
  gone = false
  private sent = 0
  private unhandled = 0
  /** It takes nothing more for now: a frozen tab must not fill the memory. */
  behind = false
  reminder: unknown

  constructor(
    readonly id: string,
    readonly port: Port,
  ) {}

  /** Nothing that was sent before counts. */
  begin(): void {
    this.sent = this.unhandled = 0
    this.behind = false
  }

  post(message: ToTab): void {
    if (!this.gone) this.port.postMessage({ ...message, s: ++this.sent })
  }

  /** What the tab acknowledges. */
  push(message: ToTab): void {
    this.post(message)
    this.behind = ++this.unhandled >= UNHANDLED
  }

  /** True when the tab is to be given what it missed. */
  handled(count: number): boolean {
    this.unhandled -= count
    const caughtUp = this.behind && this.unhandled <= UNHANDLED / 4
    if (caughtUp) this.behind = false
    return caughtUp
  }
}

interface Subscription {
  tab: Tab
  n: number
  channel: Channel
  at: Position | undefined
  told: boolean
  live: boolean
  filling: boolean
}

interface Channel {
  name: string
  signature: string | undefined
  /** What the connection was sent last; until the server has answered once, where to begin. */
  at: Position | undefined
  answered: boolean
  subscriptions: Set<Subscription>
}

interface Watch {
  tab: Tab
  n: number
  users: string[]
}

interface Watched {
  status: Status | undefined
  watchers: Set<Watch>
}

const SETTLE = 500
const TOKEN_DEADLINE = 10_000
const RETRY = 2_000
const REMIND = 5_000

export class Hub {
  private link: Link | undefined
  private state: State = 'waiting'
  private user: string | undefined
  private readonly tabs = new Map<string, Tab>()
  private readonly channels = new Map<string, Channel>()
  private readonly watched = new Map<string, Watched>()
  private settling: unknown
  private reported = ''
  private wanted = false

  /** `whenGone(tab, then)` calls `then` once that tab does not exist any more. */
  constructor(
    private readonly world: World,
    private readonly whenGone: (tab: string, then: () => void) => void,
  ) {}

  /** A tab's end of the line; `first` is what already came from it. */
  join(port: Port, first?: FromTab): void {
    let tab: Tab | undefined
    const take = (message: FromTab) => {
      if (message.t === 'attach') tab = this.attach(port, message, tab)
      else if (tab && this.tabs.has(tab.id)) this.take(tab, message)
    }
    port.onmessage = (event) => take(event.data)
    if (first) take(first)
  }

  has(tab: string): boolean {
    return this.tabs.has(tab)
  }

  /** Gives up everything; the tabs go elsewhere. */
  close(): void {
    for (const tab of this.tabs.values()) this.leave(tab)
    this.tabs.clear()
    this.link?.close()
  }

  private leave(tab: Tab): void {
    this.endReminder(tab)
    tab.gone = true
    tab.port.close()
  }

  /** A tab that attaches once more begins anew: what was on its way to it may be gone. */
  private attach(port: Port, message: FromTab & { t: 'attach' }, known?: Tab): Tab {
    const tab = known ?? new Tab(message.tab, port)
    tab.active = message.active
    tab.begin()
    this.endReminder(tab)
    for (const n of [...tab.wants.keys()]) this.endWant(tab, n)
    if (!known) this.whenGone(tab.id, () => this.release(tab))
    this.tabs.set(tab.id, tab)
    tab.post({ t: 'hello' })
    if (this.link) {
      tab.post({ t: 'state', state: this.state })
      this.link.offer(message.token)
    } else {
      this.begin(message.url, message.token)
    }
    this.settle()
    return tab
  }

  private begin(url: string, token: string): void {
    this.state = 'waiting'
    this.user = undefined
    this.wanted = false
    this.link = new Link(url, token, this.world, {
      opened: (answer) => this.opened(answer.user),
      pushed: (push) => this.pushed(push),
      interrupted: () => this.tell('waiting'),
      wantToken: () => this.wantToken(),
      ended: (error) => this.ended(error),
    })
  }

  private release(tab: Tab): void {
    if (!this.tabs.delete(tab.id)) return
    for (const n of [...tab.wants.keys()]) this.endWant(tab, n)
    this.leave(tab)
    this.settle()
    if (this.tabs.size) return
    this.link?.close()
    this.link = undefined
  }

  private take(tab: Tab, message: FromTab): void {
    switch (message.t) {
      case 'subscribe':
        return this.subscribe(tab, message)
      case 'watch':
        return this.watch(tab, message.n, message.users)
      case 'end':
        return this.endWant(tab, message.n)
      case 'ask':
        return this.link!.ask(message.name, message.body, (error, body) => tab.post(error ? { t: 'error', n: message.n, error } : { t: 'answer', n: message.n, body }), true)
      case 'token':
        this.wanted = false
        return this.link!.give(message.token)
      case 'active':
        tab.active = message.active
        return this.settle()
      case 'ack':
        return void (tab.handled(message.count) && this.catchUp(tab))
      case 'check':
        this.remind(tab)
        return this.link!.check()
      case 'bye':
        return this.release(tab)
    }
  }

  // The connection

  private opened(user: string): void {
    this.user ??= user
    if (user !== this.user) return this.ended({ code: 'conflict', message: `the token is of '${user}', the connection was of '${this.user}'` })
    this.reported = ''
    this.tell('open')
    this.subscribeAll([...this.channels.values()])
    this.watchAll([...this.watched.keys()])
    this.settle()
  }

  private tell(state: State): void {
    this.state = state
    for (const tab of this.tabs.values()) tab.post({ t: 'state', state })
  }

  private ended(error: Refusal): void {
    for (const tab of this.tabs.values()) tab.post({ t: 'closed', error })
    const tabs = [...this.tabs.values()]
    this.link?.close()
    for (const tab of tabs) this.release(tab)
  }

  /** One tab that is in use is asked; all of them when there is none, and again while none answers. */
  private wantToken(): void {
    if (this.wanted) return
    this.wanted = true
    const tabs = [...this.tabs.values()]
    const asked = tabs.filter((tab) => tab.active && !tab.behind).slice(-1)
    this.askToken(asked.length ? asked : tabs)
  }

  private askToken(tabs: Tab[]): void {
    for (const tab of tabs) tab.post({ t: 'token' })
    this.world.later(() => this.wanted && this.askToken([...this.tabs.values()]), TOKEN_DEADLINE)
  }

  private pushed(push: any): void {
    if (push.message) this.message(push.message)
    else if (push.lost) this.moved(push.lost)
    else if (push.unsubscribed) this.refuse(this.channels.get(push.unsubscribed.channel), push.unsubscribed.error)
    else if (push.presence) this.statuses(push.presence.users)
  }

  // Channels

  private subscribe(tab: Tab, { n, channel: name, since, signature }: FromTab & { t: 'subscribe' }): void {
    if (tab.wants.has(n)) return
    const known = this.channels.get(name)
    const channel = known ?? { name, signature, at: since, answered: false, subscriptions: new Set() }
    const subscription: Subscription = { tab, n, channel, at: since, told: false, live: false, filling: false }
    channel.subscriptions.add(subscription)
    tab.wants.set(n, subscription)
    this.channels.set(name, channel)
    if (!known) this.subscribeAll([channel])
    else if (channel.answered) this.place(subscription)
  }

  /** Without a connection nothing is asked: the next one begins with all channels. */
  private subscribeAll(channels: Channel[]): void {
    if (this.state !== 'open') return
    const entries = channels.map(({ name, at, signature }) => ({ channel: name, since: at, signature }))
    for (let from = 0; from < entries.length; from += 128) {
      this.link!.ask('subscribe', { channels: entries.slice(from, from + 128) }, (error, body) => {
        for (const [i, channel] of channels.slice(from, from + 128).entries()) this.subscribed(channel, body?.channels[i] ?? { error })
      })
    }
  }

  private subscribed(channel: Channel, answer: any): void {
    if (this.channels.get(channel.name) !== channel) return
    if (answer.error?.retry) return void this.world.later(() => this.channels.get(channel.name) === channel && this.subscribeAll([channel]), RETRY)
    if (answer.error) return this.refuse(channel, answer.error)
    channel.at = { offset: answer.offset, epoch: answer.epoch }
    channel.answered = true
    for (const subscription of channel.subscriptions) this.place(subscription)
  }

  /** Decides how a subscription goes on: live, from history, or with a loss. */
  private place(subscription: Subscription): void {
    const to = subscription.channel.at!
    const from = (subscription.at ??= { ...to })
    if (subscription.filling || subscription.tab.behind) return
    if (from.epoch !== to.epoch) return this.lose(subscription)
    if (from.offset < to.offset) return this.fill(subscription)
    subscription.live = true
    if (!subscription.told) subscription.tab.post({ t: 'at', n: subscription.n, at: from })
    subscription.told = true
  }

  private lose(subscription: Subscription): void {
    subscription.live = subscription.told = true
    subscription.at = { ...subscription.channel.at! }
    subscription.tab.post({ t: 'lost', n: subscription.n, at: subscription.at })
  }

  private fill(subscription: Subscription): void {
    const { channel } = subscription
    const from = subscription.at!
    subscription.live = false
    subscription.filling = true
    this.link!.ask('history', { channel: channel.name, since: from }, (error, body) => {
      subscription.filling = false
      if (!channel.subscriptions.has(subscription)) return
      const before = from.offset
      if (error || body.lost || body.epoch !== from.epoch) return this.lose(subscription)
      for (const { offset, data } of body.messages) this.deliver(subscription, offset, data)
      if (from.offset === before && !subscription.tab.behind && before < channel.at!.offset) return this.lose(subscription)
      this.place(subscription)
    }, true)
  }

  private deliver(subscription: Subscription, offset: number, data: unknown): void {
    const { tab, n, at } = subscription
    if (offset <= at!.offset || tab.behind) return
    at!.offset = offset
    this.push(tab, { t: 'message', n, offset, epoch: at!.epoch, data })
  }

  private push(tab: Tab, message: ToTab): void {
    tab.push(message)
    tab.reminder ??= this.remindLater(tab, REMIND)
  }

  /** The number alone matters: a tab that lost what it was sent before sees it, and attaches once more. */
  private remind(tab: Tab): void {
    tab.post({ t: 'state', state: this.state })
  }

  /** Once after messages; more and more seldom while the tab takes none. */
  private remindLater(tab: Tab, milliseconds: number): unknown {
    return this.world.later(() => {
      this.remind(tab)
      tab.reminder = tab.behind ? this.remindLater(tab, 2 * milliseconds) : undefined
    }, milliseconds)
  }

  private endReminder(tab: Tab): void {
    this.world.cancel(tab.reminder)
    tab.reminder = undefined
  }

  private message({ channel: name, offset, data }: { channel: string; offset: number; data: unknown }): void {
    const channel = this.channels.get(name)
    if (!channel?.at) return // it was just ended
    channel.at.offset = offset
    for (const subscription of channel.subscriptions) {
      if (subscription.tab.behind) subscription.live = false
      if (subscription.live) this.deliver(subscription, offset, data)
    }
  }

  private moved({ channel: name, offset, epoch }: Position & { channel: string }): void {
    const channel = this.channels.get(name)
    if (channel) this.subscribed(channel, { offset, epoch })
  }

  private refuse(channel: Channel | undefined, error: Refusal): void {
    if (!channel) return
    this.channels.delete(channel.name)
    for (const { tab, n } of channel.subscriptions) {
      tab.wants.delete(n)
      tab.post({ t: 'error', n, error })
    }
  }

  private endWant(tab: Tab, n: number): void {
    const want = tab.wants.get(n)
    tab.wants.delete(n)
    if (!want) return
    if ('users' in want) return this.endWatch(want)
    const { channel } = want
    channel.subscriptions.delete(want)
    if (channel.subscriptions.size) return
    this.channels.delete(channel.name)
    this.link!.ask('unsubscribe', { channels: [channel.name] })
  }

  private catchUp(tab: Tab): void {
    this.endReminder(tab)
    for (const want of tab.wants.values()) {
      if ('users' in want) this.show(want)
      else if (want.channel.answered && !want.live) this.place(want)
    }
  }

  // Presence

  private watch(tab: Tab, n: number, users: string[]): void {
    if (tab.wants.has(n)) return
    const watch = { tab, n, users }
    tab.wants.set(n, watch)
    const unknown = users.filter((user) => !this.watched.has(user))
    for (const user of users) {
      const one = this.watched.get(user) ?? { status: undefined, watchers: new Set() }
      this.watched.set(user, one)
      one.watchers.add(watch)
    }
    this.show(watch)
    this.watchAll(unknown)
  }

  private watchAll(users: string[]): void {
    if (!users.length || this.state !== 'open') return
    this.link!.ask('watch', { users }, (error, body) => {
      if (!error) return this.statuses(body.users)
      const watches = new Set(users.flatMap((user) => [...(this.watched.get(user)?.watchers ?? [])]))
      if (!error.retry) for (const { tab, n } of watches) tab.post({ t: 'error', n, error })
    })
  }

  private statuses(users: Statuses): void {
    const changed = new Map<Watch, Statuses>()
    for (const [user, status] of Object.entries(users)) {
      const one = this.watched.get(user)
      if (!one || one.status === status) continue
      one.status = status
      for (const watch of one.watchers) changed.set(watch, { ...changed.get(watch), [user]: status })
    }
    for (const [{ tab, n }, some] of changed) if (!tab.behind) this.push(tab, { t: 'presence', n, users: some })
  }

  /** All that is known. */
  private show({ tab, n, users: names }: Watch): void {
    const users: Statuses = {}
    for (const name of names) {
      const status = this.watched.get(name)?.status
      if (status) users[name] = status
    }
    if (Object.keys(users).length) this.push(tab, { t: 'presence', n, users })
  }

  private endWatch(watch: Watch): void {
    const users = watch.users.filter((user) => {
      const one = this.watched.get(user)
      one?.watchers.delete(watch)
      return one && !one.watchers.size && this.watched.delete(user)
    })
    if (users.length) this.link!.ask('unwatch', { users })
  }

  /** Tells how many tabs are in use, when that has changed and stays so for a moment. */
  private settle(): void {
    this.settling ??= this.world.later(() => {
      this.settling = undefined
      const active = [...this.tabs.values()].filter((tab) => tab.active).length
      const report = { active, idle: this.tabs.size - active }
      const text = JSON.stringify(report)
      if (this.state !== 'open' || !this.link || text === this.reported) return
      this.reported = text
      this.link.ask('activity', report)
    }, SETTLE)
  }
}
