// Where a table gets its rows from. A table draws the few rows that are seen and asks for them by number, so a source may hold a
// hundred thousand, most of which were never loaded.

import { signal, type Signal } from './signal'
import { address, get, type Cell, type Column, type Parameters, type Report, type Row } from './api'
import { asApiError } from './resource'
import type { ApiError } from './api'

export interface Order {
  column: string
  descending: boolean
}

export interface Rows<R> {
  /** Changes whenever rows came or went. */
  readonly version: Signal<number>
  /** Undefined until it is known. */
  readonly total: number | undefined
  readonly error: ApiError | undefined
  readonly note: string | undefined
  /** The row, or undefined while it is loaded. */
  at(index: number): R | undefined
  /** Says which rows are looked at. */
  want(first: number, last: number): void
}

/** "-tm": the largest first. */
export function orderText(order: Order | undefined): string {
  return order === undefined ? '' : (order.descending ? '-' : '') + order.column
}

export function parseOrder(text: string): Order | undefined {
  if (text === '') return undefined
  return text.startsWith('-') ? { column: text.slice(1), descending: true } : { column: text, descending: false }
}

export function compareCells(left: Cell | undefined, right: Cell | undefined): number {
  if (left === right) return 0
  if (left === null || left === undefined) return -1
  if (right === null || right === undefined) return 1
  if (typeof left === 'number' && typeof right === 'number') return left - right
  return String(left) < String(right) ? -1 : 1
}

/** Sorted by one column; equal rows keep their order. */
export function sorted<R extends object>(rows: readonly R[], order: Order | undefined): R[] {
  if (order === undefined) return [...rows]
  const cell = (row: R) => (row as Record<string, Cell>)[order.column]
  const sign = order.descending ? -1 : 1
  return [...rows].sort((left, right) => sign * compareCells(cell(left), cell(right)))
}

/** The rows whose texts together hold every word of the filter, whatever the case; `keys` says which texts count, else all. */
export function filtered<R extends object>(rows: readonly R[], filter: string, keys?: readonly (keyof R)[]): R[] {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== '')
  if (words.length === 0) return [...rows]
  return rows.filter((row) => {
    const values: unknown[] = keys ? keys.map((key) => row[key]) : Object.values(row)
    const texts = values.filter((value): value is string => typeof value === 'string')
    const text = texts.join('\n').toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

/** Rows that are all here. */
export function localRows<R extends object>(rows: readonly R[], order: Order | undefined, filter: string, keys?: readonly (keyof R)[]): Rows<R> {
  const shown = sorted(filtered(rows, filter, keys), order)
  return {
    version: signal(0),
    total: shown.length,
    error: undefined,
    note: undefined,
    at: (index) => shown[index],
    want: () => undefined,
  }
}

const PAGE = 200

/** What is asked for a page of a report's rows. */
function pageAddress(name: string, parameters: Parameters, page: number): string {
  return address(`/api/perf/${name}`, { ...parameters, limit: PAGE, offset: page * PAGE })
}

/** What `PagedRows` asks for first. */
export function firstPage(name: string, parameters: Parameters): string {
  return pageAddress(name, parameters, 0)
}

/** Rows of a report that the daemon sorts and pages. Pages are asked for as they come into view, a few at a time. */
export class PagedRows<R extends object = Row> implements Rows<R> {
  readonly version = signal(0)
  columns: Column[] = []
  total: number | undefined
  error: ApiError | undefined
  note: string | undefined
  private readonly pages = new Map<number, R[] | 'asked'>()
  private readonly stop = new AbortController()

  constructor(private readonly name: string, private readonly parameters: Parameters) {
    void this.load(0)
  }

  at(index: number): R | undefined {
    const page = this.pages.get(Math.floor(index / PAGE))
    return page === undefined || page === 'asked' ? undefined : page[index % PAGE]
  }

  want(first: number, last: number): void {
    if (this.total === undefined || this.error) return
    const end = Math.min(last, this.total - 1)
    for (let page = Math.floor(first / PAGE); page <= Math.floor(end / PAGE); page += 1) {
      if (!this.pages.has(page)) void this.load(page)
    }
  }

  /** Ends what is under way. */
  close(): void {
    this.stop.abort()
  }

  private async load(page: number): Promise<void> {
    this.pages.set(page, 'asked')
    try {
      const answer = await get<Report<R>>(pageAddress(this.name, this.parameters, page), {}, this.stop.signal)
      this.pages.set(page, answer.rows)
      this.total = answer.total
      this.note = answer.note
      this.columns = answer.columns
    } catch (error) {
      if (this.stop.signal.aborted) return
      this.pages.delete(page)
      this.error = asApiError(error)
    }
    this.version.set(this.version.value + 1)
  }
}
