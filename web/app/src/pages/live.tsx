// What happens now: calls that run and what they wait for, the busiest methods, and each recorded call as it comes.

import { useEffect, useMemo, useState } from 'preact/hooks'
import { Empty } from '../parts/states'
import { Chart } from '../parts/chart'
import { Figures, Filter, Note, Page } from '../parts/layout'
import { Method } from '../parts/method'
import { Stack } from '../parts/stack'
import { Table, type TableColumn } from '../parts/table'
import { session } from '../api'
import { MANY, STATUS_TEXT, statusMark } from '../call_row'
import { Feed, feedAddress, statementNow, type Connection, type LiveCall, type LiveMethod, type LockSession, type RunningCall } from '../live'
import { Link, useParameter } from '../router'
import { localRows, orderText, parseOrder, type Order } from '../rows'
import { useSignal } from '../signal'
import { count, moment, NOTHING, number, seconds } from '../units'
import { oneLine } from '../visible'
import { callAddress } from '../which'

const ACTIVITY: Record<string, string> = { sql: 'SQL', code: 'Python', lock: 'the lock', connection: 'a connection', commit: 'commit' }

const runningColumns: TableColumn<RunningCall>[] = [
  { name: 'method', title: 'Method', width: 130, grow: 2, cell: (row) => <Method name={row.method} /> },
  { name: 'seconds', title: 'Runs for', width: 84, right: true, cell: (row) => <span class={row.seconds > 5 ? 'bad' : row.seconds > 1 ? 'warn' : undefined}>{seconds(row.seconds)}</span> },
  { name: 'activity', title: 'Now in', width: 100, cell: (row) => ACTIVITY[row.activity] ?? row.activity },
  { name: 'activity_seconds', title: 'since', width: 80, right: true, rank: 3, cell: (row) => seconds(row.activity_seconds) },
  { name: 'user', title: 'User', width: 90, rank: 2, cell: (row) => oneLine(row.user ?? '–') },
  { name: 'statement', title: 'Statement', width: 170, grow: 3, rank: 4, cell: (row) => <StatementNow call={row} /> },
  { name: 'process', title: 'Process', width: 110, rank: 5, right: true, cell: (row) => <span class="muted">{oneLine(row.host)} {row.process}</span> },
]

function StatementNow({ call }: { call: RunningCall }) {
  const statement = statementNow(call)
  return statement === null ? <span class="muted">{NOTHING}</span> : <code title={oneLine(statement, 2000)}>{oneLine(statement, 300)}</code>
}

/** Stands there only while a call waits for another session's lock. */
const blockedColumn: TableColumn<RunningCall> = { name: 'blocked_by', title: 'Blocked by', width: 130, grow: 2, rank: 2,
  cell: (row) => <span class="bad" title={oneLine(row.blocked_by ?? '', 2000)}>{oneLine(row.blocked_by ?? '', 200)}</span> }

const lockColumns: TableColumn<LockSession>[] = [
  { name: 'name', title: 'Who', width: 140, grow: 3, cell: (row) => <span style={{ paddingLeft: `${Math.min(row.depth, 8) * 1.2}rem` }} title={oneLine(row.name, 2000)}>{oneLine(row.name, 300)}</span> },
  { name: 'waiting', title: 'Waits for', width: 84, right: true, cell: (row) => row.waiting === null ? <span class="muted">holds</span> : <span class="bad">{seconds(row.waiting)}</span> },
  { name: 'transaction', title: 'Transaction', hint: 'How long ago its transaction began', width: 100, right: true, rank: 2, cell: (row) => seconds(row.transaction ?? undefined) },
  { name: 'lock', title: 'Lock', width: 150, grow: 2, rank: 4, cell: (row) => oneLine(row.lock ?? '') },
  { name: 'statement', title: 'Statement', width: 170, grow: 3, rank: 3, cell: (row) => <code title={oneLine(row.statement ?? '', 2000)}>{oneLine(row.statement ?? '', 300)}</code> },
  { name: 'backend', title: 'Backend', hint: 'The process in the database server', width: 80, right: true, rank: 5, cell: (row) => <span class="muted">{row.backend}</span> },
]

