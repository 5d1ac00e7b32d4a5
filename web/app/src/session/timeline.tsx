// The calls of a session, each where it ran; pauses of the user are drawn short. In the order of time, or in any other.

import { useMemo } from 'preact/hooks'
import { type Report } from '../api'
import type { CallRow } from '../call_row'
import { Legend, PlacedBar } from '../parts/bars'
import { Filter, Note } from '../parts/layout'
import { Method } from '../parts/method'
import { Empty, Failure, Waiting } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows, orderText, parseOrder, type Order } from '../rows'
import { axisOf } from '../time/axis'
import { count, moment, plural, seconds } from '../units'
import { callAddress, reference, type Which } from '../which'

const TIMELINE_ROWS = 1000

export function Timeline(which: Which) {
  const [from, setFrom] = useParameter('offset', '0')
  const [sort, setSort] = useParameter('sort', 'dt')
  const [filter, setFilter] = useParameter('filter')
  const offset = Number(from) || 0
  const { value, error, reload } = useResource<Report<CallRow>>('/api/perf/call', { session: reference(which), limit: TIMELINE_ROWS, offset,
    sort: sort === 'dt' ? '' : sort, method: filter.trim() && `*${filter.trim()}*` })
  const reorder = (order: Order) => {
    setFrom('0')
    setSort(orderText(order), false)
  }
  const search = (text: string) => {
    setFrom('0')
    setFilter(text)
  }
  const calls = value?.rows ?? []
  const start = (row: CallRow) => Date.parse(row.dt) / 1000
  const axis = useMemo(() => axisOf(calls.map((row) => ({ start: start(row), length: row.tm }))), [value])
  const rows = useMemo(() => localRows(calls, undefined, ''), [value])
  const columns: TableColumn<CallRow>[] = [
    { name: 'method', title: 'Method', width: 120, grow: 2, cell: (row) => <Method name={row.method} /> },
    { name: 'dt', title: 'Start', width: 84, right: true, rank: 3, cell: (row) => moment(row.dt) },
    { name: 'tm', title: 'Time', width: 78, right: true, cell: (row) => seconds(row.tm) },
    { name: 'bar', title: 'When', width: 120, grow: 4, fixed: true, cell: (row) => <PlacedBar call={row} from={axis.place(start(row))} to={axis.place(start(row) + row.tm)} /> },
  ]
  if (error) return <Failure error={error} again={reload} />
  if (value === undefined) return <Waiting what="calls" />
  const hidden = axis.breaks.reduce((sum, pause) => sum + pause.hidden, 0)
  return (
    <section aria-label="Timeline">
      <div class="tools"><Filter label="Method" value={filter} onChange={search} placeholder="Method contains …" /><Legend />
        <Paging total={value.total} offset={offset} size={TIMELINE_ROWS} onChange={(next) => setFrom(String(next), false)} /></div>
      <Table label="Timeline" columns={columns} rows={rows} order={parseOrder(sort)} onOrder={reorder} to={(row) => callAddress(which, row['#'])}
        empty={<Empty title="No call matches."><p>Empty the filter to see all of them.</p></Empty>} />
      <Note>{plural(calls.length, 'call')} of {count(value.total)}{sort === 'dt' ? ' in order' : ''}, {seconds(axis.length)} as drawn.
        {axis.breaks.length > 0 && ` Pauses of the user (${count(axis.breaks.length)}, ${seconds(hidden)} together) are drawn short.`}</Note>
    </section>
  )
}

function Paging({ total, offset, size, onChange }: { total: number; offset: number; size: number; onChange: (offset: number) => void }) {
  if (total <= size) return null
  return (
    <div class="paging">
      <button type="button" disabled={offset === 0} onClick={() => onChange(Math.max(0, offset - size))}>Earlier</button>
      <span>{count(offset + 1)} to {count(Math.min(total, offset + size))}</span>
      <button type="button" disabled={offset + size >= total} onClick={() => onChange(offset + size)}>Later</button>
    </div>
  )
}
