// The statements of a call, grouped by their text; the chosen one with the lines that sent it, and its plan.

import { useMemo } from 'preact/hooks'
import { MANY } from '../call_row'
import { Filter, Note } from '../parts/layout'
import { Explain } from '../parts/plan'
import { Backtrace, Sql } from '../parts/sql'
import { Empty } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { culprit, shortPlace } from '../sql/backtrace'
import { count, plural, seconds } from '../units'
import { oneLine } from '../visible'
import { callAddress, reference } from '../which'
import type { Statement, WholeCall } from './whole_call'

const statementColumns: TableColumn<Statement>[] = [
  { name: 'statement', title: 'Statement', width: 140, grow: 4, fixed: true, cell: (row) => <code>{oneLine(row.statement ?? '(text unknown)', 300)}</code> },
  { name: 'number', title: 'Times', width: 72, right: true, cell: (row) => <span class={row.number >= MANY ? 'warn' : undefined}>{count(row.number)}×</span> },
  { name: 'time', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.time) },
  { name: 'longest', title: 'Longest', width: 80, right: true, rank: 5, cell: (row) => seconds(row.longest) },
  { name: 'rows', title: 'Rows', width: 70, right: true, rank: 4, cell: (row) => count(row.rows) },
  { name: 'tables', title: 'Table', width: 130, grow: 1, rank: 3, cell: (row) => <span title={oneLine(row.tables ?? '')}>{oneLine((row.tables ?? '–').split(',')[0]!)}</span> },
  { name: 'backtrace', title: 'Sent from', width: 200, grow: 2, rank: 2, fixed: true, cell: (row) => {
    const frame = culprit(row.backtrace ?? '')
    return frame ? <code title={`${oneLine(frame.place)} ${oneLine(frame.name)}`}>{oneLine(shortPlace(frame))}</code> : '–'
  } },
]

export function Statements({ call }: { call: WholeCall }) {
  const [sort, setSort] = useParameter('sort', '-time')
  const [filter, setFilter] = useParameter('filter')
  const [chosen] = useParameter('statement')
  const rows = useMemo(() => localRows(call.statements, parseOrder(sort), filter), [call, sort, filter])
  const [db] = useParameter('db')
  const statement = call.statements.find((one) => one.fingerprint === chosen)
  const to = (row: Statement) => callAddress({ db, session: call.session }, call['#'], { statement: row.fingerprint, sort: sort === '-time' ? '' : sort, filter })
  return (
    <section aria-label="Statements">
      <div class="tools"><Filter label="Statement" placeholder="Statement, table or file" value={filter} onChange={setFilter} /></div>
      <Table label="Statements" columns={statementColumns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)}
        to={to} most={14} mark={(row) => row.fingerprint === chosen ? 'chosen' : undefined}
        empty={<Empty title={filter ? 'No statement matches.' : 'This call sent no statement.'} />} />
      <Note>Grouped by their text without values; {plural(call.db_nb, 'statement')} ran. Choose one to see it whole, and the line that sent it.</Note>
      {statement && <article class="card" aria-label="Statement">
        <h2>{statement.action.toUpperCase()} {oneLine(statement.tables ?? '', 200)} <span class="muted">{count(statement.number)}×, {seconds(statement.time)}</span></h2>
        <Backtrace text={statement.backtrace ?? ''} />
        <Sql text={statement.statement ?? ''} />
        <Explain key={statement.fingerprint} action={statement.action} what={{ session: reference({ db, session: call.session }), fingerprint: statement.fingerprint }} />
      </article>}
    </section>
  )
}
