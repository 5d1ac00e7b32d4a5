// The always-on counts: every call of everybody, by method, recorded or not.

import { useMemo } from 'preact/hooks'
import { Empty, Failure, Waiting } from '../parts/states'
import { Figures, Filter, Note, Page } from '../parts/layout'
import { Choice } from '../parts/choice'
import { Method } from '../parts/method'
import { Table, type TableColumn } from '../parts/table'
import type { Report } from '../api'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { count, seconds, share } from '../units'
import { oneLine } from '../visible'

interface MethodRow {
  method: string
  time: number
  number: number
  avg: number
  errors: number
  p50: number
  p95: number
  p99: number
  db_nb: number
  db_tm: number
  kind: string
  database: string | null
}

const columns: TableColumn<MethodRow>[] = [
  { name: 'method', title: 'Method', width: 150, grow: 4, cell: (row) => <Method name={row.method} /> },
  { name: 'database', title: 'Database', width: 100, rank: 6, cell: (row) => row.database ? oneLine(row.database) : '–' },
  { name: 'kind', title: 'Kind', width: 60, rank: 8, cell: (row) => row.kind },
  { name: 'number', title: 'Calls', width: 72, right: true, rank: 2, cell: (row) => count(row.number) },
  { name: 'errors', title: 'Errors', width: 70, right: true, rank: 5, cell: (row) => <span class={row.errors > 0 ? 'bad' : 'muted'}>{count(row.errors)}</span> },
  { name: 'time', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.time) },
  { name: 'db_tm', title: 'of it SQL', width: 84, right: true, rank: 4, cell: (row) => share(row.db_tm, row.time) },
  { name: 'db_nb', title: 'Statements', hint: 'Statements per call', width: 104, right: true, rank: 7,
    cell: (row) => row.number ? (row.db_nb / row.number).toFixed(1) : '–' },
  { name: 'avg', title: 'Average', width: 80, right: true, rank: 3, cell: (row) => seconds(row.avg) },
  { name: 'p50', title: 'p50', hint: 'Half of the calls took at most this', width: 76, right: true, rank: 6, cell: (row) => seconds(row.p50) },
  { name: 'p95', title: 'p95', hint: '95 of 100 calls took at most this', width: 76, right: true, rank: 3, cell: (row) => seconds(row.p95) },
  { name: 'p99', title: 'p99', hint: '99 of 100 calls took at most this', width: 76, right: true, rank: 6, cell: (row) => seconds(row.p99) },
]

const SPANS: [string, string][] = [['1h', 'last hour'], ['24h', 'last day'], ['7d', 'last week'], ['', 'all that is kept']]

export default function Overview() {
  const [since, setSince] = useParameter('since', '24h')
  const [sort, setSort] = useParameter('sort', '-time')
  const [filter, setFilter] = useParameter('filter')
  const span = since === 'all' ? '' : since
  const { value, error, reload } = useResource<Report<MethodRow>>('/api/perf/overview', { since: span, limit: 1000 })
  const rows = useMemo(() => localRows(value?.rows ?? [], parseOrder(sort), filter), [value, sort, filter])
  return (
    <Page title="Overview" actions={<>
      <Choice label="Time" value={since} onChange={setSince} options={SPANS.map(([id, title]) => [id || 'all', title])} />
      <Filter label="Method" value={filter} onChange={setFilter} />
    </>}>
      {error ? <Failure error={error} again={reload} /> : value === undefined ? <Waiting what="counts" /> : <>
        <Totals rows={value.rows} />
        <Table label="Methods" columns={columns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)}
          mark={(row) => row.errors * 20 > row.number ? 'marked' : undefined}
          empty={<Empty title={filter ? 'No method matches.' : 'No call was counted in this time.'}>
            <p>{filter ? 'Empty the filter, or choose a longer time.' : 'Choose a longer time, or look at the status: which processes record?'}</p></Empty>} />
        <Note>Every call of everybody is counted here by the hour, recorded or not.{value.note ? ` ${value.note}` : ''}
          {value.total > value.rows.length ? ` The first ${count(value.rows.length)} of ${count(value.total)} methods are shown.` : ''}</Note>
      </>}
    </Page>
  )
}

function Totals({ rows }: { rows: MethodRow[] }) {
  const sum = (key: 'number' | 'errors' | 'time' | 'db_tm' | 'db_nb') => rows.reduce((total, row) => total + row[key], 0)
  return (
    <Figures figures={[
      { name: 'Calls', value: count(sum('number')) },
      { name: 'Errors', value: count(sum('errors')), mark: sum('errors') > 0 ? 'bad' : undefined },
      { name: 'Time', value: seconds(sum('time')) },
      { name: 'in SQL', value: share(sum('db_tm'), sum('time')) },
      { name: 'Statements', value: count(sum('db_nb')) },
    ]} />
  )
}
