// The calls of a session, worst first; the daemon sorts and pages them.

import { useEffect, useMemo } from 'preact/hooks'
import { address, session } from '../api'
import { MANY, STATUS_TEXT, statusMark, type CallRow } from '../call_row'
import { Legend, ShareBar } from '../parts/bars'
import { Filter, Note } from '../parts/layout'
import { Method } from '../parts/method'
import { Empty } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useParameter } from '../router'
import { orderText, PagedRows, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, moment, plural, seconds, wholeMoment } from '../units'
import { oneLine } from '../visible'
import { callAddress, reference, type Which } from '../which'

function Status({ row }: { row: CallRow }) {
  return <span class={statusMark(row.status)} title={row.error ? oneLine(row.error) : undefined}>{STATUS_TEXT[row.status] ?? row.status}
    {row.attempts > 1 && <span class="tag">×{row.attempts}</span>}</span>
}

function Repeated({ number }: { number: number }) {
  return number >= MANY ? <span class="warn" title="One statement so often in this call">{count(number)}×</span>
    : <span class="muted">{number > 1 ? `${number}×` : ''}</span>
}

const callColumns: TableColumn<CallRow>[] = [
  { name: 'method', title: 'Method', width: 150, grow: 4, cell: (row) => <Method name={row.method} /> },
  { name: 'tm', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.tm) },
  { name: 'shares', title: 'Where', hint: 'SQL, waiting, commit, Python', width: 110, grow: 1, rank: 4, fixed: true, cell: (row) => <ShareBar call={row} /> },
  { name: 'db_tm', title: 'SQL', width: 80, right: true, rank: 3, cell: (row) => seconds(row.db_tm) },
  { name: 'db_nb', title: 'Statements', width: 104, right: true, rank: 2, cell: (row) => count(row.db_nb) },
  { name: 'repeated', title: 'Repeated', hint: 'How often its most repeated statement ran', width: 92, right: true, rank: 3, cell: (row) => <Repeated number={row.repeated} /> },
  { name: 'status', title: 'Status', width: 96, rank: 5, cell: (row) => <Status row={row} /> },
  { name: 'dt', title: 'Start', width: 84, right: true, rank: 6, cell: (row) => <span title={wholeMoment(row.dt)}>{moment(row.dt)}</span> },
  { name: 'details', title: 'Kept', hint: 'What was kept of the call beside its figures', width: 120, rank: 8, cell: (row) => <span class="muted">{(row.details ?? '').replace(/,/g, ' ')}</span> },
  { name: '#', title: '#', width: 60, right: true, rank: 7, cell: (row) => <span class="muted">{row['#']}</span> },
]

/** A table for a spreadsheet, and traces for what reads OpenTelemetry. */
const FORMATS = ['csv', 'otlp-json']

export function Calls(which: Which) {
  const isViewer = useSignal(session)?.role === 'viewer'
  const [sort, setSort] = useParameter('sort', '-tm')
  const [filter, setFilter] = useParameter('filter')
  const rows = useMemo(() => new PagedRows<CallRow>('call', {
    session: reference(which), sort, method: filter.trim() && `*${filter.trim()}*` }), [which.db, which.session, sort, filter])
  useEffect(() => () => rows.close(), [rows])
  useSignal(rows.version)
  return (
    <section aria-label="Calls">
      <div class="tools"><Filter label="Method" value={filter} onChange={setFilter} placeholder="Method contains …" /><Legend /></div>
      <Table label="Calls" columns={callColumns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)}
        to={(row) => callAddress(which, row['#'])} mark={(row) => statusMark(row.status) === 'bad' ? 'marked' : undefined}
        empty={<Empty title="No call matches."><p>Empty the filter to see all of them.</p></Empty>} />
      {!isViewer && <p class="actions downloads">Save as {FORMATS.map((format) => <a key={format} class="button" download
        href={address('/api/perf/export', { session: reference(which), format })}>{format}</a>)}</p>}
      {rows.total !== undefined && <Note>{plural(rows.total, 'call')}{rows.note ? `; ${rows.note}` : ''}</Note>}
    </section>
  )
}
