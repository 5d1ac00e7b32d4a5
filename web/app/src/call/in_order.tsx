// The statements of a call one by one, with their values, as they ran.

import { useMemo, useState } from 'preact/hooks'
import type { Report } from '../api'
import { Body } from '../parts/body'
import { Filter, Note } from '../parts/layout'
import { Sql } from '../parts/sql'
import { Failure, Waiting } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows } from '../rows'
import { count, seconds } from '../units'
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

export function InOrder(which: WhichCall) {
  const { value, error, reload } = useResource<Report<Event>>('/api/perf/db', { session: reference(which), call: which.call, limit: 1000 })
  const [filter, setFilter] = useParameter('filter')
  const [chosen, setChosen] = useState<Event>()
  const rows = useMemo(() => localRows(value?.rows ?? [], undefined, filter), [value, filter])
  const columns: TableColumn<Event>[] = [
    { name: 'offset', title: 'After', hint: 'Since the call began', width: 80, right: true, cell: (row) => seconds(row.offset) },
    { name: 'time', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.time) },
    { name: 'rows', title: 'Rows', width: 60, right: true, rank: 4, cell: (row) => count(row.rows) },
    { name: 'statement', title: 'Statement', width: 130, grow: 3, cell: (row) => <button type="button" class="cell-button" onClick={() => setChosen(row)}><code>{oneLine(row.statement, 300)}</code></button> },
    { name: 'parameters', title: 'Values', width: 140, grow: 1, rank: 3, cell: (row) => <code>{oneLine(row.parameters ?? '', 200)}</code> },
  ]
  if (error) return <Failure error={error} again={reload} />
  if (value === undefined) return <Waiting what="statements" />
  return (
    <section aria-label="Statements in order">
      <div class="tools"><Filter label="Statement" value={filter} onChange={setFilter} /></div>
      <Table label="Statements in order" columns={columns} rows={rows} most={18} />
      <Note>{count(value.rows.length)} of {count(value.total)} statements in the order in which they ran.{value.note ? ` ${value.note}` : ''}</Note>
      {chosen && <article class="card" aria-label="Statement"><Sql text={chosen.statement} />
        {chosen.parameters && <><h3>Values</h3><Body text={chosen.parameters} what="values" /></>}</article>}
    </section>
  )
}
