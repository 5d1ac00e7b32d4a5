// The statements of a call one by one, with their values, as they ran.

import { useEffect, useMemo } from 'preact/hooks'
import { Body } from '../parts/body'
import { Filter, Note } from '../parts/layout'
import { Sql } from '../parts/sql'
import { Empty } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { addressWith, go, place, useParameter } from '../router'
import { orderText, PagedRows, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { plural, count, seconds } from '../units'
import { oneLine } from '../visible'
import { reference } from '../which'
import type { WhichCall } from './whole_call'

interface Event {
  action: string
  table: string
  time: number
  offset: number
  rows: number
  statement: string
  parameters: string | null
}

const columns: TableColumn<Event>[] = [
  { name: 'offset', title: 'After', hint: 'Since the call began', width: 80, right: true, cell: (row) => seconds(row.offset) },
  { name: 'time', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.time) },
  { name: 'rows', title: 'Rows', width: 60, right: true, rank: 4, cell: (row) => count(row.rows) },
  { name: 'statement', title: 'Statement', width: 130, grow: 3, cell: (row) => <code>{oneLine(row.statement, 300)}</code> },
  { name: 'parameters', title: 'Values', width: 140, grow: 1, rank: 3, cell: (row) => <code>{oneLine(row.parameters ?? '', 200)}</code> },
]

export function InOrder(which: WhichCall) {
  const [sort] = useParameter('sort', 'offset')
  const [filter] = useParameter('filter')
  const setFilter = (text: string) => go(addressWith(place.value, { filter: text, row: '' }), true)
  const [row] = useParameter('row')
  const from = useSignal(place)
  const rows = useMemo(() => new PagedRows<Event>('db', { session: reference(which), call: which.call, sort, contains: filter.trim() }),
    [which.db, which.session, which.call, sort, filter])
  useEffect(() => () => rows.close(), [rows])
  useSignal(rows.version)
  const index = row === '' ? -1 : Number(row) - 1
  const chosen = index >= 0 ? rows.at(index) : undefined
  useEffect(() => {
    if (index >= 0) rows.want(index, index)
  }, [rows, index, rows.version.value])
  return (
    <section aria-label="Statements in order">
      <div class="tools"><Filter label="Statement" placeholder="Statement, table or value" value={filter} onChange={setFilter} /></div>
      <Table label="Statements in order" columns={columns} rows={rows} most={18} order={parseOrder(sort)}
        onOrder={(order) => go(addressWith(from, { sort: orderText(order), row: '' }))}
        to={(_, n) => addressWith(from, { row: String(n + 1) })} mark={(_, n) => n === index ? 'chosen' : undefined}
        empty={<Empty title={filter ? 'No statement matches.' : 'No statement was kept.'} />} />
      {rows.total !== undefined && rows.total > 0 && <Note>{plural(rows.total, 'statement')}{sort === 'offset' ? ' in the order in which they ran' : ''}.{rows.note ? ` ${rows.note}` : ''}</Note>}
      {chosen && <article class="card" aria-label="Statement"><Sql text={chosen.statement} />
        {chosen.parameters && <><h3>Values</h3><Body text={chosen.parameters} what="values" /></>}</article>}
    </section>
  )
}
