// Does the recording work? The store, the processes that record into it, and what is wrong.

import { Empty, Failure, Waiting } from '../parts/states'
import { Facts, Figures, Page } from '../parts/layout'
import { useResource } from '../resource'
import { bytes, count, moment, seconds } from '../units'
import { oneLine, visible } from '../visible'

interface Process {
  host: string
  process: number
  role: string
  version: string
  started: string
  seen: string
  silent: boolean
  calls: number
  records: number
  dropped_records: number
  errors: number
  last_error: string | null
  rules_version: number
}

interface Status {
  version: string
  configuration: string | null
  store: { url: string; source: string; kind: string; calls: number; bytes: number; oldest: string | null; error: string | null }
  retention: { age: number; bytes: number } | null
  rules: { version: number; count: number } | null
  processes: Process[]
  running: unknown[]
  problems: string[]
}

export default function StatusPage() {
  const { value, error, reload } = useResource<Status>('/api/perf/status', {}, 5000)
  if (value === undefined) return <Page title="Status">{error ? <Failure error={error} again={reload} /> : <Waiting what="status" />}</Page>
  const { store, retention } = value
  return (
    <Page title="Status">
      {value.problems.length > 0
        ? <ul class="problems" aria-label="Problems">{value.problems.map((text) => <li key={text}>{visible(text)}</li>)}</ul>
        : <p class="good-news">All is well: the store can be read, and every process that records has been seen lately.</p>}
      <Figures figures={[
        { name: 'Calls kept', value: count(store.calls) },
        { name: 'Store', value: bytes(store.bytes) },
        { name: 'Oldest call', value: moment(store.oldest) },
        { name: 'Rules in force', value: count(value.rules?.count) },
        { name: 'Running calls', value: count(value.running.length) },
        { name: 'Headroom', value: oneLine(value.version) },
      ]} />
      <h2>Processes that record</h2>
      {value.processes.length === 0
        ? <Empty title="No process has recorded within the last hour."><p>Is the recorder configured in trytond.conf, and trytond started since?</p></Empty>
        : <div class="cards">{value.processes.map((process) => <ProcessCard key={`${process.host}/${process.process}`} process={process} />)}</div>}
      <h2>Store</h2>
      <Facts facts={[
        ['Where', <code>{visible(store.url)}</code>], ['Named by', visible(store.source)],
        ['Kept for', retention ? seconds(retention.age) : '–'], ['Kept up to', retention ? bytes(retention.bytes) : '–'],
        ...(store.error ? [['Error', <span class="bad">{visible(store.error)}</span>] as [string, preact.JSX.Element]] : []),
      ]} />
    </Page>
  )
}

function ProcessCard({ process }: { process: Process }) {
  const lost = process.dropped_records > 0
  return (
    <article class="card">
      <h3>{oneLine(process.role)} <span class="muted">{oneLine(process.host)} {process.process}</span>
        {process.silent && <span class="tag bad">silent</span>}</h3>
      <Facts facts={[
        ['Calls', count(process.calls)], ['Recorded', count(process.records)],
        ['Lost', <span class={lost ? 'bad' : undefined}>{count(process.dropped_records)}</span>],
        ['Errors', <span class={process.errors > 0 ? 'warn' : undefined}>{count(process.errors)}</span>],
        ['Started', moment(process.started)], ['Seen', moment(process.seen)],
      ]} />
      {process.last_error && <p class="small warn">{oneLine(process.last_error)}</p>}
      <p class="small muted">{oneLine(process.version)}</p>
    </article>
  )
}
