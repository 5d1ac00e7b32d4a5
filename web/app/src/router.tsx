// Every view has an address: a path that names the page, and a query that holds what was chosen in it (the session, the tab,
// the sort order, the filter). So a link to what one sees can be sent to somebody else, and Back works.

import type { ComponentChildren } from 'preact'
import { useCallback } from 'preact/hooks'
import { signal, useSignal } from './signal'

export interface Place {
  path: string
  query: URLSearchParams
}

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) }
}

export const place = signal<Place>(here())

addEventListener('popstate', () => place.set(here()))

/** Goes to an address of this application; `replace` leaves no step for Back. */
export function go(address: string, replace = false): void {
  if (address === location.pathname + location.search) return
  history[replace ? 'replaceState' : 'pushState'](null, '', address)
  const before = place.value.path
  place.set(here())
  if (place.value.path !== before) scrollTo(0, 0)
}

/** The address of this page with some parameters set; '' takes one out. */
export function addressWith(from: Place, changes: Record<string, string>): string {
  const query = new URLSearchParams(from.query)
  for (const [name, value] of Object.entries(changes)) {
    if (value === '') query.delete(name)
    else query.set(name, value)
  }
  const text = query.toString()
  return text ? `${from.path}?${text}` : from.path
}

/** A parameter of the address as state: shared by link, kept over reload. Typing leaves no steps for Back. */
export function useParameter(name: string, initial = ''): [string, (value: string, replace?: boolean) => void] {
  const { query } = useSignal(place)
  const set = useCallback((value: string, replace = true) => {
    go(addressWith(place.value, { [name]: value === initial ? '' : value }), replace)
  }, [name, initial])
  return [query.get(name) ?? initial, set]
}

interface LinkProps {
  to: string
  class?: string | undefined
  current?: boolean | undefined
  title?: string | undefined
  tabIndex?: number | undefined
  children: ComponentChildren
}

/** A link inside the application; the browser opens it in a new tab as any other when asked to. */
export function Link({ to, current, children, ...rest }: LinkProps) {
  const click = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return
    event.preventDefault()
    go(to)
  }
  return <a href={to} onClick={click} aria-current={current ? 'page' : undefined} {...rest}>{children}</a>
}
