// Who is there: everybody with a tab that is connected, online or away, over all tabs and devices.

import { useMemo } from 'preact/hooks'
import { Choice } from '../parts/choice'
import { Filter, Note } from '../parts/layout'
import { Empty, Failure } from '../parts/states'
import { Table, type TableColumn } from '../parts/table'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { localRows } from '../rows'
import { count, plural } from '../units'
import { oneLine } from '../visible'

interface Person {
  user: string
  state: 'online' | 'away'
  connections: number
}

interface Answer {
  users: Person[]
  online: number
  away: number
}

const PAGE = 200

const columns: TableColumn<Person>[] = [
  { name: 'user', title: 'User', width: 130, grow: 3, cell: (row) => <span title={oneLine(row.user, 200)}>{oneLine(row.user, 200)}</span> },
  { name: 'state', title: 'State', width: 96, cell: (row) => <span class={row.state === 'online' ? 'good' : 'warn'}>{row.state}</span> },
  { name: 'connections', title: 'Connections', hint: 'To this node', width: 108, right: true, rank: 2, cell: (row) => count(row.connections) },
]

export function People() {
  const [filter, setFilter] = useParameter('filter')
  const [state, setState] = useParameter('state')
  const [page, setPage] = useParameter('page', '1')
  // Another question begins at its first page.
  const ask = (set: (value: string) => void) => (value: string) => {
    set(value)
    setPage('1')
  }
  const number = Math.max(1, Number.parseInt(page, 10) || 1)
  const { value, error, reload } = useResource<Answer>('/api/bus/users', { search: filter.trim(), state, limit: PAGE, offset: (number - 1) * PAGE }, 2000)
  const rows = useMemo(() => localRows(value?.users ?? [], undefined, ''), [value])
  const total = value === undefined ? 0 : state === 'online' ? value.online : state === 'away' ? value.away : value.online + value.away
  const last = Math.max(1, Math.ceil(total / PAGE))
  return (
    <section aria-label="People">
      <div class="tools">
        <div class="actions"><Filter label="User" value={filter} onChange={ask(setFilter)} placeholder="User contains …" />
          <Choice label="State" value={state} onChange={ask(setState)} options={[['', 'Online and away'], ['online', 'Online'], ['away', 'Away']]} /></div>
        {last > 1 && <div class="paging">
          <button type="button" disabled={number <= 1} onClick={() => setPage(String(number - 1), false)}>Back</button>
          <span>Page {count(number)} of {count(last)}</span>
          <button type="button" disabled={number >= last} onClick={() => setPage(String(number + 1), false)}>On</button></div>}
      </div>
      {error && !value ? <Failure error={error} again={reload} />
        : value && <Table label="People" columns={columns} rows={rows} most={20} empty={filter || state
            ? <Empty title="Nobody who matches is there now."><p>Whoever is not listed is offline. Empty the filter to see everybody who is there.</p></Empty>
            : <Empty title="Nobody is connected now."><p>A user is there while one of his pages holds a connection of the bus.</p></Empty>} />}
      {value && <Note>{plural(value.online, 'user')} online, {count(value.away)} away{filter ? ', whose names match' : ''}.</Note>}
    </section>
  )
}
