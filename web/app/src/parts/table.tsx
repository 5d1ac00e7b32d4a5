// A table that scrolls through a hundred thousand rows: only those in view are in the document.
//
// Rows have one height, so that a row's place follows from its number. Columns say how wide they are at least; what does not fit
// is left out, the least important first, so that a telephone shows the same table with fewer columns and never scrolls
// sideways. It is a grid for assistive technology: one stop for Tab, arrows (or j and k) move, Enter opens. Of several tables on a page the one with the focus has the keys.

import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { useKeys } from '../keys'
import { go, Link } from '../router'
import type { Order, Rows } from '../rows'
import { useSignal } from '../signal'
import { Failure } from './states'

export const ROW_HEIGHT = 28
/** Drawn above and below those in view, so that scrolling finds them there. */
const SPARE_ROWS = 8

export interface TableColumn<R> {
  name: string
  title: string
  /** Explains the title on hover. */
  hint?: string
  /** Least width in pixels. */
  width: number
  /** The part of spare width that it takes; 0 keeps to `width`. */
  grow?: number
  /** Numbers stand on the right. */
  right?: boolean
  /** 1 is always shown; the highest number goes first where it is narrow. */
  rank?: number
  /** Not everything can be sorted. */
  fixed?: boolean
  cell: (row: R, index: number) => ComponentChildren
}

export interface TableProps<R> {
  label: string
  columns: TableColumn<R>[]
  rows: Rows<R>
  order?: Order | undefined
  onOrder?: (order: Order) => void
  /** Where a row leads to. */
  to?: (row: R, index: number) => string | undefined
  /** What stands there when there are no rows. */
  empty?: ComponentChildren
  /** A class of the style sheet for a row. */
  mark?: (row: R, index: number) => string | undefined
  /** What the rows are about: other rows of it keep the place in the table. Without it other rows begin at the top. */
  subject?: string
  /** At most so many rows high; the window's height when it is not given. */
  most?: number
}

/** The columns that fit into `width`, in their order. */
export function fitting<R>(columns: TableColumn<R>[], width: number): TableColumn<R>[] {
  const kept = new Set(columns)
  const byImportance = [...columns].sort((a, b) => (b.rank ?? 1) - (a.rank ?? 1))
  let needed = columns.reduce((sum, column) => sum + column.width, 0)
  for (const column of byImportance) {
    if (needed <= width || (column.rank ?? 1) === 1) break
    kept.delete(column)
    needed -= column.width
  }
  return columns.filter((column) => kept.has(column))
}

interface Size {
  width: number
  height: number
  measured: boolean
}

/** The size of an element; the window's, which is more, until it was measured: so the rows in view are drawn with the first picture. */
function useSize(): [preact.RefObject<HTMLDivElement>, Size] {
  const box = useRef<HTMLDivElement>(null)
  const [size, setSize] = useState<Size>({ width: innerWidth, height: innerHeight, measured: false })
  useLayoutEffect(() => {
    const element = box.current!
    const measure = () => setSize((old) => {
      const { clientWidth: width, clientHeight: height } = element
      return old.measured && old.width === width && old.height === height ? old : { width, height, measured: true }
    })
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [box, size]
}

function template<R>(columns: TableColumn<R>[]): string {
  return columns.map((column) => column.grow ? `minmax(0, ${column.grow}fr)` : `${column.width}px`).join(' ')
}

/** The table, or what stands in its place. While other rows are loaded the old size stays, so that nothing jumps. */
export function Table<R extends object>(props: TableProps<R>) {
  const { rows, label } = props
  useSignal(rows.version)
  const size = useRef<number>()
  if (rows.error) return <Failure error={rows.error} />
  if (rows.total !== undefined) size.current = rows.total
  if (size.current === undefined) return <p class="waiting" role="status">Loading {label.toLowerCase()} …</p>
  if (size.current === 0) return <div class="empty">{props.empty ?? rows.note ?? 'Nothing matches.'}</div>
  return <Grid {...props} total={size.current} />
}

/** How far a key moves; undefined for other keys. */
function stepOf(key: string, page: number, total: number): number | undefined {
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -total, End: total }
  return steps[key]
}

function Grid<R extends object>(props: TableProps<R> & { total: number }) {
  const { rows, label, to, total } = props
  const [box, { width, height, measured }] = useSize()
  const [scroll, setScroll] = useState(0)
  const [active, setActive] = useState(-1)
  const id = useId()
  const columns = useMemo(() => fitting(props.columns, width), [props.columns, width])
  const spare = measured ? SPARE_ROWS : 0
  const first = Math.max(0, Math.floor(scroll / ROW_HEIGHT) - spare)
  const last = Math.min(total - 1, Math.ceil((scroll + height) / ROW_HEIGHT) + spare)
  useEffect(() => rows.want(first, last), [rows, first, last, rows.version.value])
  useLayoutEffect(() => {
    setActive(-1)
    box.current?.scrollTo({ top: 0 })
  }, [props.subject ?? rows])

  // Keys may follow one another faster than effects do, so what they do begins with the row as it is and not as it was drawn.
  const current = useRef(active)
  current.current = active
  const move = (step: number) => {
    const next = Math.min(total - 1, Math.max(0, current.current + step))
    current.current = next
    setActive(next)
    reveal(box.current!, next)
  }
  const open = () => {
    const row = rows.at(current.current)
    const address = row && to?.(row, current.current)
    if (address) go(address)
  }
  const within = () => box.current
  useKeys([
    { keys: ['j'], does: 'next row', run: () => move(1), within },
    { keys: ['k'], does: 'previous row', run: () => move(-1), within },
    { keys: ['Enter'], does: 'open the row', run: open, within },
  ], [rows, total])
  const onKeyDown = (event: KeyboardEvent) => {
    const step = stepOf(event.key, Math.max(1, Math.floor(height / ROW_HEIGHT) - 2), total)
    if (step === undefined) return
    event.preventDefault()
    move(step)
  }
  const grid = template(columns)
  const numbers = Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => first + n)
  return (
    <div class="table" role="grid" aria-label={label} aria-rowcount={total + 1} tabIndex={0} ref={box}
      aria-activedescendant={active >= first && active <= last ? `${id}-${active}` : undefined}
      style={props.most ? { maxHeight: `${(props.most + 1) * ROW_HEIGHT + 2}px` } : undefined}
      onScroll={(event) => setScroll(event.currentTarget.scrollTop)} onKeyDown={onKeyDown}>
      <Head columns={columns} grid={grid} order={props.order} onOrder={props.onOrder} />
      <div class="table-body" role="rowgroup" style={{ height: `${total * ROW_HEIGHT}px` }}>
        {numbers.map((index) => {
          const row = rows.at(index)
          return <TableRow key={index} id={`${id}-${index}`} index={index} row={row} columns={columns} grid={grid} active={index === active}
            to={row && to?.(row, index)} mark={row && props.mark?.(row, index)} />
        })}
      </div>
    </div>
  )
}

