// One slow statement: laid out, with its values, and the lines of code that sent it.

import { Empty, Failure, Waiting } from '../parts/states'
import { Figures, Page } from '../parts/layout'
import { Explain } from '../parts/plan'
import { Backtrace, Sql } from '../parts/sql'
import { address, type Report } from '../api'
import { useResource } from '../resource'
import { Link, useParameter } from '../router'
import { count, seconds } from '../units'
import { oneLine } from '../visible'
import { callAddress, reference } from '../which'

interface SlowStatement {
  method: string
  call: number
  action: string
  table: string
  rows: number
  time: number
  sql: string
  backtrace: string | null
}

export default function Query() {
  const [db] = useParameter('db')
  const [session] = useParameter('session')
  const [rank] = useParameter('rank')
  const which = { db, session }
  const { value, error, reload } = useResource<Report<SlowStatement>>(
    session && rank ? '/api/perf/query' : undefined, { session: reference(which), rank })
  const up = { to: address('/session', { db, session, view: 'slow' }), title: 'Slow statements of the session' }
  const slow = value?.rows[0]
  if (!session || !rank) return <Empty title="Which statement?"><p><Link to="/">Choose a session</Link></p></Empty>
  return (
    <Page title={slow ? `${slow.action.toUpperCase()} ${oneLine(slow.table, 60)}` : `Statement ${rank}`} up={up}>
      {error ? <Failure error={error} again={reload} up={up} /> : slow === undefined ? <Waiting what="the statement" /> : <>
        <Figures figures={[
          { name: 'Time', value: seconds(slow.time), mark: 'bad' },
          { name: 'Rows', value: count(slow.rows) },
          { name: 'Call', value: <Link to={callAddress(which, slow.call)}>{oneLine(slow.method, 80)} #{slow.call}</Link> },
        ]} />
        <h2>Statement</h2>
        <Sql text={slow.sql} />
        <h2>Plan</h2>
        <Explain action={slow.action} what={{ session: reference(which), rank }} />
        <h2>Sent from</h2>
        <Backtrace text={slow.backtrace ?? ''} />
      </>}
    </Page>
  )
}
