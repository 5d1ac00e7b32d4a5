// Keys that work everywhere, unless one types into a field. A page adds its own with `useKeys`; the help lists what is in force.

import { useLayoutEffect } from 'preact/hooks'
import { signal } from './signal'

export interface Shortcut {
  keys: string[]
  does: string
  run: (event: KeyboardEvent) => void
  /** Where the focus must be for this one to go before others with the same key. */
  within?: () => Element | null
}

export const shortcuts = signal<Shortcut[]>([])

function isTyping(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement && /^(checkbox|radio)$/.test(target.type)) return false
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

/** Enter belongs to the link or button that has the focus. */
function isPressed(event: KeyboardEvent): boolean {
  return event.key === 'Enter' && event.target instanceof Element && event.target.closest('a, button, summary') !== null
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || isPressed(event)) return
  if (document.querySelector('dialog[open]') && event.key !== 'Escape') return
  const found = shortcutFor(event.key, document.activeElement, shortcuts.value)
  if (!found) return
  event.preventDefault()
  found.run(event)
})

/** The one around the focus, else the last that was put in force. */
export function shortcutFor(key: string, focus: Element | null, all: Shortcut[]): Shortcut | undefined {
  const having = all.filter((shortcut) => shortcut.keys.includes(key))
  return having.find((shortcut) => focus !== null && shortcut.within?.()?.contains(focus)) ?? having[having.length - 1]
}

/** Puts shortcuts in force while a component is shown; a later one goes before an earlier one with the same key, and one around the focus before both. */
export function useKeys(own: Shortcut[], dependencies: unknown[]): void {
  useLayoutEffect(() => {
    shortcuts.set([...shortcuts.value, ...own])
    return () => shortcuts.set(shortcuts.value.filter((shortcut) => !own.includes(shortcut)))
  }, dependencies)
}
