// What the hub takes from the browser, in a worker or in a page, and the names that both sides use.
import type { Socket, World } from './link'

export const world: World = {
  socket: (url) => new WebSocket(url) as Socket,
  now: () => Date.now(),
  later: (run, milliseconds) => setTimeout(run, milliseconds),
  cancel: (timer) => clearTimeout(timer as number | undefined),
  random: () => Math.random(),
}

export const tabLock = (tab: string): string => `headroom-bus tab ${tab}`
export const hubLock = (key: string): string => `headroom-bus hub ${key}`

/** Where the worker's script leaves the hub when a page loads it. */
export const SHELF = Symbol.for('headroom-bus')
