// The script of the SharedWorker, which is also where a page without one gets the hub from: it is loaded only once either way, and
// the page's part stays small. A worker's name is its key, so each user, database and server has a worker, and with it a
// connection, of its own.
import { hubLock, SHELF, tabLock, world } from './browser'
import { Hub } from './hub'
import type { Port } from './types'

const scope = self as unknown as { name: string; onconnect?: (event: { ports: Port[] }) => void }

function work(): void {
  const hub = new Hub(world, (tab, then) => void navigator.locks.request(tabLock(tab), then))
  // Held as long as this worker lives: that is how tabs notice its end. No tab is answered before it is held.
  const ready = new Promise<void>((resolve) => {
    void navigator.locks.request(hubLock(scope.name), () => {
      resolve()
      return new Promise(() => undefined)
    })
  })
  scope.onconnect = (event) => void ready.then(() => hub.join(event.ports[0]!))
}

if ('onconnect' in scope) work()
else Object.assign(self, { [SHELF]: (whenGone: (tab: string, then: () => void) => void) => new Hub(world, whenGone) })
