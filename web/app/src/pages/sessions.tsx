// Where one begins: whose work was recorded, newest first.

import { useEffect, useMemo } from 'preact/hooks'
import { Empty } from '../parts/states'
import { Filter, Note, Page } from '../parts/layout'
import { Table, type TableColumn } from '../parts/table'
import { address, type Parameters } from '../api'
import { Link, useParameter } from '../router'
import { firstPage, orderText, PagedRows, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, moment, plural, seconds, shortMoment, wholeMoment } from '../units'
import { oneLine } from '../visible'

export interface SessionRow {
  session: string
  user: string | null
  first: string
  last: string
  nb: number
  tm: number
  database: string
}

const columns: TableColumn<SessionRow>[] = [
  { name: 'user', title: 'User', width: 100, grow: 2, cell: (row) => row.user === null ? <span class="muted">(unknown)</span> : oneLine(row.user) },
  { name: 'session', title: 'Session', width: 150, grow: 1, rank: 3, cell: (row) => <code>{oneLine(row.session)}</code> },
  { name: 'database', title: 'Database', width: 120, grow: 1, rank: 4, cell: (row) => oneLine(row.database) },
  { name: 'nb', title: 'Calls', width: 68, rank: 2, right: true, cell: (row) => count(row.nb) },
  { name: 'tm', title: 'Time', hint: 'All calls of the session together', width: 84, right: true, cell: (row) => seconds(row.tm) },
  { name: 'first', title: 'First call', width: 160, rank: 5, right: true, cell: (row) => <span title={wholeMoment(row.first)}>{moment(row.first)}</span> },
  { name: 'last', title: 'Last call', width: 104, right: true, cell: (row) => <span title={wholeMoment(row.last)}>{shortMoment(row.last)}</span> },
]

function parameters(sort: string, filter: string): Parameters {
  return { sort, contains: filter.trim() }
}

/** What the page asks for first. */
export function asks(query: URLSearchParams): string[] {
  return [firstPage('session', parameters(query.get('sort') ?? '', query.get('filter') ?? ''))]
}

export default function Sessions() {
  const [sort, setSort] = useParameter('sort')
  const [filter, setFilter] = useParameter('filter')
  const rows = useMemo(() => new PagedRows<SessionRow>('session', parameters(sort, filter)), [sort, filter])
  useEffect(() => () => rows.close(), [rows])
  useSignal(rows.version)
  return (
    <Page title="Sessions" actions={<Filter label="Session" placeholder="User, session, database" value={filter} onChange={setFilter} />}>
      <Table label="Sessions" columns={columns} rows={rows} order={parseOrder(sort) ?? { column: 'last', descending: true }}
        onOrder={(order) => setSort(orderText(order), false)}
        to={(row) => address('/session', { db: row.database, session: row.session })}
        empty={filter ? <Empty title="No session matches."><p>Empty the filter to see all of them.</p></Empty>
          : <NothingYet />} />
      {rows.total !== undefined && rows.total > 0 && <Note>{plural(rows.total, 'session')}{rows.note ? `; ${rows.note}` : ''}</Note>}
    </Page>
  )
}

function NothingYet() {
  return (
    <Empty title="No session was recorded yet.">
      <p>A rule says whose calls are recorded. <Link to="/rules">Add a rule</Link>, then let that user work; this takes two seconds to be in force.</p>
      <p>If a rule is there and nothing comes, <Link to="/status">status</Link> tells which processes record.</p>
    </Empty>
  )
}
