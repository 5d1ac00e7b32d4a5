// The counts of a user as they change: server-sent events, read by `fetch`, since a browser's EventSource sends no token.

import { ApiError, errorOf } from '../api'
import { signal, type Signal } from '../signal'
import type { News } from './lists'

export interface ServerEvent {
  name: string
  data: string
}

/** What of a stream was not a whole event yet, at most. */
const MOST_PENDING = 8_000_000
const RETRY = [500, 1000, 2000, 5000]
/** Many changes in a moment are drawn once. */
const DRAW_MS = 60

/** Splits a stream into its events. */
export class EventReader {
  private rest = ''

  push(text: string): ServerEvent[] {
    const blocks = (this.rest + text).split('\n\n')
    this.rest = blocks.pop()!
    if (this.rest.length > MOST_PENDING) throw new ApiError(0, 'too_large', 'an event of the work lists is too large')
    return blocks.map(eventOf).filter((event) => event.data !== '')
  }
}

function eventOf(block: string): ServerEvent {
  const event = { name: 'message', data: '' }
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) event.name = line.slice(7)
    else if (line.startsWith('data: ')) event.data += line.slice(6)
  }
  return event
}

/** What was told of the counts since the page is open. */
export interface Told {
  news: ReadonlyMap<string, News>
  state: string
  /** Of the state, with what it waits for. */
  text: string
  /** How many numbers changed. */
  changes: number
}

export const nothingTold: Told = { news: new Map(), state: '', text: '', changes: 0 }

interface CountsEvent {
  counts: Record<string, number | null>
}

/** What is known after an event. The first one of a stream tells every number; only another than was known is a change. */
export function afterEvent(told: Told, event: ServerEvent, at: number): Told {
  if (event.name === 'state') {
    const { state, text } = JSON.parse(event.data) as { state: string; text: string }
    return { ...told, state, text }
  }
  if (event.name !== 'counts') return told
  const news = new Map(told.news)
  let changes = 0
  for (const [list, count] of Object.entries((JSON.parse(event.data) as CountsEvent).counts)) {
    const known = news.get(list)
    if (known?.count === count) continue
    news.set(list, { count, at: known === undefined ? 0 : at })
    if (known !== undefined) changes += 1
  }
  return { ...told, news, changes: told.changes + changes }
}

/** `none`: no list is counted live, so there is nothing to listen to. */
export type Listening = 'connecting' | 'open' | 'lost' | 'none' | 'ended'

/** Listens while the page is shown, and comes back by itself. */
export class CountFeed {
  readonly told: Signal<Told> = signal(nothingTold)
  readonly listening: Signal<Listening> = signal<Listening>('connecting')
  /** Why it ended: the token or the right is gone. */
  problem: ApiError | undefined
  private readonly stop = new AbortController()
  private next = nothingTold
  private timer = 0
  private drawing = 0
  private tries = 0

  constructor(private readonly url: string, private readonly headers: Record<string, string>) {
    void this.listen()
  }

  close(): void {
    this.stop.abort()
    clearTimeout(this.timer)
    clearTimeout(this.drawing)
  }

  private async listen(): Promise<void> {
    try {
      const response = await fetch(this.url, { headers: this.headers, credentials: 'same-origin', signal: this.stop.signal, cache: 'no-store' })
      if (!response.ok || response.body === null) return this.refused(response.status, await response.text())
      this.tries = 0
      this.listening.set('open')
      await this.read(response.body.getReader())
    } catch {
      // Cut, or closed by this page.
    }
    this.again()
  }

  private async read(stream: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    const events = new EventReader()
    for (;;) {
      const { done, value } = await stream.read()
      if (done) return
      for (const event of events.push(decoder.decode(value, { stream: true }))) this.take(event)
      if (this.listening.value === 'ended') return this.stop.abort()
    }
  }

  private take(event: ServerEvent): void {
    if (event.name === 'end') {
      const { code, message } = JSON.parse(event.data) as { code: string; message: string }
      this.end('ended', new ApiError(401, code, message))
      return
    }
    this.next = afterEvent(this.next, event, Date.now())
    if (this.drawing === 0) this.drawing = window.setTimeout(() => this.draw(), DRAW_MS)
  }

  private draw(): void {
    this.drawing = 0
    this.told.set(this.next)
  }

  /** What asking again would not change ends it. */
  private refused(status: number, text: string): void {
    if (status === 409) return this.end('none')
    if (![401, 403, 404].includes(status)) return this.again()
    this.end('ended', errorOf(status, text))
  }

  private end(how: Listening, problem?: ApiError): void {
    this.problem = problem
    this.listening.set(how)
  }

  private again(): void {
    if (this.stop.signal.aborted || this.listening.value === 'ended') return
    this.listening.set('lost')
    this.timer = window.setTimeout(() => void this.listen(), RETRY[Math.min(this.tries, RETRY.length - 1)])
    this.tries += 1
  }
}