/** Asks the process for the stack of the call; viewers may not. */
function stackColumn(ask: (call: string) => void): TableColumn<RunningCall> {
  return { name: 'stack', title: 'Stack', width: 76, fixed: true, cell: (row) => (
    <button type="button" class="quiet" aria-label={`Stack of ${oneLine(row.method, 80)}`} onClick={() => ask(row.id)}>Stack</button>) }
}

const methodColumns: TableColumn<LiveMethod>[] = [
  { name: 'method', title: 'Method', width: 140, grow: 3, cell: (row) => <Method name={row.method} /> },
  { name: 'per_second', title: 'Calls per s', width: 90, right: true, cell: (row) => number(row.per_second) },
  { name: 'avg', title: 'Average', width: 84, right: true, cell: (row) => seconds(row.avg) },
  { name: 'busy', title: 'At once', hint: 'How many ran at the same time, on average', width: 80, right: true, rank: 2, cell: (row) => number(row.busy) },
  { name: 'errors', title: 'Errors', width: 70, right: true, rank: 3, cell: (row) => <span class={row.errors > 0 ? 'bad' : 'muted'}>{count(row.errors)}</span> },
]

const callColumns: TableColumn<LiveCall>[] = [
  { name: 'start', title: 'Start', width: 84, right: true, cell: (row) => moment(row.start) },
  { name: 'method', title: 'Method', width: 130, grow: 3, cell: (row) => <Method name={row.method} /> },
  { name: 'time', title: 'Time', width: 80, right: true, cell: (row) => seconds(row.time) },
  { name: 'sql', title: 'SQL', width: 80, right: true, rank: 3, cell: (row) => seconds(row.sql) },
  { name: 'statements', title: 'Statements', width: 104, right: true, rank: 4, cell: (row) => <span class={row.repeated >= MANY ? 'warn' : undefined}>{count(row.statements)}</span> },
  { name: 'user', title: 'User', width: 90, rank: 2, cell: (row) => oneLine(row.user ?? '–') },
  { name: 'status', title: 'Status', width: 96, rank: 5, cell: (row) => <span class={statusMark(row.status)}>{STATUS_TEXT[row.status] ?? row.status}</span> },
]

export default function LivePage() {
  const [feed, setFeed] = useState<Feed>()
  useEffect(() => {
    const made = new Feed(feedAddress())
    setFeed(made)
    return () => made.close()
  }, [])
  return <Page title="Live">{feed && <LiveView feed={feed} />}</Page>
}

/** The order of one of several tables, in the address under a name of its own. */
function useOrder(name: string, initial: string): [Order | undefined, (order: Order) => void] {
  const [text, setText] = useParameter(name, initial)
  const order = useMemo(() => parseOrder(text), [text])
  return [order, (next) => setText(orderText(next), false)]
}

const CONNECTION: Record<Connection, string> = { connecting: 'connecting …', open: 'live', lost: 'connection lost; trying again' }

