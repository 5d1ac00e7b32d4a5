// The navigation: one line is one page. A page is loaded when it is first opened; the one where all begins comes with the shell.
//
// `section` puts a page into the navigation bar; one without is reached from others. Another part of Headroom adds its pages here.

import type { ComponentType } from 'preact'
import * as sessions from './pages/sessions'

export interface PageEntry {
  path: string
  title: string
  load: () => Promise<{ default: ComponentType }>
  section?: string
  /** Who is not signed in sees it too: it has ways of its own to know who reads it. */
  open?: boolean
  /** What it will ask for with this query, so that it can be asked for before the page is drawn. */
  asks?: (query: URLSearchParams) => string[]
}

export const pages: PageEntry[] = [
  { path: '/', title: 'Sessions', section: 'Analyzer', load: () => Promise.resolve(sessions), asks: sessions.asks },
  { path: '/live', title: 'Live', section: 'Analyzer', load: () => import('./pages/live') },
  { path: '/advice', title: 'Advice', section: 'Analyzer', load: () => import('./pages/advice') },
  { path: '/compare', title: 'Compare', section: 'Analyzer', load: () => import('./pages/compare') },
  { path: '/overview', title: 'Overview', section: 'Analyzer', load: () => import('./pages/overview') },
  { path: '/rules', title: 'Rules', section: 'Analyzer', load: () => import('./pages/rules') },
  { path: '/status', title: 'Status', section: 'Analyzer', load: () => import('./pages/status') },
  { path: '/bus', title: 'Bus', section: 'Bus', load: () => import('./pages/bus') },
  { path: '/worklists', title: 'Work lists', section: 'Work lists', open: true, load: () => import('./pages/worklists') },
  { path: '/session', title: 'Session', load: () => import('./pages/session') },
  { path: '/call', title: 'Call', load: () => import('./pages/call') },
  { path: '/query', title: 'Slow statement', load: () => import('./pages/query') },
]

export function pageAt(path: string): PageEntry | undefined {
  return pages.find((page) => page.path === path)
}
