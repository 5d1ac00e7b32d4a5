// A value that several parts of the page watch: small enough to need no library.

import { useLayoutEffect, useState } from 'preact/hooks'

export interface Signal<T> {
  readonly value: T
  set(value: T): void
  /** Calls `watcher` after each change; the function that it returns ends that. */
  watch(watcher: () => void): () => void
}

export function signal<T>(initial: T): Signal<T> {
  let value = initial
  const watchers = new Set<() => void>()
  return {
    get value() {
      return value
    },
    set(next) {
      if (Object.is(next, value)) return
      value = next
      for (const watcher of [...watchers]) watcher()
    },
    watch(watcher) {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
  }
}

/** The value, in a component that is drawn again whenever it changes. */
export function useSignal<T>(source: Signal<T>): T {
  const [, redraw] = useState(0)
  const drawn = source.value
  useLayoutEffect(() => {
    const again = () => redraw((n) => n + 1)
    if (!Object.is(source.value, drawn)) again() // it changed after it was drawn, and before it was watched
    return source.watch(again)
  }, [source])
  return drawn
}
