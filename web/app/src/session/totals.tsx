// What a session adds up to: by method, or by table.

import { useMemo } from 'preact/hooks'
import { address, type Report } from '../api'
import { Filter, Note } from '../parts/layout'
import { Method } from '../parts/method'
import { Empty, Failure, Waiting } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { count, plural, seconds, share } from '../units'
import { oneLine } from '../visible'
import { reference, type Which } from '../which'

interface TotalRow {
  method?: string
  table?: string
  time: number
  number: number
  avg: number
}

export function Totals({ what, ...which }: Which & { what: 'method' | 'table' }) {
  const [sort, setSort] = useParameter('sort', '-time')
  const [filter, setFilter] = useParameter('filter')
  const { value, error, reload } = useResource<Report<TotalRow>>(`/api/perf/${what}`, { session: reference(which), limit: 1000 })
  const rows = useMemo(() => localRows(value?.rows ?? [], parseOrder(sort), filter), [value, sort, filter])
  if (error) return <Failure error={error} again={reload} />
  if (value === undefined) return <Waiting what={`${what}s`} />
  const whole = value.rows.reduce((sum, row) => sum + row.time, 0)
  const columns: TableColumn<TotalRow>[] = [
    { name: what, title: what === 'method' ? 'Method' : 'Table', width: 140, grow: 3, cell: (row) => what === 'method' ? <Method name={row.method ?? ''} /> : oneLine(row.table ?? '') },
    { name: 'time', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.time) },
    { name: 'share', title: 'Share', width: 100, grow: 1, rank: 3, fixed: true, cell: (row) => <Share part={row.time} whole={whole} /> },
    { name: 'number', title: what === 'method' ? 'Calls' : 'Statements', width: 92, right: true, rank: 2, cell: (row) => count(row.number) },
    { name: 'avg', title: 'Average', width: 84, right: true, rank: 2, cell: (row) => seconds(row.avg) },
  ]
  const to = (row: TotalRow) => what === 'method' ? address('/session', { db: which.db, session: which.session, filter: row.method }) : undefined
  return (
    <section aria-label={what === 'method' ? 'Methods' : 'Tables'}>
      <div class="tools"><Filter label={what === 'method' ? 'Method' : 'Table'} value={filter} onChange={setFilter} /></div>
      <Table label={what === 'method' ? 'Methods' : 'Tables'} columns={columns} rows={rows} order={parseOrder(sort)}
        onOrder={(order) => setSort(orderText(order), false)} to={what === 'method' ? to : undefined as never}
        empty={<Empty title={filter ? 'Nothing matches.' : 'No statement was recorded.'} />} />
      <Note>{what === 'method' ? `${plural(rows.total ?? 0, 'method')}; one leads to its calls.`
        : `${plural(rows.total ?? 0, 'table')}; a statement counts at every table that it names.`}</Note>
    </section>
  )
}

function Share({ part, whole }: { part: number; whole: number }) {
  const text = share(part, whole)
  return <span class="share"><span class="share-bar"><span class="share-fill" style={{ width: `${whole > 0 ? (100 * part) / whole : 0}%` }} /></span><span class="share-text">{text}</span></span>
}
