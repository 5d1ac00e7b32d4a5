// The profile of a call: as a flame graph, and added up by function.

import { useMemo } from 'preact/hooks'
import { address, session, type Report } from '../api'
import { Flame } from '../flame/flame'
import type { ProfileTree } from '../flame/layout'
import { Filter, Note } from '../parts/layout'
import { Empty, Failure, Waiting } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, plural, seconds } from '../units'
import { oneLine } from '../visible'
import { reference } from '../which'
import type { WhichCall } from './whole_call'

/** What other tools read: speedscope.app, go tool pprof, flamegraph.pl, Python's pstats. */
const FORMATS = ['speedscope', 'pprof', 'collapsed', 'pstats']

export function Profile(which: WhichCall) {
  const isViewer = useSignal(session)?.role === 'viewer'
  const { value, error, reload } = useResource<{ profiles: ProfileTree[] }>('/api/perf/profile/tree', { session: reference(which), call: which.call })
  if (error) return <Failure error={error} again={reload} />
  if (value === undefined) return <Waiting what="the profile" />
  return <>{value.profiles.map((tree) => (
    <section key={tree.kind} aria-label={`Profile, ${tree.kind}`}>
      <Flame tree={tree} />
      {!isViewer && <p class="actions downloads">Save as {FORMATS.map((format) => <a key={format} class="button" download
        href={address('/api/perf/export', { session: reference(which), call: which.call, format })}>{format}</a>)}</p>}
      <Note>{tree.kind === 'exact' ? `Every call of a function was measured: ${count(tree.nodes.parent.length)} nodes.`
        : `${count(tree.samples - tree.missed)} samples, ${count(tree.missed)} missed.`}
        {tree.dropped_nodes > 0 && ` ${count(tree.dropped_nodes)} entries beyond the bound count in their callers.`}</Note>
    </section>
  ))}</>
}

interface FunctionRow {
  kind: string
  function: string | null
  file: string | null
  line: number
  calls: number
  self: number
  cumulative: number
  cpu: number | null
}

const functionColumns: TableColumn<FunctionRow>[] = [
  { name: 'function', title: 'Function', width: 140, grow: 2, cell: (row) => <code title={oneLine(row.function)}>{oneLine(row.function)}</code> },
  { name: 'file', title: 'File', width: 160, grow: 3, rank: 4, cell: (row) => <code title={oneLine(row.file)}>{row.file === '~' ? 'built in' : `${oneLine((row.file ?? '').replace(/^.*-packages\//, ''))}:${row.line}`}</code> },
  { name: 'calls', title: 'Calls', width: 72, right: true, rank: 3, cell: (row) => count(row.calls) },
  { name: 'self', title: 'Own', hint: 'Without what it called', width: 80, right: true, cell: (row) => seconds(row.self) },
  { name: 'cumulative', title: 'Together', hint: 'With what it called', width: 84, right: true, cell: (row) => seconds(row.cumulative) },
]

export function Functions(which: WhichCall) {
  const [sort, setSort] = useParameter('sort', '-self')
  const [filter, setFilter] = useParameter('filter')
  const { value, error, reload } = useResource<Report<FunctionRow>>('/api/perf/profile', { session: reference(which), call: which.call, limit: 1000 })
  const rows = useMemo(() => localRows(value?.rows ?? [], parseOrder(sort), filter), [value, sort, filter])
  if (error) return <Failure error={error} again={reload} />
  if (value === undefined) return <Waiting what="functions" />
  return (
    <section aria-label="Functions">
      <div class="tools"><Filter label="Function or file" value={filter} onChange={setFilter} /></div>
      <Table label="Functions" columns={functionColumns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)}
        empty={<Empty title="No function matches." />} />
      <Note>{value.total > value.rows.length ? `The ${count(value.rows.length)} that took longest of ${count(value.total)} functions` : plural(value.total, 'function')}</Note>
    </section>
  )
}