function LiveView({ feed }: { feed: Feed }) {
  const live = useSignal(feed.live)
  const connection = useSignal(feed.connection)
  const [paused, setPaused] = useState<typeof live>()
  const [asked, setAsked] = useState('')
  const isViewer = useSignal(session)?.role === 'viewer'
  const { snapshot, times, perSecond, running, calls } = paused ?? live
  const [filter, setFilter] = useParameter('filter')
  const [runningOrder, orderRunning] = useOrder('running', '-seconds')
  const runningRows = useMemo(() => localRows(snapshot?.running ?? [], runningOrder, filter, ['method', 'user', 'activity', 'statement', 'host', 'blocked_by']),
    [snapshot, runningOrder, filter])
  const isBlocked = snapshot?.running.some((call) => call.blocked_by !== null) ?? false
  const columns = useMemo(() => [...runningColumns.slice(0, 3), ...(isBlocked ? [blockedColumn] : []), ...runningColumns.slice(3),
    ...(isViewer ? [] : [stackColumn(setAsked)])], [isViewer, isBlocked])
  const lockRows = useMemo(() => localRows(snapshot?.blocking.sessions ?? [], undefined, ''), [snapshot])
  const [methodOrder, orderMethods] = useOrder('sort', '-busy')
  const methodRows = useMemo(() => localRows(snapshot?.methods ?? [], methodOrder, filter, ['method']), [snapshot, methodOrder, filter])
  const [callOrder, orderCalls] = useOrder('calls', '-start')
  const callRows = useMemo(() => localRows(calls, callOrder, filter, ['method', 'user', 'status']), [calls, callOrder, filter])
  return (
    <>
      <p class="live-state"><span class={`dot ${connection}`} aria-hidden="true" /><span role="status">{CONNECTION[connection]}</span>
        <button type="button" class="quiet" onClick={() => setPaused(paused ? undefined : live)}>{paused ? 'Go on' : 'Hold'}</button></p>
      <div class="tools"><Filter label="Calls" value={filter} onChange={setFilter} placeholder="Method, user, statement" /></div>
      <Figures figures={[
        { name: 'Calls per second', value: number(snapshot?.per_second ?? 0) },
        { name: 'Running', value: count(snapshot?.running_total ?? 0) },
        { name: 'Lost records', value: count(snapshot?.drops ?? 0), mark: (snapshot?.drops ?? 0) > 0 ? 'bad' : undefined, hint: 'Records that a full buffer left out' },
      ]} />
      <Chart label="Calls per second and running calls over the last minutes" times={times} series={[
        { title: 'calls per second', color: 'accent', values: perSecond }, { title: 'running calls', color: 'part-wait', values: running }]} />
      {snapshot?.problem && <p class="finding">{oneLine(snapshot.problem)}</p>}
      <h2>Running calls</h2>
      <Table label="Running calls" columns={columns} rows={runningRows} most={8} subject={`${orderText(runningOrder)} ${filter}`} order={runningOrder} onOrder={orderRunning}
        empty={filter && snapshot?.running.length ? 'No running call matches.' : 'No call runs at this moment.'} />
      {snapshot?.blocking.problems.map((problem) => <p key={problem} class="finding">Locks: {oneLine(problem, 500)}</p>)}
      {(snapshot?.blocking.sessions.length ?? 0) > 0 && <section><h2>Who waits for whom</h2>
        <Table label="Who waits for whom" columns={lockColumns} rows={lockRows} most={8} subject="locks" /></section>}
      {asked && <Stack key={asked} call={asked} onClose={() => setAsked('')} />}
      <div class="columns">
        <section><h2>Busiest methods</h2>
          <Table label="Busiest methods" columns={methodColumns} rows={methodRows} most={12} subject={`${orderText(methodOrder)} ${filter}`}
            order={methodOrder} onOrder={orderMethods} empty={filter && snapshot?.methods.length ? 'No method matches.' : 'No call has ended lately.'} /></section>
        <section><h2>Recorded calls</h2>
          <Table label="Recorded calls" columns={callColumns} rows={callRows} most={12} subject={`${orderText(callOrder)} ${filter}`} order={callOrder} onOrder={orderCalls}
            to={(row) => callAddress({ db: row.database, session: row.session }, row['#'])}
            empty={filter && calls.length > 0 ? 'No recorded call matches.' : <Empty title="No call was recorded since this page is open."><p>A rule says whose calls are recorded. <Link to="/rules">Look at the rules</Link></p></Empty>} /></section>
      </div>
      <Note>Everything here is of this machine; {feed.live.value.times.length > 0 ? `last news at ${moment(snapshot?.at)}` : 'no news yet'}.</Note>
    </>
  )
}
