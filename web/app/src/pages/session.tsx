// One session: its calls, worst first; when they ran; and what they add up to by method, table and statement.

import { address, type Report } from '../api'
import { Advice } from '../parts/advice'
import { Figures, Page, Tabs } from '../parts/layout'
import { Empty } from '../parts/states'
import { useResource } from '../resource'
import { Link, useParameter } from '../router'
import { Calls } from '../session/calls'
import { Repeats } from '../session/repeats'
import { Slow } from '../session/slow'
import { Timeline } from '../session/timeline'
import { Totals } from '../session/totals'
import { count, moment, seconds } from '../units'
import { oneLine } from '../visible'
import { reference, type Which } from '../which'
import type { SessionRow } from './sessions'

export default function Session() {
  const [db] = useParameter('db')
  const [session] = useParameter('session')
  const [view] = useParameter('view', 'calls')
  const which = { db, session }
  if (!session) return <Empty title="Which session?"><p><Link to="/">Choose one</Link></p></Empty>
  return (
    <Page title={`Session ${oneLine(session, 40)}`} up={{ to: '/', title: 'Sessions' }}
      actions={<Link class="button" to={address('/compare', { a: reference(which) })}>Compare with …</Link>}>
      <Summary {...which} />
      <Tabs label="Views of the session" current={view} tabs={[
        { id: 'calls', title: 'Calls' }, { id: 'timeline', title: 'Timeline' }, { id: 'methods', title: 'Methods' },
        { id: 'tables', title: 'Tables' }, { id: 'repeats', title: 'Repeated' }, { id: 'slow', title: 'Slow statements' }, { id: 'advice', title: 'Advice' },
      ]} />
      <View key={view} view={view} which={which} />
    </Page>
  )
}

function View({ view, which }: { view: string; which: Which }) {
  if (view === 'timeline') return <Timeline {...which} />
  if (view === 'methods') return <Totals {...which} what="method" />
  if (view === 'tables') return <Totals {...which} what="table" />
  if (view === 'repeats') return <Repeats {...which} />
  if (view === 'advice') return <Advice filter={{ session: reference(which) }} />
  if (view === 'slow') return <Slow {...which} />
  return <Calls {...which} />
}

function Summary({ db, session }: Which) {
  const { value } = useResource<Report<SessionRow>>('/api/perf/session', { database: db, contains: session, limit: 1000 })
  const row = value?.rows.find((one) => one.session === session)
  return (
    <Figures figures={[
      { name: 'User', value: row ? oneLine(row.user ?? '(unknown)', 60) : ' ' },
      { name: 'Database', value: oneLine(db || row?.database || ' ', 60) },
      { name: 'Calls', value: row ? count(row.nb) : ' ' },
      { name: 'Time', value: row ? seconds(row.tm) : ' ', hint: 'All calls together' },
      { name: 'First call', value: row ? moment(row.first) : ' ' },
      { name: 'Last call', value: row ? moment(row.last) : ' ' },
    ]} />
  )
}