function reveal(box: HTMLElement, index: number): void {
  const top = index * ROW_HEIGHT
  const room = box.clientHeight - ROW_HEIGHT
  if (top < box.scrollTop) box.scrollTop = top
  else if (top + ROW_HEIGHT > box.scrollTop + room) box.scrollTop = top + ROW_HEIGHT - room
}

interface HeadProps<R> {
  columns: TableColumn<R>[]
  grid: string
  order: Order | undefined
  onOrder: ((order: Order) => void) | undefined
}

function Head<R>({ columns, grid, order, onOrder }: HeadProps<R>) {
  return (
    <div class="table-head" role="rowgroup">
      <div class="row" role="row" aria-rowindex={1} style={{ gridTemplateColumns: grid }}>
        {columns.map((column) => {
          const sortedBy = order?.column === column.name
          const direction = !sortedBy ? undefined : order.descending ? 'descending' : 'ascending'
          const sort = () => onOrder?.({ column: column.name, descending: sortedBy ? !order.descending : column.right === true })
          return (
            <div key={column.name} role="columnheader" class={cellClass(column)} aria-sort={direction} title={column.hint}>
              {onOrder && !column.fixed
                ? <button type="button" class="sort" onClick={sort}>{column.title}<span class="arrow" aria-hidden="true">
                    {sortedBy ? (order.descending ? ' ▾' : ' ▴') : ''}</span></button>
                : column.title}
            </div>
          )
        })}
      </div>
    </div>
  )
}

interface RowProps<R> {
  id: string
  index: number
  row: R | undefined
  columns: TableColumn<R>[]
  grid: string
  active: boolean
  to: string | undefined
  mark: string | undefined
}

function TableRow<R>({ id, index, row, columns, grid, active, to, mark }: RowProps<R>) {
  const style: JSX.CSSProperties = { gridTemplateColumns: grid, top: `${index * ROW_HEIGHT}px` }
  const classes = ['row', active && 'active', to && 'leads', mark].filter(Boolean).join(' ')
  const click = (event: MouseEvent) => {
    const chosen = getSelection()?.toString() ?? ''
    if (to && !event.defaultPrevented && chosen === '' && !event.metaKey && !event.ctrlKey) go(to)
  }
  // Whether it is the active one changes with each key; what is in it does not.
  const cells = useMemo(() => columns.map((column, n) => (
    <div key={column.name} role="gridcell" class={cellClass(column)}>
      {row === undefined ? <span class="loading">…</span>
        : n === 0 && to ? <Link to={to} tabIndex={-1}>{column.cell(row, index)}</Link> : column.cell(row, index)}
    </div>
  )), [columns, row, index, to])
  return (
    <div role="row" id={id} aria-rowindex={index + 2} aria-selected={active} class={classes} style={style} onClick={click}>
      {cells}
    </div>
  )
}

function cellClass<R>(column: TableColumn<R>): string {
  return column.right ? 'cell right' : 'cell'
}
