// What the application sees, and what travels between a tab and the hub.

/** A place in a channel's stream; offsets compare only within an epoch. */
export interface Position {
  offset: number
  epoch: string
}

export interface Message<T = unknown> extends Position {
  channel: string
  data: T
}

export type Handler<T = unknown> = (message: Message<T>) => void

/** The answer to a publish: where the message stands. `repeated` when the same id was published before. */
export interface Published extends Position {
  repeated?: boolean
}

export type Status = 'online' | 'away' | 'offline'
export type Statuses = Record<string, Status>

/** `open` while messages flow, `waiting` while the connection is made, `closed` for ever. */
export type State = 'waiting' | 'open' | 'closed'

/** An error as the server says it; the codes stand in docs/protocols/bus.md. */
export interface Refusal {
  code: string
  message: string
  retry?: boolean
}

/** From a tab to the hub. `n` numbers what a tab wants: a subscription, a watch, a command. */
export type FromTab =
  | { t: 'attach'; tab: string; url: string; token: string; active: boolean }
  | { t: 'subscribe'; n: number; channel: string; since?: Position; signature?: string }
  | { t: 'watch'; n: number; users: string[] }
  | { t: 'end'; n: number }
  | { t: 'ask'; n: number; name: string; body: object }
  | { t: 'token'; token: string }
  | { t: 'active'; active: boolean }
  | { t: 'ack'; count: number }
  | { t: 'check' }
  | { t: 'bye' }

/** From the hub to a tab. */
export type ToTab =
  | { t: 'hello' }
  | { t: 'state'; state: State }
  | { t: 'token' }
  | { t: 'closed'; error: Refusal }
  | { t: 'message'; n: number; offset: number; epoch: string; data: unknown }
  | { t: 'at'; n: number; at: Position }
  | { t: 'lost'; n: number; at: Position }
  | { t: 'presence'; n: number; users: Statuses }
  | { t: 'answer'; n: number; body: unknown }
  | { t: 'error'; n: number; error: Refusal }

/** What a hub sends to a tab is numbered, `hello` with 1: a tab that misses one (it stood still, and the browser forgot what waited) begins anew. */
export type Numbered = ToTab & { s: number }

/** What a MessagePort and a BroadcastChannel have in common. */
export interface Port {
  onmessage: ((event: { data: any }) => void) | null
  postMessage(message: unknown): void
  close(): void
}

/** A tab says how many messages it has handled each time it handled so many; the hub holds back beyond the second number. */
export const ACKNOWLEDGE = 64
export const UNHANDLED = 512
