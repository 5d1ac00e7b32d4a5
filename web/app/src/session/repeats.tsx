// Statements that ran often within one call: mostly a query in a loop.

import { useEffect, useMemo } from 'preact/hooks'
import { MANY } from '../call_row'
import { Filter, Note } from '../parts/layout'
import { Method } from '../parts/method'
import { Empty } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useParameter } from '../router'
import { orderText, PagedRows, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { culprit, shortPlace } from '../sql/backtrace'
import { count, plural, seconds } from '../units'
import { oneLine } from '../visible'
import { callAddress, reference, type Which } from '../which'

interface RepeatRow {
  call: number
  method: string
  fingerprint: string
  count: number
  time: number
  saving: number
  action: string
  table: string
  backtrace: string | null
  statement: string
}

const repeatColumns: TableColumn<RepeatRow>[] = [
  { name: 'method', title: 'Method', width: 130, grow: 2, cell: (row) => <Method name={row.method} /> },
  { name: 'count', title: 'Times', width: 66, right: true, cell: (row) => <span class={row.count >= MANY ? 'warn' : undefined}>{count(row.count)}×</span> },
  { name: 'saving', title: 'To save', hint: 'What one statement in place of them would save', width: 84, right: true, cell: (row) => seconds(row.saving) },
  { name: 'time', title: 'Time', width: 80, right: true, rank: 3, cell: (row) => seconds(row.time) },
  { name: 'table', title: 'Statement', width: 130, grow: 1, rank: 2, cell: (row) => `${row.action} ${oneLine(row.table)}` },
  { name: 'backtrace', title: 'Sent from', width: 170, grow: 3, rank: 4, fixed: true, cell: (row) => {
    const frame = culprit(row.backtrace ?? '')
    return frame ? <code title={`${oneLine(frame.place)} ${oneLine(frame.name)}`}>{oneLine(shortPlace(frame))}</code> : '–'
  } },
  { name: 'call', title: 'Call', width: 60, right: true, rank: 5, cell: (row) => row.call },
]

export function Repeats(which: Which) {
  const [sort, setSort] = useParameter('sort')
  const [least] = useParameter('least', String(MANY))
  const [filter, setFilter] = useParameter('filter')
  const rows = useMemo(() => new PagedRows<RepeatRow>('repeat', { session: reference(which), sort, at_least: least, contains: filter.trim() }), [which.db, which.session, sort, least, filter])
  useEffect(() => () => rows.close(), [rows])
  useSignal(rows.version)
  return (
    <section aria-label="Repeated statements">
      <div class="tools"><Filter label="Statement" value={filter} onChange={setFilter} placeholder="Method, table or file" /></div>
      <Table label="Repeated statements" columns={repeatColumns} rows={rows} order={parseOrder(sort) ?? { column: 'saving', descending: true }}
        onOrder={(order) => setSort(orderText(order), false)} to={(row) => callAddress(which, row.call, { statement: row.fingerprint })}
        empty={filter ? <Empty title="No statement matches."><p>Empty the filter to see all of them.</p></Empty> : <Empty title={`No statement ran ${least} times or more in one call.`}><p>That is good: no query in a loop was seen.</p></Empty>} />
      {rows.total !== undefined && rows.total > 0 && <Note>{plural(rows.total, 'statement')} that ran {least} times or more in one call: mostly a query in a loop (N+1).</Note>}
    </section>
  )
}
