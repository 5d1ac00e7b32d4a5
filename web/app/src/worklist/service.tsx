// The counters: how fresh they are, what they wait for, and how each list is counted.

import { useMemo, useState } from 'preact/hooks'
import { mayChange, post, session } from '../api'
import { Figures, Filter, Note, type Figure } from '../parts/layout'
import { Empty } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { asApiError } from '../resource'
import { useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, NOTHING, plural, seconds } from '../units'
import { oneLine, visible } from '../visible'

export interface CountedList {
  list: string
  way: 'live' | 'sql'
  why: string
}

export interface ServiceStatus {
  state: string | null
  text: string
  lsn: string | null
  age_ms: number | null
  documents: number
  changes: number
  rebuilds: number
  problem: string
  watching: number
  lists: CountedList[]
}

const columns: TableColumn<CountedList>[] = [
  { name: 'list', title: 'List', width: 150, grow: 2, cell: (row) => <span title={oneLine(row.list, 300)}>{oneLine(row.list, 300)}</span> },
  { name: 'way', title: 'Way', width: 70, cell: (row) => row.way === 'live' ? <span class="good">live</span> : <span class="warn">SQL</span> },
  { name: 'why', title: 'Why not live', width: 160, grow: 4, rank: 2, cell: (row) => <span class="muted" title={oneLine(row.why, 500)}>{oneLine(row.why, 500)}</span> },
]

export function Service({ status, again }: { status: ServiceStatus; again: () => void }) {
  const [filter, setFilter] = useParameter('filter')
  const [sort, setSort] = useParameter('sort')
  const rows = useMemo(() => localRows(status.lists, parseOrder(sort), filter), [status, sort, filter])
  return (
    <section aria-label="How they are counted">
      {status.problem !== '' && <p class="finding" role="status">{visible(status.problem)}</p>}
      <Figures figures={figures(status)} />
      <div class="tools"><p class="live-state"><span class={`dot ${status.state === 'current' ? 'open' : ''}`} aria-hidden="true" /><span role="status">{visible(status.text)}</span><Anew again={again} /></p>
        <Filter label="Lists" value={filter} onChange={setFilter} placeholder="List contains …" /></div>
      <Table label="All lists" columns={columns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)} subject={filter} most={20}
        empty={<Empty title="No list matches."><p>Empty the filter to see all of them.</p></Empty>} />
      <Note>{plural(status.lists.length, 'list')} in the definitions. Those that are not live are counted by statements, in the cheapest way.</Note>
    </section>
  )
}

function figures(status: ServiceStatus): Figure[] {
  const live = status.lists.filter((list) => list.way === 'live').length
  return [
    { name: 'State', value: status.state === null ? NOTHING : oneLine(status.state), mark: status.state === 'current' ? 'good' : status.state === null ? undefined : 'warn' },
    { name: 'Age', value: status.age_ms === null ? NOTHING : seconds(status.age_ms / 1000), hint: 'All that had committed so long ago is counted' },
    { name: 'Counted live', value: <>{count(live)} <span class="muted">of {count(status.lists.length)}</span></> },
    { name: 'Documents', value: count(status.documents), hint: 'That are in any of the lists' },
    { name: 'Changes', value: count(status.changes), hint: 'Rows of the log, since the start' },
    { name: 'Watching', value: count(status.watching), hint: 'Who is told of changes now' },
    { name: 'Counted anew', value: count(status.rebuilds), hint: 'Since the start' },
    { name: 'Position', value: status.lsn === null ? NOTHING : oneLine(status.lsn), hint: 'In the write-ahead log: everything before it is counted' },
  ]
}

/** For administrators. */
function Anew({ again }: { again: () => void }) {
  const may = mayChange(useSignal(session))
  const [said, setSaid] = useState('')
  if (!may) return null
  const ask = () => {
    setSaid('')
    post('/api/worklist/refresh', {}).then(() => { setSaid('Begun.'); again() }, (error: unknown) => setSaid(asApiError(error).message))
  }
  return <><button type="button" class="quiet" onClick={ask}>Count all anew</button><span role="status">{visible(said)}</span></>
}
