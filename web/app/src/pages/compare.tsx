// Before and after: what became slower between two sessions, times or releases, and whether that is more than noise.

import { useMemo } from 'preact/hooks'
import { Empty, Failure, Waiting } from '../parts/states'
import { Choice } from '../parts/choice'
import { Filter, Note, Page } from '../parts/layout'
import { Interval } from '../parts/interval'
import { Method } from '../parts/method'
import { Table, type TableColumn } from '../parts/table'
import { address, type Report } from '../api'
import { axisEnd, VERDICTS, type DiffRow, type Diff, type Side } from '../diff'
import { useResource } from '../resource'
import { go, useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { count, growth, moment, number, seconds } from '../units'
import { oneLine } from '../visible'
import type { SessionRow } from './sessions'

const BY: [string, string][] = [['method', 'by method'], ['table', 'by table'], ['statement', 'by statement']]
const MEASURES: [string, string][] = [['time', 'time'], ['sql', 'SQL time'], ['count', 'number of statements']]

export default function Compare() {
  const [a] = useParameter('a')
  const [b] = useParameter('b')
  return (
    <Page title="Compare">
      <Sides a={a} b={b} />
      {a && b ? <Result a={a} b={b} /> : <Empty title="Choose what stood before and what came after.">
        <p>A session as its list names it; a time such as <code>2026-11-21T09:00..2026-11-21T10:00</code> or <code>2d..1d</code>;
          or <code>@NAME</code>, a release that the configuration names.</p>
        <p>Calls are compared method by method, so both sides should do the same work.</p></Empty>}
    </Page>
  )
}

function Sides({ a, b }: { a: string; b: string }) {
  const { value } = useResource<Report<SessionRow>>('/api/perf/session', { limit: 200 })
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget as HTMLFormElement)
    go(address('/compare', { a: String(data.get('a')).trim(), b: String(data.get('b')).trim() }))
  }
  return (
    <form class="card form sides" onSubmit={submit} key={`${a} ${b}`}>
      <label>Before<input name="a" required list="sessions" defaultValue={a} autocomplete="off" spellcheck={false} placeholder="session, time or @release" /></label>
      <label>After<input name="b" required list="sessions" defaultValue={b} autocomplete="off" spellcheck={false} placeholder="session, time or @release" /></label>
      <div class="actions">
        <button type="submit" class="main">Compare</button>
        {a && b && <button type="button" onClick={() => go(address('/compare', { a: b, b: a }))}>Swap</button>}
      </div>
      <datalist id="sessions">
        {value?.rows.map((row) => <option key={`${row.database}/${row.session}`} value={`${row.database}/${row.session}`}>
          {oneLine(row.user ?? '', 60)}, {count(row.nb)} calls, last {moment(row.last)}</option>)}
      </datalist>
    </form>
  )
}

function Result({ a, b }: { a: string; b: string }) {
  const [by, setBy] = useParameter('by', 'method')
  const [measure, setMeasure] = useParameter('measure', 'time')
  const [sort, setSort] = useParameter('sort')
  const [filter, setFilter] = useParameter('filter')
  const { value, error, reload } = useResource<Diff>('/api/perf/diff', { a, b, by, measure, limit: 1000 })
  const rows = useMemo(() => localRows(value?.rows ?? [], parseOrder(sort), filter), [value, sort, filter])
  const end = useMemo(() => axisEnd(value?.rows ?? []), [value])
  if (error) return <Failure error={error} again={reload} />
  if (value === undefined) return <Waiting what="the comparison" />
  return (
    <>
      <Verdict diff={value} />
      <div class="tools">
        <div class="actions"><Choice label="Rows" value={by} options={BY} onChange={setBy} />
          <Choice label="Measure" value={measure} options={MEASURES} onChange={setMeasure} /></div>
        <Filter label="Name" value={filter} onChange={setFilter} />
      </div>
      <Table label="Changes" columns={columnsOf(by, measure, end)} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)}
        mark={(row) => row.verdict === 'worse' || row.verdict === 'new' ? 'marked' : undefined}
        empty={<Empty title={filter ? 'Nothing matches.' : 'The two sides have no calls.'} />} />
      <Note>{count(value.rows.length)} of {count(value.total)} rows, what cost most first. The line shows the change per call with its {Math.round(value.summary.confidence * 100)} %
        interval: where it crosses the middle, it may be noise.</Note>
    </>
  )
}

