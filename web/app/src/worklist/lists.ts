// A user's work lists as the page shows them: which, in which order and groups, and where each leads to.

import { signal } from '../signal'
import { filtered, sorted, type Order, type Rows } from '../rows'

/** As the daemon tells it. */
export interface List {
  list: string
  name: string
  category: string
  url: string
  count: number
  way: 'live' | 'sql'
}

export interface Counts {
  user: string
  state: string | null
  lsn: string | null
  age_ms: number | null
  application: string
  lists: List[]
}

export interface ListRow extends List {
  workflow: string
  /** When its number became another one, in milliseconds; 0: not since the page is open. */
  at: number
}

/** Lists that stand together, above them. */
export interface GroupRow {
  group: string
  lists: number
  count: number
}

export type ShownRow = ListRow | GroupRow

export type Grouping = 'category' | 'workflow' | 'none'

export function isGroup(row: ShownRow): row is GroupRow {
  return 'group' in row
}

/** A number that was told after the list was. */
export interface News {
  count: number | null
  at: number
}

/** The title with another number, where it says the old one as titles usually do: "Drafts (2)". */
export function renamed(name: string, before: number, now: number): string {
  const told = `(${before})`
  const place = name.lastIndexOf(told)
  return place < 0 ? name : `${name.slice(0, place)}(${now})${name.slice(place + told.length)}`
}

/** The lists with what was told since; those that the user may not have any more are gone. */
export function withNews(lists: readonly List[], news: ReadonlyMap<string, News>): ListRow[] {
  const rows: ListRow[] = []
  for (const list of lists) {
    const told = news.get(list.list)
    if (told?.count === null) continue
    const now = told?.count ?? list.count
    rows.push({ ...list, name: renamed(list.name, list.count, now), count: now, at: told?.at ?? 0,
      workflow: list.list.slice(0, Math.max(0, list.list.lastIndexOf('/'))) })
  }
  return rows
}

export interface Wish {
  by: Grouping
  order: Order | undefined
  filter: string
  zeros: boolean
}

/** Those that are shown, and the groups above them, in the order of their first lists. A list that falls to nothing stays where it is, so
 * that nothing moves under the reader's eyes: `kept` is what was shown before. */
export function shownLists(lists: readonly ListRow[], wish: Wish, kept: ReadonlySet<string>): ShownRow[] {
  const waiting = lists.filter((row) => wish.zeros || row.count > 0 || kept.has(row.list))
  const rows = sorted(filtered(waiting, wish.filter, ['name', 'list', 'category']), wish.order)
  if (wish.by === 'none') return rows
  const groups = new Map<string, ListRow[]>()
  for (const row of rows) {
    const title = row[wish.by]
    const group = groups.get(title)
    if (group) group.push(row)
    else groups.set(title, [row])
  }
  return [...groups].flatMap(([group, own]): ShownRow[] => [{ group, lists: own.length, count: own.reduce((sum, row) => sum + row.count, 0) }, ...own])
}

/** For a table. */
export function rowsOf<R>(all: readonly R[]): Rows<R> {
  return { version: signal(0), total: all.length, error: undefined, note: undefined, at: (index) => all[index], want: () => undefined }
}

/** Where a list's address leads to, or undefined where nothing may: an address of http or https, and, where it is known which application the
 * lists are of, one within that. Titles and addresses come from definitions; "javascript:" among them would run in this page. */
export function linkOf(url: string, application: string): string | undefined {
  if (url === '' || /[\u0000-\u0020\u007f]/.test(url[0]!) || /[\u0000-\u001f\u007f]/.test(url)) return undefined
  const scheme = /^([^:/?#\\]*):/.exec(url)?.[1]
  if (scheme === undefined && application === '') return undefined
  try {
    const found = scheme === undefined ? new URL(url, application) : new URL(url)
    return /^https?:$/.test(found.protocol) ? found.href : undefined
  } catch {
    return undefined
  }
}
