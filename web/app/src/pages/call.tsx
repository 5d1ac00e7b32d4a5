// One call: where its time went, its statements with the lines that sent them, its profile, its bodies.

import { useState } from 'preact/hooks'
import { address, type Report } from '../api'
import { Bodies } from '../call/bodies'
import { CallFacts } from '../call/facts'
import { InOrder } from '../call/in_order'
import { Functions, Profile } from '../call/profile'
import { Statements } from '../call/statements'
import type { Statement, WhichCall, WholeCall } from '../call/whole_call'
import { MANY, STATUS_TEXT, statusMark } from '../call_row'
import { Legend, ShareBar } from '../parts/bars'
import { Figures, Page, Tabs } from '../parts/layout'
import { Empty, Failure, Waiting } from '../parts/states'
import { useResource } from '../resource'
import { Link, useParameter } from '../router'
import { culprit } from '../sql/backtrace'
import { count, seconds, share, wholeMoment } from '../units'
import { oneLine, visible } from '../visible'
import { callAddress, reference } from '../which'

export default function Call() {
  const [db] = useParameter('db')
  const [session] = useParameter('session')
  const [number] = useParameter('call')
  const [view] = useParameter('view', 'statements')
  const which = { db, session, call: number }
  const { value, error, reload } = useResource<Report<WholeCall>>(
    session && number ? '/api/perf/call' : undefined, { session: reference(which), call: number })
  const call = value?.rows[0]
  const up = { to: address('/session', { db, session }), title: `Session ${oneLine(session, 40)}` }
  if (!session || !number) return <Empty title="Which call?"><p><Link to="/">Choose a session</Link></p></Empty>
  return (
    <Page title={call ? oneLine(call.method, 200) : `Call ${number}`}
      up={up}
      actions={<Neighbours which={which} />}>
      {error ? <Failure error={error} again={reload} up={up} /> : call === undefined ? <Waiting what="the call" /> : <>
        <Summary call={call} />
        <Tabs label="Views of the call" current={view} tabs={tabsOf(call)} />
        <View key={view} view={view} call={call} which={which} />
      </>}
    </Page>
  )
}

function tabsOf(call: WholeCall) {
  const kept = (call.details ?? '').split(',')
  const has = (...names: string[]) => names.some((name) => kept.includes(name))
  return [
    { id: 'statements', title: 'Statements', count: call.statements.length },
    ...(has('db') ? [{ id: 'order', title: 'In order' }] : []),
    ...(has('profile', 'sample') ? [{ id: 'flame', title: 'Flame graph' }, { id: 'functions', title: 'Functions' }] : []),
    ...(has('io') ? [{ id: 'bodies', title: 'Bodies' }] : []),
    { id: 'facts', title: 'Facts' },
  ]
}

function View({ view, call, which }: { view: string; call: WholeCall; which: WhichCall }) {
  if (view === 'order') return <InOrder {...which} />
  if (view === 'flame') return <Profile {...which} />
  if (view === 'functions') return <Functions {...which} />
  if (view === 'bodies') return <Bodies {...which} />
  if (view === 'facts') return <CallFacts call={call} />
  return <Statements call={call} />
}

function Neighbours({ which }: { which: WhichCall }) {
  const number = Number(which.call)
  return <>
    {number > 1 && <Link class="button" to={callAddress(which, number - 1)}>Previous call</Link>}
    <Link class="button" to={callAddress(which, number + 1)}>Next call</Link>
  </>
}

function Summary({ call }: { call: WholeCall }) {
  const worst = call.statements.reduce<Statement | undefined>((most, one) => !most || one.number > most.number ? one : most, undefined)
  return (
    <>
      <Figures figures={[
        { name: 'Time', value: seconds(call.tm) },
        { name: 'SQL', value: <>{seconds(call.db_tm)} <span class="muted">{share(call.db_tm, call.tm)}</span></> },
        { name: 'Statements', value: count(call.db_nb) },
        { name: 'CPU', value: seconds(call.cpu), hint: 'Of the thread that ran the call' },
        { name: 'Waits', value: seconds(call.wait), hint: 'For a connection, or for the lock of the database' },
        { name: 'Commit', value: seconds(call.commit) },
        { name: 'Status', value: STATUS_TEXT[call.status] ?? call.status, mark: statusMark(call.status) },
        ...(call.attempts > 1 ? [{ name: 'Attempts', value: count(call.attempts), mark: 'warn' as const, hint: 'The transaction was tried again after a collision' }] : []),
        { name: 'Start', value: wholeMoment(call.dt) },
      ]} />
      <div class="whole-bar"><ShareBar call={call} /><Legend /></div>
      {worst && worst.number >= MANY && <p class="finding"><strong>One statement ran {count(worst.number)} times.</strong>{' '}
        {worst.action} {oneLine(worst.tables ?? '')}, {seconds(worst.time)} together
        {culprit(worst.backtrace ?? '') && <>, sent from <code>{oneLine(culprit(worst.backtrace ?? '')!.place)}</code></>}.
        {' '}A query in a loop (N+1): one statement for all records would do.</p>}
      {call.error && <ErrorText text={call.error} />}
    </>
  )
}

/** More than a recorder keeps of an error; a megabyte in one element takes a browser half a minute. */
const MOST_OF_ERROR = 10_000

function ErrorText({ text }: { text: string }) {
  const [whole, setWhole] = useState(false)
  const shown = whole ? text : text.slice(0, MOST_OF_ERROR)
  return (
    <>
      <pre class="error-text" tabIndex={0} aria-label="Error">{visible(shown)}</pre>
      {shown.length < text.length && <button type="button" onClick={() => setWhole(true)}>Show all of it</button>}
    </>
  )
}
