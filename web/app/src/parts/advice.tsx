// Findings in plain words, what saves most first, with the evidence they rest on.

import { useState } from 'preact/hooks'
import { Empty, Failure, Waiting } from './states'
import { Backtrace, Sql } from './sql'
import { Note } from './layout'
import type { Parameters, Report } from '../api'
import { useResource } from '../resource'
import { Link } from '../router'
import { count, plural, seconds } from '../units'
import { oneLine, visible } from '../visible'
import { callAddress } from '../which'

interface Finding {
  kind: string
  saving: number | null
  cost: number | null
  basis: string | null
  number: number
  calls: string | null
  words: string
  remedy: string
  method: string | null
  table: string | null
  statement: string | null
  backtrace: string | null
}

const TITLES: Record<string, string> = {
  repeated_statement: 'A query in a loop', read_again: 'Rows that were read before', repeated_call: 'The same call again', cache_misses: 'The cache misses', slow_commit: 'Slow commits',
  retries: 'Transactions tried again', connection_wait: 'Waiting for a connection', lock_wait: 'Waiting for a lock',
  missing_index: 'An index is missing', slow_statement: 'A slow statement',
}

export function Advice({ filter }: { filter: Parameters }) {
  const { value, error, reload } = useResource<Report<Finding>>('/api/perf/advice', { ...filter, limit: 50 })
  if (error) return <Failure error={error} again={reload} />
  if (value === undefined) return <Waiting what="advice" />
  if (value.rows.length === 0) return <Empty title="Nothing stands out."><p>No finding in the calls that were recorded. Record more of them, or a longer time.</p></Empty>
  return (
    <>
      <ol class="findings">{value.rows.map((finding, n) => <Item key={n} finding={finding} />)}</ol>
      <Note>{count(value.rows.length)} of {count(value.total)} findings. Savings are estimates.{value.note ? ` ${visible(value.note)}` : ''}</Note>
    </>
  )
}

function Item({ finding }: { finding: Finding }) {
  const evidence = finding.statement !== null || finding.backtrace !== null
  return (
    <li class="card">
      <h3>{TITLES[finding.kind] ?? oneLine(finding.kind)}{finding.saving !== null && <span class="tag" title={finding.basis ? visible(finding.basis) : undefined}>
        saves about {seconds(finding.saving)}</span>}</h3>
      <p>{visible(finding.words)}</p>
      <p><strong>What to do:</strong> {visible(finding.remedy)}</p>
      <p class="muted small">{[finding.method && oneLine(finding.method), finding.table && oneLine(finding.table),
        finding.cost !== null && `${seconds(finding.cost)} together`, `in ${plural(finding.number, 'call')}`].filter(Boolean).join(' · ')}
        {finding.calls && <Calls text={finding.calls} />}</p>
      {evidence && <Evidence finding={finding} />}
    </li>
  )
}

/** What is not looked at is not in the document: a long statement is thousands of elements. */
function Evidence({ finding }: { finding: Finding }) {
  const [open, setOpen] = useState(false)
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}><summary>Evidence</summary>
      {open && finding.backtrace !== null && <Backtrace text={finding.backtrace} />}
      {open && finding.statement !== null && <Sql text={finding.statement} />}</details>
  )
}

/** "SESSION NUMBER, SESSION NUMBER" as links to these calls. */
function Calls({ text }: { text: string }) {
  const calls = text.split(', ').map((one) => /^(.*) (\d+)$/.exec(one)).filter((match) => match !== null)
  return <>{calls.map(([whole, session, number]) => <span key={whole}> · <Link to={callAddress({ db: '', session: session! }, Number(number))}>
    {oneLine(session!, 8)} #{number}</Link></span>)}</>
}
