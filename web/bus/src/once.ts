// A side effect of a message in exactly one of the tabs that get it: a sound, a notification.
//
// The tabs add the same key to a table of IndexedDB, and one of them succeeds. Unlike an election this also holds when the tab
// that leads dies between two tabs' turns, when a tab was frozen and comes to the message an hour later, and without Web Locks.
// What the tab that won does not finish, because it dies in it, nobody does. A day, or the newest 10,000 claims, are remembered.
import type { Handler, Message } from './types'

const TABLE = 'claims'
const DAY = 86_400_000
const MOST = 10_000

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('headroom-bus', 1)
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE).createIndex('time', '')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

let database: Promise<IDBDatabase> | undefined

function forget(store: IDBObjectStore): void {
  store.count().onsuccess = (event) => {
    let surplus = (event.target as IDBRequest<number>).result - MOST
    store.index('time').openCursor().onsuccess = (next) => {
      const cursor = (next.target as IDBRequest<IDBCursorWithValue | null>).result
      if (!cursor || (surplus-- <= 0 && cursor.value > Date.now() - DAY)) return
      cursor.delete()
      cursor.continue()
    }
  }
}

/** Whether this tab is the first with that key. */
async function claim(key: string[]): Promise<boolean> {
  const store = (await (database ??= opened())).transaction(TABLE, 'readwrite').objectStore(TABLE)
  return new Promise((resolve, reject) => {
    const request = store.add(Date.now(), key)
    request.onsuccess = () => {
      if (Math.random() < 0.01) forget(store)
      resolve(true)
    }
    request.onerror = (event) => {
      event.preventDefault()
      if (request.error!.name === 'ConstraintError') resolve(false)
      else reject(request.error)
    }
  })
}

export function once<T>(scope: string, handler: Handler<T>, name: string): Handler<T> {
  return async (message: Message<T>) => {
    if (await claim([scope, name, message.channel, message.epoch, String(message.offset)])) handler(message)
  }
}
