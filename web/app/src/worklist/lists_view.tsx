// A user's lists with their numbers as they change; below, the documents of the one that was chosen.

import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { ApiError } from '../api'
import { Choice } from '../parts/choice'
import { Figures, Filter, Note, type Figure } from '../parts/layout'
import { Empty, Failure, Waiting } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { addressWith, place, useParameter } from '../router'
import { orderText, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, NOTHING, plural, seconds } from '../units'
import { oneLine, visible } from '../visible'
import { Documents } from './documents'
import { CountFeed, type Listening, type Told } from './events'
import { isGroup, linkOf, rowsOf, shownLists, withNews, type Counts, type Grouping, type ListRow, type ShownRow } from './lists'
import { setToken, type Side } from './own'
import type { CountedList } from './service'

const ASKED_AGAIN_MS = 15_000
const MARKED_MS = 2000
/** After a change titles and addresses are asked for; of many changes once. */
const RENAMED_MS = 1000

const LISTENING: Record<Listening, string> = {
  connecting: 'connecting',
  open: 'live',
  lost: 'connection lost; trying again',
  none: 'no list is counted live; asked again every 15 s',
  ended: 'ended',
}

interface ListsProps {
  side: Side
  /** Of each list why it is not counted live; undefined where that is not told. */
  why: CountedList[] | undefined
}

function useFeed(side: Side): CountFeed {
  const url = side.path('events')
  const feed = useMemo(() => new CountFeed(url, side.bearer === undefined ? {} : { Authorization: `Bearer ${side.bearer}` }), [url, side.bearer])
  useEffect(() => () => feed.close(), [feed])
  return feed
}

/** Asks for the titles again, some time after numbers changed. Where statements count some of the lists, the clock does. */
function useRenewed(changes: number, hasSql: boolean, reload: () => void): void {
  const timer = useRef(0)
  useEffect(() => {
    if (changes === 0 || hasSql || timer.current !== 0) return
    timer.current = window.setTimeout(() => {
      timer.current = 0
      reload()
    }, RENAMED_MS)
  }, [changes, hasSql])
  useEffect(() => () => clearTimeout(timer.current), [])
}

export function Lists({ side, why }: ListsProps) {
  const feed = useFeed(side)
  const told = useSignal(feed.told)
  const listening = useSignal(feed.listening)
  const { value, error, reload } = useResource<Counts>(side.path('counts'), { all: 1 }, ASKED_AGAIN_MS, side.bearer)
  const hasSql = value?.lists.some((list) => list.way === 'sql') ?? false
  useRenewed(told.changes, hasSql, reload)
  const problem = listening === 'ended' ? feed.problem ?? error : error
  if (value === undefined || listening === 'ended') return problem ? <Refused error={problem} side={side} again={reload} /> : <Waiting what="the work lists" />
  return <Shown side={side} counts={value} told={told} listening={listening} why={why} old={error !== undefined} />
}

/** A token ends; whoever has a new one goes on. */
function Refused({ error, side, again }: { error: ApiError; side: Side; again: () => void }) {
  if (side.bearer === undefined || error.status !== 401) return <Failure error={error} again={again} />
  return (
    <div class="failure" role="alert">
      <p><strong>{visible(error.message)}</strong></p>
      <p>The token is not accepted: the application makes a new one.</p>
      <button type="button" onClick={() => setToken('')}>Forget the token</button>
    </div>
  )
}

interface ShownProps {
  side: Side
  counts: Counts
  told: Told
  listening: Listening
  why: CountedList[] | undefined
  old: boolean
}

function Shown({ side, counts, told, listening, why, old }: ShownProps) {
  const [by, setBy] = useParameter('by', 'category')
  const [filter, setFilter] = useParameter('filter')
  const [sort, setSort] = useParameter('sort')
  const [zeros, setZeros] = useParameter('zeros')
  const [chosen] = useParameter('list')
  const from = useSignal(place)
  const kept = useKept([filter, zeros, by])
  const lists = useMemo(() => withNews(counts.lists, told.news), [counts, told.news])
  const shown = useMemo(() => {
    const wish = { by: by as Grouping, order: parseOrder(sort), filter, zeros: zeros === '1' }
    const rows = shownLists(lists, wish, kept)
    for (const row of rows) if (!isGroup(row)) kept.add(row.list)
    return rows
  }, [lists, by, sort, filter, zeros, kept])
  const rows = useMemo(() => rowsOf(shown), [shown])
  const reasons = useMemo(() => new Map(why?.map((one): [string, string] => [one.list, one.why])), [why])
  const columns = useMemo(() => columnsOf(counts.application, reasons), [counts.application, reasons])
  const hidden = lists.filter((row) => row.count === 0).length
  const list = lists.find((row) => row.list === chosen)
  return (
    <section aria-label="Lists">
      {old && <p class="finding" role="status">These numbers are old: headroom serve does not answer. They go on when it does.</p>}
      <Figures figures={figures(lists, counts, told)} />
      <div class="tools">
        <p class="live-state"><span class={`dot ${listening}`} aria-hidden="true" /><span role="status">{LISTENING[listening]}{told.state !== '' && told.state !== 'current' ? `; ${oneLine(told.text, 200)}` : ''}</span></p>
        <div class="actions">
          <label class="check"><input type="checkbox" checked={zeros === '1'} onChange={(event) => setZeros(event.currentTarget.checked ? '1' : '')} /> Empty ones too</label>
          <Choice label="Groups" value={by} onChange={setBy} options={[['category', 'By category'], ['workflow', 'By workflow'], ['none', 'No groups']]} />
          <Filter label="Lists" value={filter} onChange={setFilter} placeholder="List contains …" />
        </div>
      </div>
      <Table label="Work lists" columns={columns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)} subject={`${filter} ${zeros} ${by} ${sort}`}
        to={(row) => isGroup(row) ? undefined : addressWith(from, { list: row.list, after: '' })} mark={(row) => markOf(row, chosen)} {...(list ? { most: 12 } : {})}
        empty={<Nothing filter={filter} lists={lists.length} />} />
      <Note>{plural(lists.length, 'list')}{hidden > 0 ? `, ${count(hidden)} of them without documents` : ''}. A row leads to its documents.</Note>
      {list && <Documents key={list.list} side={side} list={list} />}
      {chosen !== '' && list === undefined && <Note>The list that this address names is not one of this user's.</Note>}
    </section>
  )
}

