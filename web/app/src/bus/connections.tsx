// Who is connected, and through which door; for whom most waits; what was refused or closed, and why.

import { useMemo } from 'preact/hooks'
import { mayChange, session } from '../api'
import { Choice } from '../parts/choice'
import { Facts, Filter, Note } from '../parts/layout'
import { Empty, Failure } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows } from '../rows'
import { useSignal } from '../signal'
import { bytes, count, plural, seconds } from '../units'
import { oneLine } from '../visible'
import type { BusStatus } from './course'

interface Client {
  connection: string
  user: string
  address: string
  age_s: number
  queued_bytes: number
  active: number
  idle: number
  subscriptions: number
  channels: string[]
}

interface Answer {
  connections: Client[]
  count: number
  next: string | null
}

const columns: TableColumn<Client>[] = [
  { name: 'connection', title: 'Client', width: 76, cell: (row) => oneLine(row.connection) },
  { name: 'user', title: 'User', width: 100, grow: 1, cell: (row) => <span title={oneLine(row.user, 200)}>{oneLine(row.user, 200)}</span> },
  { name: 'queued_bytes', title: 'Waits', hint: 'Bytes that it has not taken yet', width: 84, right: true, cell: (row) => <span class={row.queued_bytes > 0 ? 'warn' : 'muted'}>{bytes(row.queued_bytes)}</span> },
  { name: 'age_s', title: 'For', hint: 'How long it is connected', width: 84, right: true, rank: 2, cell: (row) => seconds(row.age_s) },
  { name: 'tabs', title: 'Tabs', hint: 'Of which in use', width: 90, right: true, rank: 4, cell: (row) => `${count(row.active + row.idle)}, ${count(row.active)}` },
  { name: 'address', title: 'Address', width: 130, rank: 3, cell: (row) => oneLine(row.address) },
  { name: 'subscriptions', title: 'Channels', width: 86, right: true, rank: 5, cell: (row) => count(row.subscriptions) },
  { name: 'channels', title: 'Such as', hint: 'Its first channels', width: 140, grow: 2, rank: 6, cell: (row) => <span class="muted" title={oneLine(row.channels.join(', '), 2000)}>{oneLine(row.channels.join(', '), 300)}</span> },
]

export function Connections({ status }: { status: BusStatus }) {
  const may = mayChange(useSignal(session))
  return (
    <section aria-label="Connections">
      <div class="cards">
        <article class="card">
          <h3>By door</h3>
          <Facts facts={[
            ['WebSockets', count(status.doors.websocket)], ['Streams', count(status.doors.stream)], ['Polls', count(status.doors.poll)],
            ['Accepted at most', count(status.most_connections)],
          ]} />
        </article>
        <article class="card">
          <h3>Since the start</h3>
          <Facts facts={[
            ['Closed because they were slow', <Trouble value={status.slow} />],
            ['Closed or refused for their rate', <Trouble value={status.rate_limited} />],
            ['Connections refused', <Trouble value={status.refused} />],
            ['Commands that were not allowed', <Trouble value={status.denied} />],
            ['Frames that could not be read', <Trouble value={status.malformed} />],
            ['Subscriptions told of a loss', <Trouble value={status.lost} />],
          ]} />
        </article>
      </div>
      <h2>Clients</h2>
      {may ? <Clients /> : <Empty title="Only administrators see who is connected."><p>Addresses belong to people: sign in as an administrator to see them.</p></Empty>}
    </section>
  )
}

function Trouble({ value }: { value: number }) {
  return <span class={value > 0 ? 'warn' : undefined}>{count(value)}</span>
}

function Clients() {
  const [user, setUser] = useParameter('filter')
  const [order, setOrder] = useParameter('order')
  const [after, setAfter] = useParameter('after')
  const { value, error, reload } = useResource<Answer>('/api/bus/connections', { user: user.trim(), order, after: order === 'queue' ? '' : after }, 2000)
  const rows = useMemo(() => localRows(value?.connections ?? [], undefined, ''), [value])
  // Another question begins at its first page.
  const ask = (set: (value: string) => void) => (next: string) => {
    set(next)
    setAfter('')
  }
  return (
    <>
      <div class="tools">
        <div class="actions"><Filter label="User" value={user} onChange={ask(setUser)} placeholder="User is …" />
          <Choice label="Order" value={order} onChange={ask(setOrder)} options={[['', 'Oldest first'], ['queue', 'Slow ones first']]} /></div>
        <div class="paging">
          {after !== '' && <button type="button" onClick={() => setAfter('', false)}>First page</button>}
          {value?.next && <button type="button" onClick={() => setAfter(value.next ?? '', false)}>Next page</button>}</div>
      </div>
      {error && !value ? <Failure error={error} again={reload} />
        : value && <Table label="Clients" columns={columns} rows={rows} most={16} empty={user
            ? <Empty title="This user has no connection now."><p>The whole name is needed here; the view People finds parts of names.</p></Empty>
            : <Empty title={after ? 'No client came later.' : 'No client is connected now.'}><p>A page connects when it opens the bus.</p></Empty>} />}
      {value && <Note>{plural(value.count, 'client')}{user ? ' of this user' : ''}; those whose token was not accepted yet are not listed.</Note>}
    </>
  )
}
