// A side effect of a message in exactly one of the tabs that get it: a sound, a notification.
//
// The tabs add the same key to a table of IndexedDB, and one of them succeeds. Unlike an election this also holds when the tab
// that leads dies between two tabs' turns, when a tab was frozen and comes to the message an hour later, and without Web Locks.
// What the tab that won does not finish, because it dies in it, nobody does. A day, or the newest 10,000 claims, are remembered.
//
// The tab that the user works in goes first, then those that can be seen, then the others: what the effect leaves behind is found there. That
// is a head start, no promise.
import type { Handler, Message } from './types'

const TABLE = 'claims'
const DAY = 86_400_000
const MOST = 10_000
const HEAD_START = 150
const KEEP_LOCK = 60_000

let database: Promise<IDBDatabase> | undefined

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('headroom-bus', 1)
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE).createIndex('time', '')
    request.onsuccess = () => {
      const { result } = request
      // Whoever clears the site's data must not wait for us.
      result.onversionchange = () => result.close()
      resolve(result)
    }
    request.onerror = () => reject(request.error)
  })
}

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

/** Whether this tab is the first to write that key; known once it is written. */
async function add(key: string[]): Promise<boolean> {
  const transaction = (await (database ??= opened())).transaction(TABLE, 'readwrite', { durability: 'relaxed' })
  const store = transaction.objectStore(TABLE)
  return new Promise((resolve, reject) => {
    let first = false
    const request = store.add(Date.now(), key)
    request.onsuccess = () => {
      first = true
      if (Math.random() < 0.01) forget(store)
    }
    request.onerror = (event) => request.error!.name === 'ConstraintError' && event.preventDefault()
    transaction.oncomplete = () => resolve(first)
    transaction.onabort = () => reject(transaction.error)
  })
}

/** Where nothing can be written, the tabs that have the message within a minute compete for a lock. */
function compete(key: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    if (!navigator.locks) return resolve(true)
    void navigator.locks.request(JSON.stringify(key), { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      return lock && new Promise((release) => setTimeout(release, KEEP_LOCK))
    })
  })
}

/** Whether this tab is the first with that key. A second try is with a new table: the browser may have ended the old one. */
async function claim(key: string[]): Promise<boolean> {
  try {
    return await add(key).catch(() => {
      database = undefined
      return add(key)
    })
  } catch (error) {
    console.error(error)
    database = undefined
    return compete(key)
  }
}

function turn(): Promise<void> {
  const before = Number(document.hidden) + Number(!document.hasFocus())
  return new Promise((resolve) => (before ? setTimeout(resolve, before * HEAD_START) : resolve()))
}

export function once<T>(scope: string, handler: Handler<T>, name: string): Handler<T> {
  return async (message: Message<T>) => {
    await turn()
    if (await claim([scope, name, message.channel, message.epoch, String(message.offset)])) handler(message)
  }
}