/** What was shown since the reader last asked for something else. */
function useKept(asked: string[]): Set<string> {
  return useMemo(() => new Set<string>(), asked)
}

function figures(lists: ListRow[], counts: Counts, told: Told): Figure[] {
  const live = lists.filter((row) => row.way === 'live').length
  const state = told.state || counts.state
  return [
    { name: 'Lists with work', value: count(lists.filter((row) => row.count > 0).length) },
    { name: 'Documents', value: count(lists.reduce((sum, row) => sum + row.count, 0)), hint: 'One that is in two lists counts in both' },
    { name: 'Counted live', value: <>{count(live)} <span class="muted">of {count(lists.length)}</span></>, hint: 'The others are counted by statements in the database' },
    { name: 'State', value: state === null ? NOTHING : oneLine(state), mark: state === 'current' ? 'good' : state === null ? undefined : 'warn', hint: oneLine(told.text, 300) },
    { name: 'Age', value: counts.age_ms === null ? NOTHING : seconds(counts.age_ms / 1000), hint: 'How old the live counts were when they were asked for; at most, changes come by themselves' },
  ]
}

function markOf(row: ShownRow, chosen: string): string | undefined {
  if (isGroup(row)) return 'group'
  if (row.list === chosen) return 'chosen'
  return row.count === 0 ? 'nothing' : undefined
}

function columnsOf(application: string, reasons: Map<string, string>): TableColumn<ShownRow>[] {
  const of = (cell: (row: ListRow) => ComponentChildren) => (row: ShownRow) => isGroup(row) ? null : cell(row)
  const columns: TableColumn<ShownRow>[] = [
    { name: 'name', title: 'List', width: 150, grow: 3, cell: (row) => isGroup(row) ? <>{oneLine(row.group, 200) || 'Without a name'} <span class="muted">{plural(row.lists, 'list')}</span></>
      : <span title={oneLine(row.list, 300)}>{oneLine(row.name, 300)}</span> },
    { name: 'count', title: 'Number', width: 92, right: true, cell: (row) => isGroup(row) ? <span class="muted">{count(row.count)}</span>
      : <Counted key={row.list} value={row.count} at={row.at} /> },
    { name: 'open', title: 'Link', width: 64, rank: 2, fixed: true, cell: of((row) => <Open url={row.url} name={row.name} application={application} />) },
    { name: 'way', title: 'Way', hint: 'Live: from memory. SQL: by a statement', width: 70, rank: 3, cell: of((row) => row.way === 'live'
      ? <span class="good">live</span> : <span class="warn" title={oneLine(reasons.get(row.list) ?? '', 300)}>SQL</span>) },
    { name: 'list', title: 'Id', width: 140, grow: 2, rank: 4, cell: of((row) => <code title={oneLine(row.list, 300)}>{oneLine(row.list, 300)}</code>) },
  ]
  if ([...reasons.values()].some((why) => why !== '')) {
    columns.push({ name: 'why', title: 'Why not live', width: 160, grow: 2, rank: 5, fixed: true, cell: of((row) => row.way === 'live' ? ''
      : <span class="muted" title={oneLine(reasons.get(row.list) ?? '', 500)}>{oneLine(reasons.get(row.list) || 'the counters are not there yet', 500)}</span>) })
  }
  return columns
}

/** Marked for a moment when it became another one; the room that it takes stays the same. */
function Counted({ value, at }: { value: number; at: number }) {
  const [, redraw] = useState(0)
  const rest = at + MARKED_MS - Date.now()
  useEffect(() => {
    if (rest <= 0) return
    const timer = setTimeout(() => redraw((n) => n + 1), rest + 20)
    return () => clearTimeout(timer)
  }, [at])
  return <span class={rest > 0 ? 'counted fresh' : 'counted'}>{count(value)}</span>
}

/** Definitions say where a list leads to; only the web is a way. */
function Open({ url, name, application }: { url: string; name: string; application: string }) {
  const link = linkOf(url, application)
  if (link === undefined) return url === '' ? <span class="muted">{NOTHING}</span> : <span class="muted" title={`No link: ${oneLine(url, 300)}`}>no link</span>
  return <a class="out" href={link} target="_blank" rel="noopener noreferrer" title={oneLine(link, 300)} aria-label={`Open ${oneLine(name, 200)}`} tabIndex={-1}
    onClick={(event) => event.stopPropagation()}>Open</a>
}

function Nothing({ filter, lists }: { filter: string; lists: number }) {
  if (lists === 0) return <Empty title="This user has no lists."><p>The guards of all lists refuse him; the view Cost says why of each.</p></Empty>
  if (filter !== '') return <Empty title="No list matches."><p>Empty the filter to see all of them.</p></Empty>
  return <Empty title="Nothing waits."><p>All {plural(lists, 'list')} are empty now. They appear here once something is in them.</p></Empty>
}

