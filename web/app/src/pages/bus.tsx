// The bus: who is connected, what is said in which channel, who is there; the messages as they pass, and a form to publish one.

import { useEffect, useState } from 'preact/hooks'
import type { ApiError } from '../api'
import { Channels } from '../bus/channels'
import { Connections } from '../bus/connections'
import { advanceCourse, noCourse, type BusStatus, type Course } from '../bus/course'
import { Messages } from '../bus/messages'
import { People } from '../bus/people'
import { Publish } from '../bus/publish'
import { Figures, Page, Tabs, type Figure } from '../parts/layout'
import { Empty, Failure, Waiting } from '../parts/states'
import { useResource } from '../resource'
import { useParameter } from '../router'
import { count, number } from '../units'

const TABS = [
  { id: 'channels', title: 'Channels' },
  { id: 'connections', title: 'Connections' },
  { id: 'people', title: 'People' },
  { id: 'messages', title: 'Messages' },
  { id: 'publish', title: 'Publish' },
]

function useCourse(status: BusStatus | undefined): Course {
  const [course, setCourse] = useState(noCourse)
  useEffect(() => {
    if (status) setCourse((old) => advanceCourse(old, status, Date.now() / 1000))
  }, [status])
  return course
}

export default function BusPage() {
  const { value, error, reload } = useResource<BusStatus>('/api/bus/status', {}, 2000)
  const course = useCourse(value)
  const [view] = useParameter('view', TABS[0]!.id)
  if (value === undefined) return <Page title="Bus">{error ? <NoBus error={error} again={reload} /> : <Waiting what="the bus" />}</Page>
  return (
    <Page title="Bus">
      {!value.available && <p class="finding" role="status">The broker can't be reached: nothing is published or read now. Clients are kept for a while, and go on where they were.</p>}
      {error && <p class="finding" role="status">These figures are old: headroom serve does not answer. They go on when it does.</p>}
      <Figures figures={figures(value, course)} />
      <Tabs tabs={TABS} current={view} label="Views of the bus" />
      <View view={view} status={value} course={course} />
    </Page>
  )
}

function figures(status: BusStatus, course: Course): Figure[] {
  return [
    { name: 'Connections', value: count(status.connections), hint: `Clients now; ${count(status.most_connections)} are accepted`,
      mark: status.connections >= status.most_connections ? 'bad' : undefined },
    { name: 'People', value: count(status.users), hint: 'Users who are online or away, or were a moment ago' },
    { name: 'Channels', value: count(status.channels), hint: 'Channels with subscribers' },
    { name: 'Subscriptions', value: count(status.subscriptions) },
    { name: 'Messages per s', value: number(course.messages.at(-1)) },
    { name: 'Deliveries per s', value: number(course.deliveries.at(-1)), hint: 'Messages given to clients' },
    { name: 'Slow clients', value: count(status.slow), hint: 'Closed since the start, because they did not take what was queued; they resume',
      mark: status.slow > 0 ? 'warn' : undefined },
  ]
}

function View({ view, status, course }: { view: string; status: BusStatus; course: Course }) {
  if (view === 'connections') return <Connections status={status} />
  if (view === 'people') return <People />
  if (view === 'messages') return <Messages />
  if (view === 'publish') return <Publish />
  return <Channels course={course} />
}

/** A daemon without the bus knows none of its addresses. */
function NoBus({ error, again }: { error: ApiError; again: () => void }) {
  if (error.status !== 404) return <Failure error={error} again={again} />
  return (
    <Empty title="The bus is not turned on.">
      <p>It brings messages to browser tabs, and knows who is there. Set <code>enabled = true</code> and <code>secret_files</code> in the
        section <code>[bus]</code> of the configuration, and start headroom serve anew; <code>headroom bus check</code> says what is missing.</p>
    </Empty>
  )
}
