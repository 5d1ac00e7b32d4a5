// Channels with subscribers, those with most first: how many messages a second, who listens, how far back one can go.

import { useMemo, useState } from 'preact/hooks'
import { mayRead, session } from '../api'
import { Chart } from '../parts/chart'
import { Filter, Note } from '../parts/layout'
import { Empty, Failure } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows, orderText, parseOrder } from '../rows'
import { useSignal } from '../signal'
import { count, NOTHING, number, plural, seconds } from '../units'
import { oneLine } from '../visible'
import type { Course } from './course'
import { messagesAddress } from './messages'

interface Channel {
  channel: string
  offset: number
  subscribers: number
  messages: number
  per_second: number | null
  history: { messages: number; seconds: number }
}

interface Channels {
  channels: Channel[]
  more: boolean
  count: number
}

const STEP = 200
const MOST = 1000

function History({ history }: { history: Channel['history'] }) {
  if (history.messages === 0) return <span class="muted">none</span>
  return <>{count(history.messages)}, {seconds(history.seconds)}</>
}

const columns: TableColumn<Channel>[] = [
  { name: 'channel', title: 'Channel', width: 130, grow: 3, cell: (row) => <span title={oneLine(row.channel, 300)}>{oneLine(row.channel, 300)}</span> },
  { name: 'subscribers', title: 'Subscribers', width: 116, right: true, cell: (row) => count(row.subscribers) },
  { name: 'per_second', title: 'Messages per s', hint: 'Of the last 5 to 10 s', width: 138, right: true, cell: (row) => row.per_second === null ? NOTHING : number(row.per_second) },
  { name: 'messages', title: 'Messages', hint: 'Since it has subscribers', width: 96, right: true, rank: 3, cell: (row) => count(row.messages) },
  { name: 'offset', title: 'Offset', hint: 'The number of its newest message', width: 96, right: true, rank: 4, cell: (row) => count(row.offset) },
  { name: 'history', title: 'Kept at most', hint: 'Messages, and for how long: what its rule says', width: 120, right: true, rank: 2, fixed: true, cell: (row) => <History history={row.history} /> },
]

export function Channels({ course }: { course: Course }) {
  const [filter, setFilter] = useParameter('filter')
  const [sort, setSort] = useParameter('sort', '-subscribers')
  const [limit, setLimit] = useState(STEP)
  const may = mayRead(useSignal(session))
  const { value, error, reload } = useResource<Channels>('/api/bus/channels', { prefix: filter, limit }, 2000)
  const rows = useMemo(() => localRows(value?.channels ?? [], parseOrder(sort), ''), [value, sort])
  return (
    <section aria-label="Channels">
      <Chart label="Messages and deliveries per second over the last minutes" times={course.times} series={[
        { title: 'messages per s', color: 'accent', values: course.messages }, { title: 'deliveries per s', color: 'part-wait', values: course.deliveries }]} />
      <div class="tools"><Filter label="Channel" value={filter} onChange={setFilter} placeholder="Channel begins with …" /></div>
      {error && !value ? <Failure error={error} again={reload} />
        : value && <Table label="Channels" columns={columns} rows={rows} order={parseOrder(sort)} onOrder={(order) => setSort(orderText(order), false)}
            to={(row) => may ? messagesAddress(row.channel) : undefined} most={16}
            empty={filter ? <Empty title="No channel with subscribers begins so."><p>Empty the filter to see all {count(value.count)} of them.</p></Empty>
              : <Empty title="No channel has subscribers now."><p>A page subscribes when it is open: <code>headroom bus tail room:1</code> does it from a shell.</p></Empty>} />}
      {value?.more && (limit < MOST
        ? <p><button type="button" onClick={() => setLimit(Math.min(MOST, limit + STEP))}>Show {STEP} more</button></p>
        : <Note>These are the {plural(MOST, 'channel')} with most subscribers; the filter finds the others.</Note>)}
      {value && rows.total !== 0 && <Note>{plural(value.count, 'channel')} with subscribers.{may ? ' A row leads to its messages.' : ''}</Note>}
    </section>
  )
}
