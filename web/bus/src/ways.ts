// The three ways from a tab to a hub. Each calls `arrived` with a port whenever there is a (new) hub to attach to, and `leave`
// gives up what it holds: a page in the back/forward cache may hold neither a lock nor a socket.
import { hubLock, SHELF, tabLock } from './browser'
import type { Hub } from './hub'
import type { FromTab, Port } from './types'

export interface Way {
  leave(): void
  /** The hub has answered. */
  greeted(): void
  /** The tab may have missed that there is another hub. */
  check?(): void
}

type MakeHub = (whenGone: (tab: string, then: () => void) => void) => Hub

export interface Place {
  key: string
  tab: string
  worker: string
  hub?: MakeHub
  attach(): FromTab
  arrived(port: Port): void
  /** This way does not work here: another one is taken. */
  failed(): void
}

/** The hub's code, from the worker's script. Errors: it can't be loaded. */
export async function loadHub(url: string): Promise<MakeHub> {
  await import(/* @vite-ignore */ url)
  return (globalThis as unknown as Record<symbol, MakeHub>)[SHELF]!
}

/** Runs a hub in this page, and joins it. */
function join(hub: Hub, place: Place): void {
  const { port1, port2 } = new MessageChannel()
  hub.join(port1 as Port)
  place.arrived(port2 as Port)
}

/** No Web Locks (a page that came over plain http), so nobody could tell when another tab dies: a connection of its own. */
export function alone(place: Place): Way {
  const hub = place.hub!(() => undefined)
  join(hub, place)
  return { leave: () => hub.close(), greeted: () => undefined }
}

/** The hub in a SharedWorker. It holds a lock while it lives; whoever is granted it knows that the worker is gone. */
export function shared(place: Place): Way {
  const given = new AbortController()
  const start = () => {
    const worker = new SharedWorker(place.worker, place.key)
    worker.onerror = () => place.failed()
    place.arrived(worker.port as Port)
  }
  start()
  return {
    leave: () => given.abort(),
    greeted: () =>
      void navigator.locks
        .request(hubLock(place.key), { mode: 'shared', signal: given.signal }, () => undefined)
        .then(start, () => undefined),
  }
}

/** The hub in the tab that holds a lock; the lock's queue is the order of succession. */
export function led(place: Place): Way {
  const given = new AbortController()
  const everybody = new BroadcastChannel(hubLock(place.key))
  const channelOf = (tab: string) => new BroadcastChannel(tabLock(tab)) as Port
  let hub: Hub | undefined
  let release: (() => void) | undefined
  // A hub that knows the tab hears it on the tab's own channel, one that does not on everybody's.
  const attach = () => {
    place.arrived(channelOf(place.tab))
    everybody.postMessage(place.attach())
  }
  everybody.onmessage = ({ data }: { data: (FromTab & { t: 'attach' }) | 'leader' }) => {
    if (data === 'leader') attach()
    else if (hub && !hub.has(data.tab)) hub.join(channelOf(data.tab), data)
  }
  const lead = () => {
    hub = place.hub!((tab, then) => void navigator.locks.request(tabLock(tab), { signal: given.signal }, then).catch(() => undefined))
    everybody.postMessage('leader')
    join(hub, place)
    return new Promise<void>((resolve) => (release = resolve))
  }
  navigator.locks.request(hubLock(place.key), { signal: given.signal }, lead).catch(() => undefined)
  attach()
  return {
    leave() {
      given.abort()
      hub?.close()
      release?.()
      everybody.close()
    },
    greeted: () => undefined,
    check: () => everybody.postMessage(place.attach()),
  }
}