function Verdict({ diff }: { diff: Diff }) {
  const { summary } = diff
  const verdict = VERDICTS[summary.verdict] ?? { title: summary.verdict, mark: undefined }
  return (
    <section class={`verdict ${verdict.mark ?? ''}`} aria-label="Verdict">
      <p class="verdict-title"><strong>{verdict.title}</strong>{summary.change !== null && <> {growth(summary.change)}{' '}
        <span class="muted">({growth(summary.low)} to {growth(summary.high)})</span></>}
        {summary.worse > 0 && <span class="muted">; {count(summary.worse)} {summary.worse === 1 ? 'row is' : 'rows are'} worse</span>}
        {summary.few > 0 && <span class="muted">; {count(summary.few)} of {count(diff.total)} not judged: too few calls</span>}</p>
      <p class="muted"><SideText title="Before" side={summary.a} /> · <SideText title="After" side={summary.b} /></p>
    </section>
  )
}

function SideText({ title, side }: { title: string; side: Side }) {
  return <>{title}: {oneLine(side.name, 80)}, {count(side.calls)} calls, {seconds(side.time)}{side.complete ? '' : ' (its first calls only)'}</>
}

function columnsOf(by: string, measure: string, end: number): TableColumn<DiffRow>[] {
  const figure = measure === 'count' ? number : seconds
  const key = measure === 'count' ? 'number' : measure === 'sql' && by === 'method' ? 'sql' : 'time'
  const value = (row: DiffRow, side: 'a' | 'b') => (row as unknown as Record<string, number | null>)[`${key}_${side}`]
  return [
    { name: by, title: BY.find(([id]) => id === by)![1].replace('by ', '').replace(/^./, (c) => c.toUpperCase()), width: 140, grow: 4,
      cell: (row) => by === 'method' ? <Method name={row.method ?? ''} /> : <code title={oneLine(row[by as 'table'] ?? '', 2000)}>{oneLine(row[by as 'table'] ?? '')}</code> },
    { name: 'verdict', title: 'Verdict', width: 84, rank: 2, cell: (row) => <span class={VERDICTS[row.verdict]?.mark}>{VERDICTS[row.verdict]?.short ?? row.verdict}</span> },
    { name: 'change', title: 'Change', width: 80, right: true, cell: (row) => growth(row.change) },
    { name: 'interval', title: 'Interval', width: 130, grow: 1, rank: 4, fixed: true, cell: (row) => <Interval row={row} end={end} /> },
    { name: 'added', title: 'Added', hint: 'What the later side spent more than the earlier one would have', width: 84, right: true, rank: 3, cell: (row) => figure(row.added) },
    { name: `${key}_a`, title: 'Before', hint: 'Per call', width: 84, right: true, rank: 3, cell: (row) => figure(value(row, 'a')) },
    { name: `${key}_b`, title: 'After', hint: 'Per call', width: 84, right: true, rank: 3, cell: (row) => figure(value(row, 'b')) },
    { name: 'number_a', title: 'Statements', hint: 'Per call, before and after', width: 110, right: true, rank: 6, cell: (row) => `${number(row.number_a)} → ${number(row.number_b)}` },
    { name: 'calls_a', title: 'Calls', hint: 'Before and after', width: 100, right: true, rank: 5, cell: (row) => `${count(row.calls_a)} → ${count(row.calls_b)}` },
  ]
}
