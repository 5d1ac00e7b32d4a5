// The statements that took longer than the limit of a rule.

import { useEffect, useMemo } from 'preact/hooks'
import { address } from '../api'
import { Filter, Note } from '../parts/layout'
import { Method } from '../parts/method'
import { Empty } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { Link, useParameter } from '../router'
import { orderText, PagedRows, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, plural, seconds } from '../units'
import { oneLine } from '../visible'
import { reference, type Which } from '../which'

interface SlowRow {
  '#': number
  method: string
  call: number
  action: string
  table: string
  time: number
  rows: number
  sql: string
}

const slowColumns: TableColumn<SlowRow>[] = [
  { name: 'sql', title: 'Statement', width: 150, grow: 4, fixed: true, cell: (row) => <code>{oneLine(row.sql, 200)}</code> },
  { name: 'time', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.time) },
  { name: 'rows', title: 'Rows', width: 70, right: true, rank: 4, cell: (row) => count(row.rows) },
  { name: 'table', title: 'Table', width: 130, grow: 1, rank: 3, cell: (row) => oneLine(row.table) },
  { name: 'method', title: 'Method', width: 150, grow: 2, rank: 2, cell: (row) => <Method name={row.method} /> },
]

export function Slow(which: Which) {
  const [sort, setSort] = useParameter('sort', '-time')
  const [filter, setFilter] = useParameter('filter')
  const rows = useMemo(() => new PagedRows<SlowRow>('query', { session: reference(which), sort, contains: filter.trim() }), [which.db, which.session, sort, filter])
  useEffect(() => () => rows.close(), [rows])
  useSignal(rows.version)
  return (
    <section aria-label="Slow statements">
      <div class="tools"><Filter label="Statement" value={filter} onChange={setFilter} placeholder="Statement or method" /></div>
      <Table label="Slow statements" columns={slowColumns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)}
        to={(row) => address('/query', { db: which.db, session: which.session, rank: row['#'] })}
        empty={filter ? <Empty title="No statement matches."><p>Empty the filter to see all of them.</p></Empty> : <Empty title="No slow statement was kept."><p>A rule with a limit for statements, such as 100 ms, keeps those that take longer, with their values and the
          line that sent them. <Link to="/rules">Add such a rule</Link></p></Empty>} />
      {rows.total !== undefined && rows.total > 0 && <Note>{plural(rows.total, 'statement')} over the limit of the rule.{rows.note ? ` ${rows.note}` : ''}</Note>}
    </section>
  )
}
