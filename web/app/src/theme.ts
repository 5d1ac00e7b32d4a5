// Dark or light: what the system says, until the reader chooses.

import { signal } from './signal'

export type Theme = 'light' | 'dark'

const KEY = 'headroom-theme'
const system = matchMedia('(prefers-color-scheme: dark)')

function chosen(): Theme | undefined {
  try {
    const kept = localStorage.getItem(KEY)
    return kept === 'light' || kept === 'dark' ? kept : undefined
  } catch {
    return undefined // a browser that keeps nothing follows the system
  }
}

function current(): Theme {
  return chosen() ?? (system.matches ? 'dark' : 'light')
}

export const theme = signal<Theme>(current())

function apply(): void {
  document.documentElement.dataset.theme = theme.value
}

system.addEventListener('change', () => theme.set(current()))
theme.watch(apply)
apply()

export function toggleTheme(): void {
  const next = theme.value === 'dark' ? 'light' : 'dark'
  try {
    localStorage.setItem(KEY, next)
  } catch {
    // It holds for this page then.
  }
  theme.set(next)
}

/** A colour of the style sheet, for what is drawn on a canvas. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}
