// The messages of the bus as they pass: a WebSocket that comes back by itself, and a list that stays small whatever comes.

import { signal, type Signal } from '../signal'
import type { Connection } from '../live'

export interface TailMessage {
  /** Names it in this list. */
  key: string
  /** When it came, in milliseconds; undefined for one that was kept before. */
  at: number | undefined
  channel: string
  offset: number
  /** JSON as it was sent. */
  text: string
}

export interface Tail {
  /** The newest first. */
  messages: TailMessage[]
  /** Of the texts in it. */
  characters: number
  /** How many came since the page is open. */
  came: number
  /** Of the history that was asked for, and how far it was read. */
  epoch: string | undefined
  newest: number
}

export interface History {
  offset: number
  epoch: string
  lost: boolean
  messages: { offset: number; data: unknown }[]
}

export const noTail: Tail = { messages: [], characters: 0, came: 0, epoch: undefined, newest: 0 }

export const MOST_MESSAGES = 500
export const MOST_CHARACTERS = 8_000_000
const RETRY = [500, 1000, 2000, 5000]
const HEAD = /^\{"channel":"([^"]*)","offset":(\d+),"data":/

/** A frame of the live tail; its data stays byte for byte, since numbers may be larger than JavaScript's. */
export function readFrame(frame: string, at: number): TailMessage | undefined {
  const head = HEAD.exec(frame)
  if (head === null || !frame.endsWith('}')) return undefined
  const channel = head[1]!
  return { key: `${channel}@${head[2]!}`, at, channel, offset: Number(head[2]), text: frame.slice(head[0].length, -1) }
}

/** The oldest go where there are too many, or too much; one message stays, however large. */
function bounded(tail: Tail): Tail {
  const messages = tail.messages.slice(0, MOST_MESSAGES)
  let characters = 0
  let end = 0
  while (end < messages.length && (end === 0 || characters + messages[end]!.text.length <= MOST_CHARACTERS)) {
    characters += messages[end]!.text.length
    end += 1
  }
  return { ...tail, messages: messages.slice(0, end), characters }
}

/** The list after messages that came, in their order. */
export function withCome(tail: Tail, come: TailMessage[]): Tail {
  const known = new Set(tail.messages.map((message) => message.key))
  const fresh = come.filter((message) => !known.has(message.key) && known.add(message.key))
  return bounded({ ...tail, messages: [...fresh.reverse(), ...tail.messages], came: tail.came + fresh.length })
}

/** Where the next look at what a channel keeps begins; without a position the first one does. */
export function nextLook(tail: Tail): { offset?: number; epoch?: string } {
  return tail.epoch === undefined ? {} : { offset: tail.newest, epoch: tail.epoch }
}

/** The list after a look at what a channel keeps. What came while nobody told stands on top; what was there before, below. Another
 * epoch is another history: what the list knew of the old one could be taken for messages of this one, and goes. */
export function withKept(tail: Tail, channel: string, history: History, at: number): Tail {
  if (history.lost) return { ...tail, messages: tail.messages.filter((message) => message.channel !== channel), epoch: undefined, newest: 0 }
  const isOther = tail.epoch !== undefined && tail.epoch !== history.epoch
  const before = isOther ? tail.messages.filter((message) => message.channel !== channel) : tail.messages
  const own = before.filter((message) => message.channel === channel)
  const known = new Set(own.map((message) => message.offset))
  const isFirst = tail.epoch === undefined || isOther
  const shown = Math.max(0, ...known)
  const read = isFirst ? 0 : tail.newest
  const isNew = (offset: number) => !isFirst || (shown > 0 && offset > shown)
  const made = history.messages.filter(({ offset }) => !known.has(offset) && offset > read).map(({ offset, data }): TailMessage => ({
    key: `${channel}@${offset}`, channel, offset, text: JSON.stringify(data), at: isNew(offset) ? at : undefined }))
  const reached = Math.max(read, history.messages.at(-1)?.offset ?? (isFirst ? history.offset : 0))
  const above = made.filter((message) => message.at !== undefined)
  const below = made.filter((message) => message.at === undefined)
  return bounded({ ...tail, epoch: history.epoch, newest: reached, came: tail.came + above.length,
    messages: [...above.reverse(), ...before, ...below.reverse()] })
}

/** The empty list; what is cleared away does not come back with the next look. */
export function withoutMessages(tail: Tail, channel: string): Tail {
  const shown = tail.messages.filter((message) => message.channel === channel).map((message) => message.offset)
  return { ...noTail, epoch: tail.epoch, newest: Math.max(tail.newest, ...shown) }
}

/** Messages whose channel or text holds every word, whatever the case. */
export function matching(messages: TailMessage[], filter: string): TailMessage[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== '')
  if (words.length === 0) return messages
  return messages.filter((message) => {
    const text = `${message.channel}\n${message.text}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

/** Holds the connection while the tail is shown. Many messages in a moment are one change of the list. */
export class TailFeed {
  readonly tail: Signal<Tail> = signal(noTail)
  readonly connection: Signal<Connection> = signal<Connection>('connecting')
  private socket: WebSocket | undefined
  private timer = 0
  private drawing = 0
  private waiting: TailMessage[] = []
  private tries = 0
  private closed = false

  constructor(private readonly url: string) {
    this.connect()
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    clearTimeout(this.drawing)
    this.socket?.close()
  }

  kept(channel: string, history: History): void {
    this.tell()
    this.tail.set(withKept(this.tail.value, channel, history, Date.now()))
  }

  clear(channel: string): void {
    this.tell()
    this.tail.set(withoutMessages(this.tail.value, channel))
  }

  private connect(): void {
    const socket = new WebSocket(this.url)
    this.socket = socket
    socket.onopen = () => {
      this.tries = 0
      this.connection.set('open')
    }
    socket.onmessage = (frame) => this.take(String(frame.data))
    socket.onclose = () => this.again()
  }

  private take(frame: string): void {
    const message = readFrame(frame, Date.now())
    if (message === undefined) return
    this.waiting.push(message)
    if (this.waiting.length > MOST_MESSAGES) this.waiting.shift()
    if (this.drawing === 0) this.drawing = window.setTimeout(() => this.tell(), 100)
  }

  private tell(): void {
    clearTimeout(this.drawing)
    this.drawing = 0
    const come = this.waiting
    this.waiting = []
    if (come.length > 0) this.tail.set(withCome(this.tail.value, come))
  }

  private again(): void {
    if (this.closed) return
    this.connection.set('lost')
    this.timer = window.setTimeout(() => this.connect(), RETRY[Math.min(this.tries, RETRY.length - 1)])
    this.tries += 1
  }
}

export function tailAddress(prefix: string): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/bus/live?prefix=${encodeURIComponent(prefix)}`
}
