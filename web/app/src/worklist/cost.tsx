// What it costs to count a user's lists in the database, each way and list by list, as the planner estimates it; and the plan: what each of
// its passes did, and the statements.

import { useMemo } from 'preact/hooks'
import { Choice } from '../parts/choice'
import { Filter, Note } from '../parts/layout'
import { Empty, Failure, Waiting } from '../parts/states'
import { Sql } from '../parts/sql'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { addressWith, Link, place, useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, NOTHING, plural, seconds } from '../units'
import { oneLine, visible } from '../visible'
import { sideOf } from './own'

interface WayCost {
  way: string
  allowed: boolean
  statements: number
  documents: number
  ms: number
}

interface PlannedList {
  list: string
  catalog: string
  fate: 'counted' | 'hidden' | 'zero'
  why: string
  live: boolean
  not_live: string
  way: string | null
  ways: WayCost[]
}

interface Plan {
  chosen: string
  why: string
  ways: WayCost[]
  catalogs: { catalog: string; documents: number | null }[]
  lists: PlannedList[]
  way: string
  passes: { pass: string; purpose: string; text: string }[]
  statements: { text: string; values: number }[]
  statements_total: number
}

/** A list with what the cheapest allowed way reads, so that it can be sorted. */
interface CostRow extends PlannedList {
  documents: number | null
  ms: number | null
}

const WAYS: Record<string, string> = {
  join: 'grouped once, joined with the lists',
  cells: 'grouped once, added up in Headroom',
  each: 'a statement for each list',
  merged: 'conditions merged as in ERP5, added up in Headroom',
  live: 'from memory',
}

function about(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? NOTHING : seconds(ms / 1000)
}

function rowOf(list: PlannedList): CostRow {
  const cheapest = list.ways.find((cost) => cost.way === list.way)
  return { ...list, documents: cheapest?.documents ?? null, ms: cheapest?.ms ?? null }
}

const columns: TableColumn<CostRow>[] = [
  { name: 'list', title: 'List', width: 140, grow: 2, cell: (row) => <span title={oneLine(row.list, 300)}>{oneLine(row.list, 300)}</span> },
  { name: 'documents', title: 'Reads', hint: 'Documents that the cheapest statement for this list alone reads, about', width: 100, right: true, cell: (row) => count(row.documents === null ? null : Math.round(row.documents)) },
  { name: 'ms', title: 'Alone', hint: 'What this list costs by itself, about', width: 84, right: true, cell: (row) => about(row.ms) },
  { name: 'way', title: 'How', hint: 'The cheapest way for this list alone', width: 70, rank: 3, cell: (row) => row.way ?? NOTHING },
  { name: 'live', title: 'Live', hint: 'Counted from memory, at no cost for the database', width: 60, rank: 2, cell: (row) => row.live ? <span class="good">yes</span> : <span class="warn" title={oneLine(row.not_live, 500)}>no</span> },
  { name: 'catalog', title: 'Catalog', width: 100, grow: 1, rank: 5, cell: (row) => oneLine(row.catalog, 100) },
  { name: 'why', title: 'Not counted', hint: 'Hidden by a guard, or known to be zero', width: 120, grow: 2, rank: 4, cell: (row) => <span class="muted" title={oneLine(row.why, 500)}>{row.fate === 'counted' ? '' : `${row.fate}: ${oneLine(row.why, 300)}`}</span> },
]

export function Cost({ user }: { user: string }) {
  const [filter, setFilter] = useParameter('filter')
  const [sort, setSort] = useParameter('sort', '-ms')
  const [way, setWay] = useParameter('way')
  const [list] = useParameter('list')
  const from = useSignal(place)
  const { value, error, reload } = useResource<Plan>(sideOf(user).path('plan'), { way, list })
  const order = parseOrder(sort)
  const rows = useMemo(() => localRows((value?.lists ?? []).map(rowOf), order, filter), [value, sort, filter])
  if (value === undefined) return error ? <Failure error={error} again={reload} /> : <Waiting what="the cost" />
  return (
    <section aria-label="Cost">
      <Ways plan={value} />
      <div class="tools">
        <p class="actions">{list !== '' && <>Of <code>{oneLine(list, 200)}</code> alone <Link to={addressWith(from, { list: '' })}>All lists</Link></>}</p>
        <Filter label="Lists" value={filter} onChange={setFilter} placeholder="List contains …" />
      </div>
      <Table label="Cost of each list" columns={columns} rows={rows} order={order} onOrder={(next) => setSort(orderText(next), false)} most={12}
        to={(row) => list === '' ? addressWith(from, { list: row.list, filter: '' }) : undefined}
        empty={<Empty title="No list matches."><p>Empty the filter to see all of them.</p></Empty>} />
      <Note>Estimates from the database's statistics: {value.catalogs.map(({ catalog, documents }) =>
        `${oneLine(catalog, 100)} has ${documents === null ? 'a size that is not known' : `about ${plural(Math.round(documents), 'document')}`}`).join('; ')}.
        Lists that are counted live cost the database nothing.{list === '' ? ' A row leads to the plan of that list alone.' : ''}</Note>
      <div class="tools"><h2>Plan</h2>
        <Choice label="Way" value={way} onChange={setWay} options={[['', `The cheapest: ${value.chosen}`], ...value.ways.filter((cost) => cost.allowed).map((cost): [string, string] => [cost.way, cost.way])]} /></div>
      {value.passes.map((pass) => <Pass key={pass.pass} {...pass} />)}
      {value.statements.map((statement, n) => (
        <details key={n} class="part" open={value.statements.length === 1}><summary>Statement {count(n + 1)} of {count(value.statements_total)}, with {plural(statement.values, 'bound value')}</summary><Sql text={statement.text} /></details>
      ))}
      {value.statements_total > value.statements.length && <Note>The other {plural(value.statements_total - value.statements.length, 'statement')} are alike.</Note>}
    </section>
  )
}

function Ways({ plan }: { plan: Plan }) {
  if (plan.ways.length === 0) return <p class="finding">The way is {plan.chosen}: {visible(plan.why)}.</p>
  return (
    <div class="cards">
      {plan.ways.map((cost) => (
        <article key={cost.way} class="card">
          <h3>{cost.way}{cost.way === plan.chosen && <span class="tag good">chosen</span>}</h3>
          <p class="figure">{about(cost.ms)}</p>
          <p class="muted">{WAYS[cost.way] ?? ''}{cost.allowed ? '' : '; the site does not allow it'}</p>
          <p class="muted">{plural(cost.statements, 'statement')}, about {plural(Math.round(cost.documents), 'document')} read</p>
        </article>
      ))}
    </div>
  )
}

function Pass({ pass, purpose, text }: { pass: string; purpose: string; text: string }) {
  return (
    <details class="part">
      <summary>{pass}: <span class="muted">{purpose}</span></summary>
      <div class="code-box"><pre tabIndex={0} aria-label={`What the pass ${pass} did`}>{text === '' ? 'nothing to do' : visible(text)}</pre></div>
    </details>
  )
}
